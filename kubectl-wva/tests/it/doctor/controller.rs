//! What `doctor` says of the controller's own pods.

use jiff::Timestamp;
use kubectl_wva::commands::doctor::{Cause, examine};
use kubectl_wva::output::Format;
use rstest::rstest;
use serde_json::{Value, json};

use super::{causes, controller_pod, plain, printed, serving};
use crate::objects::{NOW, typed};

fn crash() -> Value {
    json!({"phase": "Running", "containerStatuses": [{
        "name": "manager", "image": "i", "imageID": "", "ready": false, "restartCount": 4,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
        "lastState": {"terminated": {"exitCode": 1}},
    }]})
}

#[test]
fn a_roll_out_that_is_stuck_beside_an_old_pod_is_named_at_once() {
    let mut facts = plain();
    let installed = &mut facts.controllers.as_mut().unwrap()[0];
    installed.controller.falls_short = true;
    installed.pods = Ok(vec![
        controller_pod("old", "wva-controller-manager-1", 900, &serving()),
        controller_pod("new", "wva-controller-manager-2", 60, &crash()),
    ]);
    installed.log = Some("error: PROMETHEUS_BASE_URL is missing\n".to_owned());
    let view = examine(&facts);
    assert_eq!(causes(&view), [Cause::RolloutStuck]);
    insta::assert_snapshot!("doctor_rollout_stuck", printed(&view, Format::Table));
}

#[test]
fn a_broken_version_that_is_being_replaced_is_over() {
    let mut facts = plain();
    let installed = &mut facts.controllers.as_mut().unwrap()[0];
    installed.controller.falls_short = true;
    installed.pods = Ok(vec![
        controller_pod("old", "wva-controller-manager-1", 900, &serving()),
        controller_pod("broken", "wva-controller-manager-2", 60, &crash()),
        controller_pod("mended", "wva-controller-manager-3", 1, &json!({"phase": "Running"})),
    ]);
    assert_eq!(causes(&examine(&facts)), []);
}

#[test]
fn new_pods_that_wait_for_prometheus_beside_old_ones_are_told_with_the_address() {
    let mut facts = plain();
    let installed = &mut facts.controllers.as_mut().unwrap()[0];
    installed.controller.falls_short = true;
    installed.pods = Ok(vec![
        controller_pod("old", "wva-controller-manager-1", 900, &serving()),
        controller_pod("new", "wva-controller-manager-2", 4, &json!({"phase": "Running"})),
    ]);
    installed.log = Some("Prometheus does not answer: connection refused\n".to_owned());
    let view = examine(&facts);
    assert_eq!(causes(&view), [Cause::PrometheusUnreachable]);
    assert!(view.findings[0].finding.contains("what runs is the version before"), "{:?}", view.findings);
    // It has had its answer since, and only takes a moment.
    facts.controllers.as_mut().unwrap()[0].log = Some("Prometheus answers\n".to_owned());
    assert_eq!(causes(&examine(&facts)), []);
}

#[rstest]
#[case::just_started(3, json!({"phase": "Running"}), false)]
#[case::for_a_minute(60, json!({"phase": "Running"}), true)]
#[case::crashed(3, crash(), true)]
fn a_controller_may_take_a_moment_to_start(#[case] age: i64, #[case] status: Value, #[case] found: bool) {
    let mut facts = plain();
    let installed = &mut facts.controllers.as_mut().unwrap()[0];
    (installed.controller.ready, installed.controller.falls_short) = (0, true);
    installed.pods = Ok(vec![controller_pod("new", "wva-controller-manager-1", age, &status)]);
    let view = examine(&facts);
    assert_eq!(causes(&view), vec![Cause::ControllerDown; usize::from(found)]);
    assert_eq!(view.starting.is_empty(), found);
}

#[rstest]
#[case::eight_seconds_after_a_roll_out(8, 12, false)]
#[case::a_long_time_after(300, 300, true)]
#[case::somebody_else_goes_on_renewing_it(60, 1, true)]
fn a_new_pod_may_take_a_moment_to_take_the_lease_over(#[case] age: i64, #[case] renewed: i64, #[case] found: bool) {
    let mut facts = plain();
    let renewed = NOW.parse::<Timestamp>().unwrap() - jiff::SignedDuration::from_secs(renewed);
    let installed = &mut facts.controllers.as_mut().unwrap()[0];
    let arguments = json!({"name": "manager", "args": ["--leader-elect=true", "--controller-instance=team-a"]});
    installed.controller.container = Some(typed(&arguments));
    installed.lease = Ok(Some(typed(&json!({"metadata": {"name": "lease"}, "spec": {
        "holderIdentity": "gone_1", "leaseDurationSeconds": 15, "renewTime": format!("{renewed:.6}"),
    }}))));
    installed.pods = Ok(vec![controller_pod("new", "wva-controller-manager-2", age, &serving())]);
    let view = examine(&facts);
    assert_eq!(causes(&view), vec![Cause::NoLeader; usize::from(found)]);
    assert_eq!(view.starting.is_empty(), found, "{:?}", view.starting);
}
