//! Against stand-ins for the programs: they record their flags and wait; the test itself answers in the API server's place,
//! with the certificate that it was given.

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum_server::tls_rustls::RustlsConfig;

use super::*;

/// Records its flags, one a line; ends at SIGTERM and says so.
const PROGRAM: &str = r#"#!/bin/sh
for flag in "$@"; do echo "$flag" >> "$(dirname "$0")/$(basename "$0").flags"; done
trap 'echo "$(basename "$0")" >> "$(dirname "$0")/ended"; kill $!; exit 0' TERM
echo "I am $(basename "$0")"
sleep 600 &
wait
"#;

fn assets(names: &[&str]) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    for name in names {
        let path = dir.path().join(name);
        std::fs::write(&path, PROGRAM).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    dir
}

async fn flags(assets: &Path, program: &str, last: &str) -> Vec<String> {
    let path = assets.join(format!("{program}.flags"));
    let flags = wait::until("the flags of a program", PATIENCE, || async {
        let flags = std::fs::read_to_string(&path).unwrap_or_default();
        if flags.contains(last) { Look::Done(flags) } else { Look::NotYet(flags) }
    });
    flags.await.unwrap().lines().map(str::to_owned).collect()
}

fn value(flags: &[String], name: &str) -> String {
    let prefix = format!("--{name}=");
    flags
        .iter()
        .find_map(|flag| flag.strip_prefix(&prefix))
        .unwrap_or_else(|| panic!("no {name} in {flags:?}"))
        .to_owned()
}

/// Answers `/readyz` to whoever has a token.
async fn answer(flags: &[String]) {
    let tls =
        RustlsConfig::from_pem_file(value(flags, "tls-cert-file"), value(flags, "tls-private-key-file")).await.unwrap();
    let ready = |headers: HeaderMap| async move {
        if headers.contains_key("authorization") { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
    };
    let listener = TcpListener::bind(format!("127.0.0.1:{}", value(flags, "secure-port"))).unwrap();
    listener.set_nonblocking(true).unwrap();
    let server = axum_server::from_tcp_rustls(listener, tls).unwrap();
    tokio::spawn(server.serve(Router::new().route("/readyz", get(ready)).into_make_service()));
}

#[tokio::test]
async fn a_control_plane_starts_once_its_api_server_is_ready_and_ends_in_order() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let assets = assets(&["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]);
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new(assets.path().to_owned(), dir.path().to_owned());
    let answering = async {
        let flags = flags(assets.path(), "kube-apiserver", "--audit-log-path").await;
        answer(&flags).await;
        flags
    };
    let (plane, api) = tokio::join!(ControlPlane::start(&options), answering);
    let plane = plane.unwrap();
    assert_eq!(plane.programs(), ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]);
    let etcd = flags(assets.path(), "etcd", "--unsafe-no-fsync").await;
    assert_eq!(value(&api, "etcd-servers"), value(&etcd, "listen-client-urls"));
    assert_eq!(value(&api, "authorization-mode"), "RBAC");
    let manager = flags(assets.path(), "kube-controller-manager", "--feature-gates").await;
    assert_eq!(value(&manager, "horizontal-pod-autoscaler-sync-period"), "1000ms");
    assert_eq!(value(&manager, "service-account-private-key-file"), value(&api, "service-account-signing-key-file"));
    let kubeconfig = kube::config::Kubeconfig::read_from(plane.kubeconfig()).unwrap();
    let server = kubeconfig.clusters[0].cluster.as_ref().unwrap().server.clone().unwrap();
    assert_eq!(server, format!("https://127.0.0.1:{}", value(&api, "secure-port")));
    // Its traps are set once it has said who it is.
    flags(assets.path(), "kube-scheduler", "--leader-elect").await;
    wait::until("the scheduler to have begun", PATIENCE, || async {
        let said = std::fs::read_to_string(dir.path().join("kube-scheduler.log")).unwrap_or_default();
        if said.contains("I am") { Look::Done(()) } else { Look::NotYet(said) }
    })
    .await
    .unwrap();
    plane.stop().await;
    let ended = std::fs::read_to_string(assets.path().join("ended")).unwrap();
    assert_eq!(ended, "kube-scheduler\nkube-controller-manager\nkube-apiserver\netcd\n");
}

#[tokio::test]
async fn an_api_server_that_does_not_become_ready_is_told_with_its_last_words_and_leaves_no_process() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let assets = assets(&["etcd", "kube-apiserver"]);
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::new(assets.path().to_owned(), dir.path().to_owned());
    options.patience = Duration::from_secs(5);
    let error = ControlPlane::start(&options).await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("waited 5s for kube-apiserver to be ready"), "{error}");
    assert!(error.contains("I am kube-apiserver"), "{error}");
}

#[tokio::test]
async fn without_a_controller_manager_pods_need_no_account() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::create(dir.path(), 1).unwrap();
    let flag = "--disable-admission-plugins=ServiceAccount".to_owned();
    assert!(api_flags(&files, dir.path(), 1, 2, false).contains(&flag));
    assert!(!api_flags(&files, dir.path(), 1, 2, true).contains(&flag));
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let assets = assets(&["etcd"]);
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new(assets.path().to_owned(), dir.path().to_owned());
    let error = ControlPlane::start(&options).await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("kube-apiserver is not there; KUBEBUILDER_ASSETS"), "{error}");
}

#[test]
fn keys_are_for_nobody_else() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let files = Files::create(dir.path(), 1).unwrap();
    for name in ["accounts.key", "tokens.csv", "kubeconfig"] {
        let mode = std::fs::metadata(files.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
}
