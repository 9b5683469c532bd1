//! A mount namespace for each process, so that it finds volumes and service account where its pod mounts them.
//!
//! A namespace belongs to a thread and is inherited by what the thread starts. So each process is started by a thread
//! that lives only for that, and that has mounted what the process is to see. Nothing of it shows on the machine: mounts
//! go with the last process that sees them. That takes the right to mount, which root has; without it the agent falls
//! back to translated paths (`paths`).

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, setns, unshare},
    unistd::{chroot, fchdir},
};
use tokio::{
    process::{Child, Command},
    sync::oneshot,
};

/// What a process sees at a place of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// Where it is on this machine: a directory or a file.
    pub(super) source: PathBuf,
    /// Where the process sees it; need not exist.
    pub(super) target: PathBuf,
    pub(super) read_only: bool,
}

/// Whether this process may give its children a mount namespace; tried once, and a refusal is told once.
pub(super) fn is_permitted() -> bool {
    static PERMITTED: OnceLock<bool> = OnceLock::new();
    *PERMITTED.get_or_init(|| {
        let tried = std::thread::spawn(enter).join().unwrap_or_else(|_| Err(io::Error::other("the attempt panicked")));
        if let Err(error) = &tried {
            tracing::warn!(
                %error,
                "Mounting is not permitted here (it takes root, or the capability SYS_ADMIN): volumes and service accounts \
                 are not at their mount paths, which are translated in arguments and environment values only; pods get \
                 KUBECONFIG"
            );
        }
        tried.is_ok()
    })
}

/// What a process sees of the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum View {
    /// One of its own, with these mounts; `stage` is an empty directory that nobody else uses.
    New { mounts: Vec<Mount>, stage: PathBuf },
    /// The one of another process, which runs.
    Of(u32),
}

/// Starts `command` where it has this view.
pub(super) async fn spawn(mut command: Command, view: View) -> io::Result<Child> {
    let runtime = tokio::runtime::Handle::current();
    let (started, child) = oneshot::channel();
    // Not one of the runtime's threads: they outlive this, and would keep the namespace.
    std::thread::Builder::new().name("mounts".to_owned()).spawn(move || {
        let _runtime = runtime.enter();
        let prepared = match view {
            View::New { mounts, stage } => {
                enter().and_then(|()| mounts.iter().try_for_each(|mount| place(mount, &stage)))
            }
            View::Of(process) => join(process),
        };
        // Nobody waits any more when the pod went meanwhile; the child is killed as it is dropped.
        let _ = started.send(prepared.and_then(|()| command.spawn()));
    })?;
    child.await.map_err(|_| io::Error::other("the thread that starts the process ended"))?
}

/// Gives the calling thread a mount namespace of its own.
fn enter() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    // What is mounted here must not show outside.
    Ok(mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE, None::<&str>)?)
}

/// Moves the calling thread into the mount namespace of a process, and to what is the root directory there.
fn join(process: u32) -> io::Result<()> {
    let namespace = fs::File::open(format!("/proc/{process}/ns/mnt"))?;
    let root = fs::File::open(format!("/proc/{process}/root"))?;
    // Threads share a root directory, until told otherwise; a namespace is not entered with a shared one.
    unshare(CloneFlags::CLONE_FS)?;
    setns(namespace, CloneFlags::CLONE_NEWNS)?;
    fchdir(root)?;
    Ok(chroot(".")?)
}

fn place(wanted: &Mount, stage: &Path) -> io::Result<()> {
    let Mount { source, target, read_only } = wanted;
    let failed = |error: io::Error| {
        let (source, target) = (source.display(), target.display());
        io::Error::new(error.kind(), format!("mounting {source} at {target}: {error}"))
    };
    if !target.exists() {
        make_room(target, source.is_file(), stage).map_err(failed)?;
    }
    bind(source, target).map_err(failed)?;
    if *read_only {
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(None::<&str>, target, None::<&str>, flags, None::<&str>).map_err(|error| failed(error.into()))?;
    }
    Ok(())
}

