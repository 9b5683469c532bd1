//! Mount paths, for processes that have no file system of their own.
//!
//! A container sees its volumes where the manifest mounts them; a local process sees them in its pod's work
//! directory. So a mount path at the start of a path inside an argument or env value is replaced by the local one:
//! with a volume mounted at `/etc/app`, `--config=/etc/app/a.yaml` becomes `--config=<work directory>/…/a.yaml`.
//! Paths a program has built in are out of reach.

use std::path::PathBuf;

/// Mount paths and where they are on this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mounts {
    /// Longest mount path first, so that a mount inside another one wins.
    entries: Vec<(String, PathBuf)>,
}

impl Mounts {
    pub(super) fn add(&mut self, mount_path: &str, local: PathBuf) {
        let mount_path = mount_path.trim_end_matches('/');
        // Mounting over the root directory would rewrite every path there is.
        if mount_path.starts_with('/') {
            self.entries.push((mount_path.to_owned(), local));
            self.entries.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        }
    }

    /// `text` with all mount paths translated.
    pub(super) fn translate(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        while at < text.len() {
            let found = starts_path(&text[..at]).then(|| self.mounted_at(&text[at..])).flatten();
            if let Some((path, local)) = found {
                out.push_str(&local.to_string_lossy());
                at += path.len();
            } else {
                let Some(next) = text[at..].chars().next() else { break };
                out.push(next);
                at += next.len_utf8();
            }
        }
        out
    }

    /// The mount whose path `text` begins with, as a whole: `/etc/app` is not a beginning of `/etc/apple`.
    fn mounted_at(&self, text: &str) -> Option<&(String, PathBuf)> {
        self.entries
            .iter()
            .find(|(path, _)| text.strip_prefix(path.as_str()).is_some_and(|rest| !rest.starts_with(is_path_character)))
    }
}

/// A path may start after `before`: at the beginning, or after something that is not part of a path or URL.
fn starts_path(before: &str) -> bool {
    before.ends_with("file://") || !before.ends_with(|last: char| is_path_character(last) || last == '/' || last == '~')
}

fn is_path_character(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '-' | '_' | '.')
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::whole("/etc/app", "/w/v1")]
    #[case::inside("/etc/app/a.yaml", "/w/v1/a.yaml")]
    #[case::flag("--config=/etc/app/a.yaml", "--config=/w/v1/a.yaml")]
    #[case::list("/etc/app/a:/etc/app/b", "/w/v1/a:/w/v1/b")]
    #[case::quoted(r#"{"path":"/etc/app/a"}"#, r#"{"path":"/w/v1/a"}"#)]
    #[case::file_url("file:///etc/app/a", "file:///w/v1/a")]
    #[case::nested_mount_wins("/etc/app/tls/tls.crt", "/w/v2/tls.crt")]
    #[case::longer_name_is_another_path("/etc/apple", "/etc/apple")]
    #[case::part_of_another_path("/srv/etc/app/a", "/srv/etc/app/a")]
    #[case::url_path("http://host/etc/app", "http://host/etc/app")]
    #[case::not_ascii("é /etc/app", "é /w/v1")]
    fn mount_paths_become_local_paths(#[case] text: &str, #[case] expected: &str) {
        let mut mounts = Mounts::default();
        mounts.add("/etc/app/", "/w/v1".into());
        mounts.add("/etc/app/tls", "/w/v2".into());
        mounts.add("/", "/w/root".into());
        assert_eq!(mounts.translate(text), expected);
    }
}
