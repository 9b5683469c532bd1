//! `chart-render check` and the API server are of one mind: helm is refused where check finds an object in two releases,
//! and nowhere else.
//!
//! In a cluster of its own: the chart's objects without a namespace are counted as refused or taken, with names others
//! use.

use chart_render::check::{Installed, Rule, check};
use chart_render::{Chart, Options, Release, Values, render};
use wva_e2e::environment::Environment;
use wva_e2e::harness::with_environment;
use wva_e2e::helm::Helm;
use wva_e2e::instance::make_namespace;

/// Name, namespace and settings of a release.
type Line = (&'static str, &'static str, &'static str);

const CONTROLLER: &str = "wva.replicaCount=0,va.enabled=false,hpa.enabled=false,vllmService.enabled=false";
const MODEL: &str = "controller.enabled=false";

/// Two releases, with settings beyond the first ones.
const PAIRS: &[(&str, Line, Line)] = &[
    (CONTROLLER, ("wva", "a", ""), ("wva", "b", "")),
    (CONTROLLER, ("one", "a", ""), ("two", "a", "")),
    (CONTROLLER, ("one", "a", ",fullnameOverride=f"), ("two", "a", ",fullnameOverride=f")),
    (CONTROLLER, ("one", "a", ",fullnameOverride=f"), ("two", "b", ",fullnameOverride=f")),
    (CONTROLLER, ("x-y", "a", ",nameOverride=z"), ("x", "a", ",nameOverride=y-z")),
    (MODEL, ("m", "a", ",llmd.namespace=a"), ("m", "b", ",llmd.namespace=b")),
    (MODEL, ("m", "a", ",llmd.namespace=s"), ("m", "b", ",llmd.namespace=s")),
    (MODEL, ("m", "a", ",llmd.namespace=s"), ("n", "b", ",llmd.namespace=s")),
    (MODEL, ("one", "a", ",llmd.namespace=a,fullnameOverride=f"), ("two", "a", ",llmd.namespace=a,fullnameOverride=f")),
];

fn rendered(common: &str, (name, namespace, more): Line) -> Installed {
    let mut values = Values::new();
    values.set(&format!("{common}{more}")).expect("settings");
    let release = Release::new(name, namespace);
    let rendered = render(&Chart::embedded().expect("the chart"), values, &release, &Options::default());
    Installed::rendered(&release, &rendered.expect("it renders"))
}

async fn install(helm: &Helm, common: &str, (name, namespace, more): Line) -> Result<String, String> {
    // What helm itself refuses is compared, not what the chart looks for before it.
    let settings = format!("{common}{more},preflight.enabled=false");
    let line = ["install", name, Helm::chart(), "-n", namespace, "--skip-crds", "--set", &settings];
    helm.run(&line).await.map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_is_refused_where_check_finds_an_object_in_two_releases_and_nowhere_else() {
    with_environment(async |environment: &Environment| {
        let (kubectl, helm) = (environment.kubectl(), environment.helm().expect("helm is there"));
        let crds = format!("{}/crds/", Helm::chart());
        kubectl.run(&["apply", "--server-side", "-f", &crds]).await.expect("the definitions apply");
        for namespace in ["a", "b", "s"] {
            make_namespace(kubectl, namespace).await.expect("the namespace is made");
        }
        let mut verdicts = Vec::new();
        for (common, first, second) in PAIRS {
            let report = check(&[rendered(common, *first), rendered(common, *second)]);
            let collides = report.findings.iter().any(|finding| finding.rule == Rule::Identity);
            install(&helm, common, *first).await.expect("the first release installs");
            let refused = install(&helm, common, *second).await.err();
            assert_eq!(refused.is_some(), collides, "{first:?} {second:?}: {refused:?}\n{report}");
            let reason = refused.unwrap_or_default();
            assert!(!collides || reason.contains("exists and cannot be imported"), "{first:?} {second:?}: {reason}");
            // helm keeps no record of a release that it refused.
            for (name, namespace, _) in [second, first].into_iter().skip(usize::from(collides)) {
                helm.run(&["uninstall", name, "-n", namespace]).await.expect("it goes");
            }
            verdicts.push(collides);
        }
        assert!(verdicts.contains(&true) && verdicts.contains(&false), "{verdicts:?}");
    })
    .await;
}
