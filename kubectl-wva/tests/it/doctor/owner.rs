//! What `doctor` says of variants that nobody takes, or that share what they scale, and what it leaves to others.

use kubectl_wva::commands::doctor::{Cause, Facts, Installed, examine};
use rstest::rstest;
use serde_json::json;

use super::{causes, facts, plain};
use crate::objects::{controller, decided, typed, variant, variants};

fn installed(namespace: &str, id: &str) -> Installed {
    let one = plain().controllers.unwrap().remove(0);
    Installed { controller: controller(namespace, id, &[]), ..one }
}

#[rstest]
#[case::whose_number_the_hpa_asks_for("nobody", plain())]
#[case::that_is_called_alike("team-aa", Facts { hpas: Ok(vec![]), ..plain() })]
fn of_several_instances_the_most_likely_is_offered_first(#[case] label: &str, #[case] facts: Facts) {
    let facts = Facts {
        variants: variants(&[decided(variant("models", "llama", "llama-decode", label), 2)]),
        controllers: Ok(vec![installed("wva-z", "other"), installed("wva-a", "team-a"), installed("wva-y", "x")]),
        ..facts
    };
    let view = examine(&facts);
    assert_eq!(causes(&view), [Cause::InstanceMismatch]);
    let fix = &view.findings[0].fix;
    assert_eq!(
        (fix.len(), fix[0].as_str()),
        (3, "kubectl label va llama-va -n models wva.llmd.ai/controller-instance=team-a --overwrite")
    );
}

#[test]
fn of_variants_with_one_target_the_first_remedy_leaves_the_oldest() {
    let aged = |name: &str, made: &str| {
        let mut one = decided(variant("models", name, "llama-decode", "team-a"), 2);
        one["metadata"]["creationTimestamp"] = json!(made);
        one
    };
    let three = [
        aged("a-late", "2026-01-02T03:04:00Z"),
        aged("b-first", "2026-01-02T01:00:00Z"),
        aged("c-second", "2026-01-02T02:00:00Z"),
    ];
    let view = examine(&Facts { variants: variants(&three), ..facts() });
    assert_eq!(causes(&view), [Cause::TargetConflict]);
    assert_eq!(
        view.findings[0].fix,
        [
            "kubectl delete va c-second-va a-late-va -n models",
            "kubectl delete va b-first-va a-late-va -n models",
            "kubectl delete va b-first-va c-second-va -n models",
        ]
    );
}

#[test]
fn troubles_of_other_controllers_are_not_told_where_nobody_takes_the_variant() {
    let mut down = installed("wva-z", "other");
    (down.controller.ready, down.controller.replicas) = (0, 0);
    let misnamed = typed(&json!({
        "metadata": {"namespace": "wva-z", "name": "odd"}, "data": {"default": "kvCacheThreshold: 0.7"},
    }));
    let other = Facts { controllers: Ok(vec![down.clone()]), config_maps: Ok(vec![misnamed]), ..plain() };
    assert_eq!(causes(&examine(&other)), [Cause::InstanceMismatch]);
    // Where it is about the whole cluster, or there is no variant yet, they are.
    let whole = Facts { namespace: None, ..other.clone() };
    assert_eq!(causes(&examine(&whole)), [Cause::InstanceMismatch, Cause::ControllerDown, Cause::ConfigMapMisnamed]);
    let early = Facts { variants: vec![], ..other };
    assert_eq!(causes(&examine(&early)), [Cause::ControllerDown, Cause::ConfigMapMisnamed]);
}