fn bind(source: &Path, target: &Path) -> io::Result<()> {
    Ok(mount(Some(source), target, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)?)
}

/// Makes `target` exist without a trace on the machine: its deepest directory that exists is replaced by one in memory,
/// with the same entries.
fn make_room(target: &Path, is_file: bool, stage: &Path) -> io::Result<()> {
    let existing = target.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"));
    let rest = target.strip_prefix(existing).map_err(io::Error::other)?;
    // A mount point is not a symbolic link, as /var/run is on most machines.
    let existing = existing.canonicalize()?;
    mount(Some("tmpfs"), stage, Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
    fs::set_permissions(stage, existing.metadata()?.permissions())?;
    for entry in fs::read_dir(&existing)? {
        mirror(&entry?, stage)?;
    }
    let inside = stage.join(rest);
    if let Some(parent) = inside.parent() {
        fs::create_dir_all(parent)?;
    }
    if is_file {
        fs::File::create(&inside)?;
    } else {
        fs::create_dir_all(&inside)?;
        fs::set_permissions(&inside, fs::Permissions::from_mode(0o755))?;
    }
    if existing == Path::new("/") {
        chroot(stage)?;
        return std::env::set_current_dir("/");
    }
    Ok(mount(Some(stage), &existing, None::<&str>, MsFlags::MS_MOVE, None::<&str>)?)
}

/// The same entry in another directory.
fn mirror(entry: &fs::DirEntry, directory: &Path) -> io::Result<()> {
    let (source, target) = (entry.path(), directory.join(entry.file_name()));
    let kind = entry.file_type()?;
    if kind.is_symlink() {
        return symlink(fs::read_link(source)?, target);
    }
    if kind.is_dir() {
        fs::create_dir(&target)?;
    } else {
        fs::File::create(&target)?;
    }
    bind(&source, &target)
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    async fn output(script: &str, mounts: Vec<Mount>) -> String {
        let stage = tempfile::tempdir().unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).stdout(Stdio::piped());
        let view = View::New { mounts, stage: stage.path().to_owned() };
        let child = spawn(command, view).await.unwrap();
        String::from_utf8(child.wait_with_output().await.unwrap().stdout).unwrap()
    }

    /// Without the right to mount there is nothing to see; `paths` is tested everywhere.
    #[tokio::test]
    async fn a_process_sees_what_is_mounted_and_the_machine_does_not() {
        if !is_permitted() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("token"), "t0ken").unwrap();
        let mount =
            |target: &str, read_only| Mount { source: directory.path().to_owned(), target: target.into(), read_only };
        let deep = "/var/run/secrets/kubesim.example/account";
        let (below_root, existing) = ("/kubesim-example", "/mnt");
        let script = format!(
            "cat {deep}/token {below_root}/token {existing}/token; ls /etc | wc -l; \
             touch {existing}/written || echo; touch {deep}/refused 2>/dev/null || echo refused"
        );
        let mounts = vec![mount(deep, true), mount(below_root, false), mount(existing, false)];
        let out = output(&script, mounts).await;
        let entries = fs::read_dir("/etc")
            .unwrap()
            .filter(|entry| !entry.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'));
        assert_eq!(out, format!("t0kent0kent0ken{}\nrefused\n", entries.count()));
        assert!(directory.path().join("written").exists());
        assert!(!Path::new(deep).exists() && !Path::new(below_root).exists());
        assert!(!Path::new(existing).join("token").exists());
    }

    #[tokio::test]
    async fn what_cannot_be_mounted_is_named() {
        if !is_permitted() {
            return;
        }
        let stage = tempfile::tempdir().unwrap();
        let wanted = Mount { source: "/no/such/source".into(), target: "/mnt".into(), read_only: false };
        let view = View::New { mounts: vec![wanted], stage: stage.path().to_owned() };
        let error = spawn(Command::new("/bin/true"), view).await.unwrap_err();
        assert!(error.to_string().starts_with("mounting /no/such/source at /mnt: "), "{error}");
    }
}
