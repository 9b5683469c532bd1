//! What an autoscaler reaches, from its objects as users and KEDA write them.

use rstest::rstest;
use wva_api::VariantAutoscaling;

use super::*;
use crate::cluster::index::{convert, hpa, keda};
use crate::fixtures::{variant, yaml};

const FOLLOWS: &str = "metrics: [{type: External, external: {metric: {name: wva_desired_replicas, selector: \
                       {matchLabels: {variant_name: a}}}, target: {type: AverageValue, averageValue: '1'}}}]";
const BY_CPU: &str =
    "metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]";
const BY_KEDA: &str = "metrics: [{type: External, external: {metric: {name: s0-prometheus}, target: {type: AverageValue, averageValue: '1'}}}]";

/// An index with variant `a` of 3 replicas, and autoscalers.
#[derive(Default)]
struct Scene(Index);

impl Scene {
    fn hpa(mut self, name: &str, metadata: &str, spec: &str) -> Self {
        let object = yaml(&format!(
            "{{metadata: {{namespace: ns, name: {name}, {metadata}}}, spec: {{scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, \
             name: a}}, maxReplicas: 4, {spec}}}}}"
        ));
        let _effect = self.0.apply(ObjectKey::new("ns", name), hpa::read(object).unwrap());
        self
    }

    /// A `ScaledObject` with the HPA that KEDA makes of it.
    fn keda(self, annotations: &str, spec: &str) -> Self {
        let mut scene =
            self.hpa("keda-hpa-a", "labels: {scaledobject.keda.sh/name: a}", &format!("minReplicas: 1, {BY_KEDA}"));
        let _effect = scene.0.apply(ObjectKey::new("ns", "a"), scaled_object(annotations, spec));
        scene
    }

    fn find(&self, spec_replicas: u32) -> (Bounds, Option<Autoscaler>) {
        let object: VariantAutoscaling = yaml(&variant("a"));
        let (key, variant) = (ObjectKey::new("ns", "a"), convert::variant(object));
        Limits::of(&self.0).find(Of { key: &key, target: &variant.target, spec_replicas })
    }

    /// Lower and upper limit of 3 replicas, and who takes them to zero.
    fn limits(&self) -> (Option<u32>, Option<u32>, Zero) {
        let (Bounds { min, max }, autoscaler) = self.find(3);
        (min, max, autoscaler.unwrap().zero)
    }
}

fn scaled_object(annotations: &str, spec: &str) -> ScaledObject {
    let query = "wva_desired_replicas{variant_name=\"a\"}";
    keda::read(&yaml(&format!(
        "{{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {{namespace: ns, name: a, annotations: {{{annotations}}}}}, \
         spec: {{scaleTargetRef: {{name: a}}, maxReplicaCount: 4, triggers: [{{type: prometheus, metadata: {{query: '{query}'}}}}], {spec}}}}}"
    )))
    .unwrap()
}

#[test]
fn without_an_autoscaler_nothing_limits() {
    assert_eq!(Scene::default().find(3), (Bounds::default(), None));
}

#[rstest]
#[case::one_is_kept_while_awake_and_the_controller_takes_it(FOLLOWS, "minReplicas: 1", (1, 4, Zero::Controller))]
#[case::one_by_default(FOLLOWS, "", (1, 4, Zero::Controller))]
#[case::zero_where_the_cluster_allows_it(FOLLOWS, "minReplicas: 0", (0, 4, Zero::Autoscaler))]
#[case::more_than_one_is_kept(FOLLOWS, "minReplicas: 2", (2, 4, Zero::Never))]
#[case::scaled_by_something_else(BY_CPU, "minReplicas: 1", (1, 4, Zero::Never))]
#[case::not_allowed_to_scale_down(FOLLOWS, "behavior: {scaleDown: {selectPolicy: Disabled}}", (3, 4, Zero::Never))]
#[case::not_allowed_to_scale_up(FOLLOWS, "behavior: {scaleUp: {selectPolicy: Disabled}}", (1, 3, Zero::Controller))]
fn an_hpa_reaches_what_its_spec_says(
    #[case] metrics: &str,
    #[case] spec: &str,
    #[case] (min, max, zero): (u32, u32, Zero),
) {
    let scene = Scene::default().hpa("a-hpa", "", &format!("{metrics}, {spec}"));
    assert_eq!(scene.limits(), (Some(min), Some(max), zero));
}

