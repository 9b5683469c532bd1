//! The fault suite: eleven faults on real processes, with nothing scaled down wrongly, written twice or lost.
//!
//! In a cluster of their own: the API server goes away, and Prometheus is killed.

use wva_e2e::faults;

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_is_borne() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let report =
        faults::run(dir.path(), "", |step| anstream::eprintln!("{step}")).await.expect("the faults are carried out");
    anstream::println!("{report}");
    assert!(report.passed(), "{report}\nlogs are in {}", dir.keep().display());
}
