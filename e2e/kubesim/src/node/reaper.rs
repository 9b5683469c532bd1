//! A guard that outlives the agent by a moment: no process is left behind, even when the agent is killed.
//!
//! A stopping agent ends its pods itself. One that is killed cannot, so a shell waits at the other end of a pipe.
//! It learns each process group that starts and ends; when the pipe closes, which the kernel sees to whatever
//! happens to the agent, it kills the groups that are left.

use std::{io, process::Stdio, sync::Arc};

use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, Command},
    sync::Mutex,
};
use tracing::warn;

/// Reads `+GROUP` and `-GROUP` lines. Once there are no more: TERM, two seconds, KILL.
const SCRIPT: &str = r#"
groups=" "
while read -r line; do
  group="${line#?}"
  case "$line" in
    +*) groups="$groups$group " ;;
    -*) groups="${groups%% $group *} ${groups#* $group }" ;;
  esac
done
[ -z "${groups# }" ] && exit 0
for group in $groups; do kill -s TERM -- "-$group" 2>/dev/null; done
sleep 2
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
"#;

/// Handle to the guard. Clones share it; it goes when the last one does.
#[derive(Debug, Clone)]
pub(super) struct Reaper {
    shared: Arc<Mutex<Guard>>,
}

#[derive(Debug)]
struct Guard {
    stdin: ChildStdin,
    /// Kept so that the runtime collects the guard's exit status.
    _shell: Child,
}

impl Reaper {
    /// Starts the guard in a process group of its own: a Ctrl-C on the terminal must not reach it.
    pub(super) fn start() -> io::Result<Self> {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let stdin = shell.stdin.take().ok_or_else(|| io::Error::other("the guard process has no standard input"))?;
        Ok(Self { shared: Arc::new(Mutex::new(Guard { stdin, _shell: shell })) })
    }

    pub(super) async fn started(&self, group: u32) {
        self.tell(format!("+{group}\n")).await;
    }

    pub(super) async fn ended(&self, group: u32) {
        self.tell(format!("-{group}\n")).await;
    }

    async fn tell(&self, line: String) {
        let mut guard = self.shared.lock().await;
        let told = async {
            guard.stdin.write_all(line.as_bytes()).await?;
            guard.stdin.flush().await
        };
        if let Err(error) = told.await {
            warn!(%error, "The guard process is gone; pods may outlive a killed agent");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nix::{errno::Errno, sys::signal::killpg, unistd::Pid};

    use super::*;

    fn sleeper() -> (Child, u32) {
        let child = Command::new("sleep").arg("60").process_group(0).kill_on_drop(true).spawn().unwrap();
        let group = child.id().unwrap();
        (child, group)
    }

    fn is_alive(group: u32) -> bool {
        killpg(Pid::from_raw(group.try_into().unwrap()), None) != Err(Errno::ESRCH)
    }

    #[tokio::test]
    async fn the_guard_kills_what_is_left_and_nothing_else() {
        let reaper = Reaper::start().unwrap();
        let ((mut left, left_group), (_finished, finished_group)) = (sleeper(), sleeper());
        reaper.started(finished_group).await;
        reaper.started(left_group).await;
        reaper.ended(finished_group).await;
        drop(reaper);
        let ended = tokio::time::timeout(Duration::from_secs(10), left.wait()).await;
        assert!(ended.is_ok(), "the process that was left still runs");
        assert!(is_alive(finished_group));
    }
}