#[rstest]
#[case::zero("", "minReplicaCount: 0", (0, 4, Zero::Autoscaler))]
#[case::zero_by_default("", "", (0, 4, Zero::Autoscaler))]
#[case::one("", "minReplicaCount: 1", (1, 4, Zero::Never))]
#[case::idle_below_the_minimum("", "minReplicaCount: 1, idleReplicaCount: 0", (1, 4, Zero::Autoscaler))]
#[case::paused("autoscaling.keda.sh/paused: 'true'", "", (3, 3, Zero::Never))]
#[case::paused_no_longer("autoscaling.keda.sh/paused: 'false'", "", (0, 4, Zero::Autoscaler))]
#[case::paused_at_two("autoscaling.keda.sh/paused-replicas: '2'", "", (2, 2, Zero::Never))]
#[case::paused_at_zero("autoscaling.keda.sh/paused-replicas: '0'", "", (0, 0, Zero::Autoscaler))]
#[case::paused_at_two_whatever_else_is_said(
    "autoscaling.keda.sh/paused-replicas: '2', autoscaling.keda.sh/paused: 'false'", "", (2, 2, Zero::Never)
)]
#[case::paused_downwards("autoscaling.keda.sh/paused-scale-in: 'true'", "", (3, 4, Zero::Never))]
#[case::paused_upwards("autoscaling.keda.sh/paused-scale-out: 'true'", "", (0, 3, Zero::Autoscaler))]
fn with_keda_the_scaled_object_says_the_limits_and_not_the_hpa_made_of_it(
    #[case] annotations: &str,
    #[case] spec: &str,
    #[case] (min, max, zero): (u32, u32, Zero),
) {
    let scene = Scene::default().keda(annotations, spec);
    assert_eq!(scene.limits(), (Some(min), Some(max), zero));
    let autoscaler = scene.find(3).1.unwrap();
    assert_eq!((&*autoscaler.kind, &*autoscaler.name, autoscaler.follows), ("ScaledObject", "a", true));
    assert_eq!(
        autoscaler.paused.is_some(),
        annotations.contains("paused") && !annotations.starts_with("autoscaling.keda.sh/paused: 'false'")
    );
}

#[rstest]
#[case::fewer_than_it_keeps("minReplicas: 3, behavior: {scaleUp: {selectPolicy: Disabled}}", 1, (3, 3))]
#[case::more_than_it_allows("behavior: {scaleDown: {selectPolicy: Disabled}}", 6, (4, 4))]
#[case::both("minReplicas: 2, behavior: {scaleUp: {selectPolicy: Disabled}, scaleDown: {selectPolicy: Disabled}}", 3, (3, 3))]
fn a_direction_that_is_disabled_does_not_take_an_hpa_out_of_its_limits(
    #[case] spec: &str,
    #[case] replicas: u32,
    #[case] (min, max): (u32, u32),
) {
    let scene = Scene::default().hpa("a-hpa", "", &format!("{FOLLOWS}, {spec}"));
    assert_eq!(scene.find(replicas).0, Bounds { min: Some(min), max: Some(max) });
}

#[rstest]
#[case::up("paused-scale-out", 0, (2, 2))]
#[case::down("paused-scale-in", 6, (4, 4))]
fn a_direction_that_is_paused_does_not_take_keda_out_of_its_limits(
    #[case] paused: &str,
    #[case] replicas: u32,
    #[case] (min, max): (u32, u32),
) {
    let scene = Scene::default().keda(&format!("autoscaling.keda.sh/{paused}: 'true'"), "minReplicaCount: 2");
    assert_eq!(scene.find(replicas).0, Bounds { min: Some(min), max: Some(max) });
}

#[rstest]
#[case::its_own_cpu("type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}")]
#[case::a_queue("type: External, external: {metric: {name: queue}, target: {type: AverageValue, averageValue: '30'}}")]
fn an_hpa_that_has_a_second_metric_follows_the_number_too(#[case] second: &str) {
    let metrics = FOLLOWS.replace("metrics: [", &format!("metrics: [{{{second}}}, "));
    let scene = Scene::default().hpa("a-hpa", "", &metrics);
    assert_eq!(scene.limits(), (Some(1), Some(4), Zero::Controller));
    assert!(scene.find(3).1.unwrap().follows);
}

