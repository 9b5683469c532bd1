//! Tests as closures over an environment of their own: started before, stopped after, explained when they fail.

use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::time::SystemTime;

use futures::FutureExt as _;

use crate::environment::{Environment, Settings};
use crate::evidence;
use crate::instance::Controller;
use crate::kubectl::Kubectl;
use crate::session::{CONTROLLER_NAMESPACE, CONTROLLER_RELEASE};

/// Runs a test in an environment without a controller.
///
/// # Panics
/// When the environment cannot be started, or the test panics; then what the cluster looked like is printed first.
pub async fn with_environment<F>(test: F)
where
    F: AsyncFnOnce(&Environment),
{
    with_settings(|settings| settings, test).await;
}

/// Runs a test in an environment that is started with other settings.
///
/// # Panics
/// As [`with_environment`].
pub async fn with_settings<F>(change: impl FnOnce(Settings) -> Settings, test: F)
where
    F: AsyncFnOnce(&Environment),
{
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let settings = change(Settings::quick(dir.path()));
    let environment = Environment::start(&settings, |_| {}).await.expect("the environment starts");
    let begun = SystemTime::now();
    let outcome = AssertUnwindSafe(test(&environment)).catch_unwind().await;
    if let Err(cause) = &outcome {
        explain(environment.kubectl(), &[], CONTROLLER_NAMESPACE).await;
        evidence::keep(&environment, evidence::Scope { namespaces: &[], begun }, cause.as_ref()).await;
    }
    environment.stop().await;
    if let Err(cause) = outcome {
        if std::env::var_os("KEEP").is_some() {
            let kept: PathBuf = dir.keep();
            note(&format!("files of the environment are kept in {}", kept.display()));
        }
        panic::resume_unwind(cause);
    }
}

/// Runs a test in an environment with one controller without an id, installed as the users' guides have it.
///
/// # Panics
/// As [`with_environment`].
pub async fn with_controller<F>(test: F)
where
    F: AsyncFnOnce(&Environment),
{
    with_environment(async |environment: &Environment| {
        let prometheus = environment.prometheus();
        let controller = Controller::quick(CONTROLLER_RELEASE, CONTROLLER_NAMESPACE, "", prometheus.url());
        controller.install(environment.kubectl()).await.expect("the controller installs");
        test(environment).await;
    })
    .await;
}

/// What a person would look at first: in these namespaces, or in all if none is given, and the log of the controller in
/// the one where it is.
pub(crate) async fn explain(kubectl: &Kubectl, namespaces: &[&str], controller: &str) {
    let looks: [&[&str]; 3] = [
        &["get", "va,deployments,pods,hpa", "-o", "wide"],
        &["get", "events", "--sort-by=.metadata.creationTimestamp"],
        &["get", "va", "-o", "yaml"],
    ];
    let places: Vec<[&str; 2]> = match namespaces {
        [] => vec![["--all-namespaces", "--ignore-not-found"]],
        some => some.iter().map(|namespace| ["--namespace", *namespace]).collect(),
    };
    for place in places {
        for look in looks {
            tell(kubectl, &[look, &place].concat()).await;
        }
    }
    let selector = "--selector=app.kubernetes.io/name=workload-variant-autoscaler";
    tell(kubectl, &["logs", "--prefix", "--tail=60", "-n", controller, selector]).await;
}

async fn tell(kubectl: &Kubectl, args: &[&str]) {
    let text = match kubectl.run(args).await {
        Ok(text) => text,
        Err(error) => error.to_string(),
    };
    note(&format!("--- kubectl {}\n{text}", args.join(" ")));
}

/// To standard error: the test runner shows it when the test fails.
pub(crate) fn note(text: &str) {
    anstream::eprintln!("{text}");
}
