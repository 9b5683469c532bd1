//! The controller as its image runs it: an empty root without certificate authorities, /tmp or /etc, no environment of
//! the host, not as root.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Controller, FakeApi};

const BINARY: &str = env!("CARGO_BIN_EXE_wva-controller");
/// The user of the image.
const USER: &str = "65532:65532";

/// A root directory that holds the controller and what the dynamic linker needs for it, and nothing else. The binary of
/// the image is static and needs not even that.
struct Root(tempfile::TempDir);

impl Root {
    fn new() -> Self {
        let root = Self(tempfile::tempdir().unwrap());
        root.take(Path::new(BINARY), Path::new("/wva-controller"));
        let needed = Command::new("ldd").arg(BINARY).output().unwrap();
        let needed = String::from_utf8(needed.stdout).unwrap();
        for library in needed.split_whitespace().filter(|word| word.starts_with('/')) {
            root.take(Path::new(library), Path::new(library));
        }
        root
    }

    /// Puts a file of this machine under a path of the root, readable by anybody.
    fn take(&self, file: &Path, path: &Path) {
        let inside = self.inside(path);
        std::fs::create_dir_all(inside.parent().unwrap()).unwrap();
        std::fs::copy(file, &inside).unwrap();
        assert!(Command::new("chmod").args(["-R", "a+rX"]).arg(self.0.path()).status().unwrap().success());
    }

    fn inside(&self, path: &Path) -> PathBuf {
        self.0.path().join(path.strip_prefix("/").unwrap())
    }

    /// The program with the API server's kubeconfig, as a command to run.
    fn command(&self, api: &FakeApi, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
        self.take(&api.kubeconfig(), Path::new("/kubeconfig"));
        // Root may change its root and user; anybody else may in a user namespace, as the only user there is.
        let privileged = runs_as_root();
        let mut command = Command::new(if privileged { "chroot" } else { "unshare" });
        if privileged {
            command.arg(format!("--userspec={USER}"));
        } else {
            command.args(["--map-root-user", "chroot"]);
        }
        command.arg(self.0.path()).arg("/wva-controller").args(arguments).env_clear();
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("KUBECONFIG", "/kubeconfig");
        command.env("POD_NAMESPACE", "wva-system").envs(environment.iter().copied());
        command
    }

    fn start(&self, api: &FakeApi, environment: &[(&str, &str)]) -> Controller {
        Controller::start(self.command(api, &["--health-probe-bind-address=127.0.0.1:0"], environment))
    }
}

fn runs_as_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.trim_ascii() == b"0"
}

#[test]
fn in_an_empty_root_there_are_no_authorities_and_no_temporary_files() {
    let root = Root::new();
    for path in ["/etc/ssl", "/etc/pki", "/usr/share/ca-certificates", "/usr/lib/ssl", "/tmp", "/etc/resolv.conf"] {
        assert!(!root.inside(Path::new(path)).exists(), "{path}");
    }
}

#[test]
fn in_an_empty_root_it_starts_with_prometheus_over_plain_http() {
    let (api, root) = (FakeApi::start(), Root::new());
    let mut controller = root.start(&api, &[("PROMETHEUS_BASE_URL", "http://127.0.0.1:9")]);
    controller.says(&["Prometheus does not answer; holding targets"]);
    assert!(controller.stop().success());
}

#[test]
fn in_an_empty_root_it_starts_with_prometheus_over_https() {
    let (api, root) = (FakeApi::start(), Root::new());
    let mut controller = root.start(&api, &[("PROMETHEUS_BASE_URL", "https://127.0.0.1:9")]);
    controller.says(&["Prometheus does not answer; holding targets"]);
    assert!(controller.stop().success());
}

#[test]
fn in_an_empty_root_a_named_authority_is_enough() {
    let (api, root) = (FakeApi::start(), Root::new());
    let authority = tempfile::NamedTempFile::new().unwrap();
    let pem = rcgen::generate_simple_self_signed(["prometheus".to_owned()]).unwrap().cert.pem();
    std::fs::write(authority.path(), pem).unwrap();
    root.take(authority.path(), Path::new("/ca/ca.crt"));
    let prometheus = [("PROMETHEUS_BASE_URL", "https://127.0.0.1:9"), ("PROMETHEUS_CA_CERT_PATH", "/ca/ca.crt")];
    let mut controller = root.start(&api, &prometheus);
    controller.says(&["Prometheus does not answer; holding targets"]);
    assert!(controller.stop().success());
}

#[test]
fn in_an_empty_root_check_asks_the_pods() {
    let (api, root) = (FakeApi::start(), Root::new());
    // Nothing listens there: that the pod was asked is what counts.
    api.pod("wva-1", "127.0.0.1");
    let arguments = ["check", "--namespace=wva-system", "--selector=a=b", "--port=9", "--timeout=0s"];
    let output = root.command(&api, &arguments, &[("RUST_BACKTRACE", "1")]).output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(1), "{out}{err}");
    assert!(out.starts_with("wva-1: it does not answer at 127.0.0.1:9: "), "{out}{err}");
    assert_eq!(err, "");
}

#[test]
fn what_keeps_check_from_asking_is_one_line_without_a_backtrace() {
    let root = Root::new();
    let mut command = root.command(&FakeApi::start(), &["check", "--namespace=a", "--selector=a=b"], &[]);
    let output = command.env("RUST_BACKTRACE", "1").env("KUBECONFIG", "/none").output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.starts_with("Error: cannot find out how to reach the API server"), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
}
