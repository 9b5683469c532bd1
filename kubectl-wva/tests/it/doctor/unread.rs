//! What `doctor` says when something could not be read.

use kubectl_wva::Verdict;
use kubectl_wva::commands::doctor::{Cause, DoctorView, External, Facts, Outcome, examine};
use kubectl_wva::output::Format;
use kubectl_wva::readers::pods::Nodes;
use kubectl_wva::readers::servers::Servers;

use super::{causes, facts, printed};
use crate::objects::{condition, decided, variant, variants};

/// What could not be looked for, in the order of the causes.
pub(super) fn unknown(view: &DoctorView) -> Vec<Cause> {
    view.checks.iter().filter(|check| check.outcome == Outcome::Unknown).map(|check| check.cause).collect()
}

#[test]
fn whatever_cannot_be_read_is_named_and_never_counts_as_fine() {
    let no = || "forbidden".to_owned();
    let view = examine(&Facts {
        namespaces: Err(no()),
        controllers: Err(no()),
        deployments: Err(no()),
        hpas: Err(no()),
        scaled_objects: Err(no()),
        events: Err(no()),
        servers: Servers { pods: [("models".to_owned(), Err(no()))].into(), nodes: Nodes::default() },
        config_maps: Err(no()),
        services: Err(no()),
        monitors: Err(no()),
        external: External::Unread(no()),
        ..facts()
    });
    assert_eq!((causes(&view), view.verdict()), (vec![], Verdict::Unknown));
    insta::assert_snapshot!("doctor_unread", printed(&view, Format::Table));
}

#[test]
fn each_unread_part_leaves_open_only_what_it_would_have_told() {
    let no = || "forbidden".to_owned();
    let left_open = |facts: Facts| unknown(&examine(&facts));
    assert_eq!(
        left_open(Facts { scaled_objects: Err(no()), ..facts() }),
        [Cause::HpaSelectorMismatch, Cause::MetricNotServed]
    );
    assert_eq!(left_open(Facts { deployments: Err(no()), ..facts() }), [Cause::TargetMissing]);
    let mut unmeasured = decided(variant("models", "llama", "llama-decode", "team-a"), 2);
    unmeasured["status"]["conditions"][1] = condition("MetricsAvailable", "False", "MetricsMissing", "none");
    let unmeasured = || variants(&[unmeasured.clone()]);
    assert_eq!(
        left_open(Facts { deployments: Err(no()), variants: unmeasured(), ..facts() }),
        [Cause::TargetMissing, Cause::ServiceMonitorMissing, Cause::MetricsMissing]
    );
    // The external metrics API is gone whether or not HPAs may be read.
    let view = examine(&Facts { hpas: Err(no()), external: External::Absent("404".to_owned()), ..facts() });
    assert_eq!((causes(&view), view.verdict()), (vec![Cause::ExternalMetricsAbsent], Verdict::Found));
}
