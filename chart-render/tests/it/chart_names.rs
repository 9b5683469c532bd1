//! Names of the chart's objects: what they are, how long they get, and that releases never meet.

use std::collections::BTreeSet;

use chart_render::{Chart, Options, Release, Values, render};
use rstest::rstest;

use crate::helm::chart;

type Identity = (String, String, String);

/// Kind, namespace and name of everything a release creates.
fn identities(release: &str, namespace: &str, set: &str) -> BTreeSet<Identity> {
    let mut values = Values::new();
    values.set(set).expect("settings");
    let chart = Chart::load(chart()).expect("chart");
    let rendered = render(&chart, values, &Release::new(release, namespace), &Options::default()).expect("render");
    rendered
        .manifests
        .iter()
        .map(|manifest| {
            let namespace = manifest.namespace().unwrap_or_default().to_owned();
            (manifest.kind().to_owned(), namespace, manifest.name().to_owned())
        })
        .collect()
}

#[rstest]
#[case::same_release_elsewhere(("wva", "a", "llmd.namespace=a"), ("wva", "b", "llmd.namespace=b"))]
#[case::same_namespace(("wva-a", "n", "llmd.namespace=n"), ("wva-b", "n", "llmd.namespace=n"))]
#[case::ambiguous_join(
    ("workload-variant-autoscaler", "prod-team-a", "llmd.namespace=a"),
    ("workload-variant-autoscaler-prod", "team-a", "llmd.namespace=b")
)]
#[case::named_as_the_other_is_expanded(("foo", "n", "llmd.namespace=n"), ("foo-workload-variant-autoscaler", "n", "llmd.namespace=n"))]
#[case::namespaces_that_differ_at_the_end(
    ("workload-variant-autoscaler-production", "ml-platform-inference-team-alpha", "llmd.namespace=a"),
    ("workload-variant-autoscaler-production", "ml-platform-inference-team-beta", "llmd.namespace=b")
)]
#[case::long_releases_that_differ_at_the_end(
    ("a-release-with-a-name-that-is-as-long-as-they-get-one", "n", "llmd.namespace=n"),
    ("a-release-with-a-name-that-is-as-long-as-they-get-two", "n", "llmd.namespace=n")
)]
#[case::dots_and_dashes(("a.b", "n", "llmd.namespace=n"), ("a-b", "n", "llmd.namespace=n"))]
#[case::the_certificate_in_one_monitoring_namespace(
    ("wva", "a", "llmd.namespace=a,wva.prometheus.caCert=x,wva.prometheus.copyCaCert=true"),
    ("wva", "b", "llmd.namespace=b,wva.prometheus.caCert=x,wva.prometheus.copyCaCert=true")
)]
#[case::scoped_to_one_model_namespace(
    ("wva", "a", "llmd.namespace=m,wva.namespaceScoped=true,va.enabled=false,hpa.enabled=false,vllmService.enabled=false"),
    ("wva", "b", "llmd.namespace=m,wva.namespaceScoped=true,va.enabled=false,hpa.enabled=false,vllmService.enabled=false")
)]
fn two_releases_share_no_object(#[case] left: (&str, &str, &str), #[case] right: (&str, &str, &str)) {
    let (left, right) = (identities(left.0, left.1, left.2), identities(right.0, right.1, right.2));
    let shared: Vec<&Identity> = left.intersection(&right).collect();
    assert!(shared.is_empty(), "{shared:?}");
}

#[rstest]
#[case::longest(
    "a-release-with-a-name-that-is-as-long-as-they-get-one",
    "a-namespace-with-a-name-that-is-just-as-long-as-the-longest-one"
)]
#[case::long_namespace("a", "a-namespace-with-a-name-that-is-just-as-long-as-the-longest-one")]
#[case::dots("a.b.c", "n")]
fn names_fit_their_kind(#[case] release: &str, #[case] namespace: &str) {
    for (kind, _, name) in identities(release, namespace, "wva.openshift.enabled=true") {
        let limit = if matches!(kind.as_str(), "ConfigMap" | "ServiceMonitor") { 253 } else { 63 };
        assert!(name.len() <= limit, "{kind} {name} has {} characters", name.len());
        let allowed =
            |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-';
        assert!(name.chars().all(|c| allowed(c) || (c == '.' && kind != "Service")), "{kind} {name}");
        assert!(!name.ends_with(['-', '.']), "{kind} {name}");
    }
}

#[test]
fn names_are_those_of_the_documentation() {
    let names: BTreeSet<String> =
        identities("wva", "wva-system", "llmd.namespace=m").into_iter().map(|(.., name)| name).collect();
    for name in [
        "wva-variantautoscaling-config",
        "wva-saturation-scaling-config",
        "wva-workload-variant-autoscaler-controller-manager",
        "wva-workload-variant-autoscaler-controller-manager-metrics-monitor",
        "wva-workload-variant-autoscaler-va",
        "wva-workload-variant-autoscaler-hpa",
    ] {
        assert!(names.contains(name), "{name} is missing in {names:?}");
    }
    let named_like_the_chart = identities("workload-variant-autoscaler", "n", "llmd.namespace=m");
    let deployment =
        ("Deployment".to_owned(), "n".to_owned(), "workload-variant-autoscaler-controller-manager".to_owned());
    assert!(named_like_the_chart.contains(&deployment));
}

#[test]
fn cluster_wide_names_carry_the_release_namespace() {
    for (kind, _, name) in identities("wva", "team-a", "llmd.namespace=m") {
        assert!(!kind.starts_with("Cluster") || name.contains("-team-a-"), "{kind} {name}");
    }
}