#[test]
fn an_hpa_that_keda_took_over_from_a_user_is_the_scaled_objects() {
    // `scaledobject.keda.sh/transfer-hpa-ownership`: the HPA keeps its name, and what it said before.
    let mut scene = Scene::default().hpa(
        "llama-hpa",
        "labels: {scaledobject.keda.sh/name: a}",
        &format!("minReplicas: 1, {FOLLOWS}"),
    );
    let annotations = "scaledobject.keda.sh/transfer-hpa-ownership: 'true'";
    let spec = "minReplicaCount: 0, advanced: {horizontalPodAutoscalerConfig: {name: llama-hpa}}";
    let _effect = scene.0.apply(ObjectKey::new("ns", "a"), scaled_object(annotations, spec));
    assert_eq!(scene.limits(), (Some(0), Some(4), Zero::Autoscaler));
    assert_eq!(scene.find(3).1.unwrap().kind, "ScaledObject");
}

#[rstest]
#[case::by_label("labels: {scaledobject.keda.sh/name: a}")]
#[case::by_owner(
    "ownerReferences: [{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, name: a, uid: u, controller: true}]"
)]
fn the_lower_limit_of_an_hpa_of_keda_is_not_known_while_its_scaled_object_cannot_be_read(#[case] metadata: &str) {
    let one = Scene::default().hpa("keda-hpa-a", metadata, &format!("minReplicas: 1, {BY_KEDA}"));
    assert_eq!(one.limits(), (None, Some(4), Zero::Autoscaler));
    let two = Scene::default().hpa("keda-hpa-a", metadata, &format!("minReplicas: 2, {BY_KEDA}"));
    assert_eq!(two.limits(), (Some(2), Some(4), Zero::Never), "KEDA writes what is above 1 as it is");
}

#[test]
fn a_scaled_object_counts_before_and_after_keda_has_made_an_hpa_of_it() {
    let mut scene = Scene::default();
    let _effect = scene.0.apply(ObjectKey::new("ns", "a"), scaled_object("", "minReplicaCount: 2"));
    assert_eq!(scene.limits(), (Some(2), Some(4), Zero::Never));
}

#[test]
fn an_autoscaler_of_another_kind_of_target_with_the_same_name_does_not_limit() {
    let mut scene = Scene::default().keda("", "minReplicaCount: 2");
    scene.0.hpas.clear();
    for scaled in scene.0.scaled_objects.values_mut() {
        "apps.kruise.io".clone_into(&mut scaled.group);
    }
    assert_eq!(scene.find(3), (Bounds::default(), None));
}

#[rstest]
#[case::both_help("minReplicas: 1", (1, Zero::Controller))]
#[case::one_keeps_more("minReplicas: 2", (2, Zero::Never))]
fn of_several_autoscalers_the_one_that_reaches_least_counts(#[case] second: &str, #[case] (min, zero): (u32, Zero)) {
    let scene = Scene::default().hpa("a-hpa", "", FOLLOWS).hpa("second", "", &format!("{FOLLOWS}, {second}"));
    assert_eq!(scene.limits(), (Some(min), Some(4), zero));
}

#[test]
fn an_hpa_by_hand_beside_a_scaled_object_keeps_its_replica_only_if_it_follows_something_else() {
    let with = |metrics: &str| Scene::default().keda("", "minReplicaCount: 0").hpa("by-hand", "", metrics).limits();
    assert_eq!(with(FOLLOWS), (Some(1), Some(4), Zero::Controller));
    assert_eq!(with(BY_CPU), (Some(1), Some(4), Zero::Never));
}

#[test]
fn what_is_paused_while_it_sleeps_is_not_woken() {
    let scene = Scene::default().keda("autoscaling.keda.sh/paused: 'true'", "");
    assert_eq!(scene.find(0).0, Bounds { min: Some(0), max: Some(0) });
    let scene =
        Scene::default().hpa("a-hpa", "", &format!("{FOLLOWS}, behavior: {{scaleUp: {{selectPolicy: Disabled}}}}"));
    assert_eq!(scene.find(0).0.max, Some(1), "an HPA does not wake anything, so it keeps nothing asleep");
}
