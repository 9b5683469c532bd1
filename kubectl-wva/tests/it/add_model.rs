//! What `add-model` makes of flags and of the cluster it finds.

use kubectl_wva::Error;
use kubectl_wva::commands::add_model::{
    AddModelArgs, Controllers, Facts, Plan, Refusal, check_rendered, compare, plan,
};
use kubectl_wva::writers::install;
use rstest::rstest;
use serde_json::{Map, Value, json};

use crate::objects::{controller, deployment, deployments, variant, variants};

/// A cluster with one controller, `team-a`, and the Deployment `llama-decode` in namespace `models`.
fn facts() -> Facts {
    Facts {
        namespace: "models".to_owned(),
        annotations: Some(std::collections::BTreeMap::new()),
        deployments: deployments(&[deployment("models", "llama-decode", 1)]),
        variants: Vec::new(),
        controllers: Controllers::Known(vec![controller("wva-a", "team-a", &[])]),
    }
}

fn args() -> AddModelArgs {
    AddModelArgs { name: "llama".to_owned(), model_id: Some("meta/llama".to_owned()), ..AddModelArgs::default() }
}

fn given(values: Value) -> Map<String, Value> {
    let Value::Object(map) = values else { panic!("values are a map") };
    map
}

fn planned(args: &AddModelArgs, facts: &Facts) -> Result<Plan, Refusal> {
    plan(args, &Map::new(), facts)
}

fn objects(plan: &Plan) -> Vec<Value> {
    let rendered = install::render(&plan.release, &plan.namespace, plan.values.clone()).unwrap();
    rendered.manifests.into_iter().map(|manifest| manifest.object).collect()
}

fn of_kind(objects: &[Value], kind: &str) -> Value {
    objects.iter().find(|object| object["kind"] == kind).unwrap_or_else(|| panic!("no {kind}")).clone()
}

#[test]
fn flags_become_chart_values() {
    let args = AddModelArgs {
        accelerator: Some("A100".to_owned()),
        cost: Some("40".to_owned()),
        min: Some(1),
        max: Some(4),
        ..args()
    };
    let plan = planned(&args, &facts()).unwrap();
    insta::assert_snapshot!("values_of_all_flags", serde_json::to_string_pretty(&plan.values).unwrap());
}

#[test]
fn the_install_holds_the_model_and_no_controller() {
    let objects = objects(&planned(&args(), &facts()).unwrap());
    let mut kinds: Vec<&str> = objects.iter().map(|object| object["kind"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    let expect = [
        "ClusterRole",
        "ClusterRole",
        "ClusterRole",
        "HorizontalPodAutoscaler",
        "Service",
        "ServiceMonitor",
        "VariantAutoscaling",
    ];
    assert_eq!(kinds, expect);
}

#[test]
fn instance_cost_bounds_and_target_reach_the_objects() {
    let args = AddModelArgs { cost: Some("40".to_owned()), min: Some(2), max: Some(4), ..args() };
    let objects = objects(&planned(&args, &facts()).unwrap());
    let (variant, hpa) = (of_kind(&objects, "VariantAutoscaling"), of_kind(&objects, "HorizontalPodAutoscaler"));
    assert_eq!(variant["metadata"]["labels"]["wva.llmd.ai/controller-instance"], "team-a");
    assert_eq!(variant["metadata"]["namespace"], "models");
    assert_eq!(variant["spec"]["variantCost"], "40");
    assert_eq!(variant["spec"]["scaleTargetRef"]["name"], "llama-decode");
    assert_eq!((&hpa["spec"]["minReplicas"], &hpa["spec"]["maxReplicas"]), (&json!(2), &json!(4)));
    assert_eq!(hpa["spec"]["scaleTargetRef"]["name"], "llama-decode");
    let labels = &hpa["spec"]["metrics"][0]["external"]["metric"]["selector"]["matchLabels"];
    assert_eq!(labels["controller_instance"], "team-a");
    assert_eq!(of_kind(&objects, "Service")["spec"]["selector"]["llm-d.ai/model"], "llama");
}

#[test]
fn without_an_id_nothing_is_labelled_for_an_instance() {
    let facts = Facts { controllers: Controllers::Known(vec![controller("wva", "", &[])]), ..facts() };
    let text = Value::from(objects(&planned(&args(), &facts).unwrap())).to_string();
    assert!(!text.contains("controller-instance") && !text.contains("controller_instance"), "{text}");
}

#[test]
fn an_unknown_accelerator_is_left_to_the_controller() {
    let objects = objects(&planned(&args(), &facts()).unwrap());
    let labels = &of_kind(&objects, "VariantAutoscaling")["metadata"]["labels"];
    assert_eq!(labels["inference.optimization/acceleratorName"].as_str().unwrap_or_default(), "");
}

#[rstest]
#[case::flag_beats_set(Some("7"), json!({"va": {"variantCost": "8"}}), "/va/variantCost", json!("7"))]
#[case::set_beats_default(None, json!({"va": {"variantCost": "8"}}), "/va/variantCost", json!("8"))]
#[case::switches_are_the_users(None, json!({"hpa": {"enabled": false}}), "/hpa/enabled", json!(false))]
#[case::same_as_ours_is_no_conflict(None, json!({"controller": {"enabled": false}}), "/controller/enabled", json!(false))]
#[case::instance_by_value(None, json!({"wva": {"controllerInstance": "team-a"}}), "/wva/controllerInstance", json!("team-a"))]
fn precedence(#[case] cost: Option<&str>, #[case] values: Value, #[case] pointer: &str, #[case] expect: Value) {
    let args = AddModelArgs { cost: cost.map(str::to_owned), ..args() };
    let plan = plan(&args, &given(values), &facts()).unwrap();
    assert_eq!(Value::Object(plan.values).pointer(pointer), Some(&expect));
}

#[rstest]
#[case::name_with_suffix("llama", None, None, "llama-decode", "llama")]
#[case::name_itself("llama-decode", None, None, "llama-decode", "llama")]
#[case::model_name("x", None, Some("llama"), "llama-decode", "llama")]
#[case::deployment("x", Some("plain"), None, "plain", "chat")]
#[case::both("x", Some("plain"), Some("mine"), "plain", "mine")]
fn the_target_is_found(
    #[case] name: &str,
    #[case] deployment_flag: Option<&str>,
    #[case] model_name: Option<&str>,
    #[case] target: &str,
    #[case] label: &str,
) {
    let mut plain = deployment("models", "plain", 1);
    plain["spec"]["template"]["metadata"]["labels"]["llm-d.ai/model"] = json!("chat");
    let mut facts = facts();
    facts.deployments.extend(deployments(&[plain]));
    let args = AddModelArgs {
        name: name.to_owned(),
        deployment: deployment_flag.map(str::to_owned),
        model_name: model_name.map(str::to_owned),
        ..args()
    };
    let plan = planned(&args, &facts).unwrap();
    assert_eq!((plan.target.as_str(), plan.values["llmd"]["modelName"].as_str()), (target, Some(label)));
}

#[test]
fn the_only_controller_that_watches_the_namespace_is_taken() {
    let controllers = vec![controller("wva-a", "team-a", &["elsewhere"]), controller("wva-b", "team-b", &["models"])];
    let facts = Facts { controllers: Controllers::Known(controllers), ..facts() };
    assert_eq!(planned(&args(), &facts).unwrap().instance.id(), Some("team-b"));
}

#[test]
fn a_model_may_come_before_its_deployment_when_asked_for() {
    let args = AddModelArgs { deployment: Some("later-decode".to_owned()), create_before_target: true, ..args() };
    let plan = planned(&args, &facts()).unwrap();
    assert_eq!((plan.target.as_str(), plan.values["llmd"]["modelName"].as_str()), ("later-decode", Some("later")));
    insta::assert_snapshot!("note_before_target", plan.notes.join("\n"));
}

#[test]
fn what_may_go_wrong_later_is_said_now() {
    let mut unlabelled = deployment("models", "llama-decode", 1);
    unlabelled["spec"]["template"]["metadata"] = json!({});
    let mut down = controller("wva-a", "team-a", &[]);
    down.ready = 0;
    let facts =
        Facts { deployments: deployments(&[unlabelled]), controllers: Controllers::Known(vec![down]), ..facts() };
    insta::assert_snapshot!("notes", planned(&args(), &facts).unwrap().notes.join("\n"));
}

#[test]
fn a_label_shared_by_two_deployments_is_pointed_out() {
    let mut twin = deployment("models", "twin", 1);
    twin["spec"]["template"]["metadata"]["labels"]["llm-d.ai/model"] = json!("llama");
    let mut facts = facts();
    facts.deployments.extend(deployments(&[twin]));
    insta::assert_snapshot!("note_shared_label", planned(&args(), &facts).unwrap().notes.join("\n"));
}

fn refusal(name: &str, refusal: Refusal) {
    insta::assert_snapshot!(
        format!("refusal_{name}"),
        anstream::adapter::strip_str(&Error::from(refusal).report()).to_string()
    );
}

#[test]
fn refusals_about_flags() {
    refusal("no_model_id", planned(&AddModelArgs { model_id: None, ..args() }, &facts()).unwrap_err());
    refusal("empty_range", planned(&AddModelArgs { min: Some(3), max: Some(2), ..args() }, &facts()).unwrap_err());
    for (name, values) in [
        ("with_controller", json!({"controller": {"enabled": true}})),
        ("other_namespace", json!({"llmd": {"namespace": "other"}})),
    ] {
        refusal(name, plan(&args(), &given(values), &facts()).unwrap_err());
    }
}

#[test]
fn refusals_about_controllers() {
    let two = || vec![controller("wva-a", "team-a", &[]), controller("wva-b", "", &["models"])];
    let with = |controllers| Facts { controllers, ..facts() };
    refusal("no_controller", planned(&args(), &with(Controllers::Known(vec![]))).unwrap_err());
    refusal("several", planned(&args(), &with(Controllers::Known(two()))).unwrap_err());
    let elsewhere = vec![controller("wva-a", "team-a", &["x", "y"])];
    refusal("outside", planned(&args(), &with(Controllers::Known(elsewhere))).unwrap_err());
    let other = AddModelArgs { instance: Some("team-c".to_owned()), ..args() };
    refusal("other_instance", planned(&other, &with(Controllers::Known(two()))).unwrap_err());
    let annotations = [("wva.llmd.ai/exclude".to_owned(), "true".to_owned())].into();
    refusal("excluded", planned(&args(), &Facts { annotations: Some(annotations), ..facts() }).unwrap_err());
    let hidden = with(Controllers::Hidden("deployments.apps is forbidden".to_owned()));
    refusal("hidden", planned(&args(), &hidden).unwrap_err());
    let invalid = AddModelArgs { instance: Some("team a".to_owned()), ..args() };
    refusal("invalid_instance", planned(&invalid, &facts()).unwrap_err());
}

#[test]
fn who_names_the_instance_may_add_a_model_without_seeing_controllers() {
    let facts = Facts { controllers: Controllers::Hidden("forbidden".to_owned()), ..facts() };
    let args = AddModelArgs { instance: Some("team-a".to_owned()), ..args() };
    let plan = planned(&args, &facts).unwrap();
    assert_eq!((plan.instance.id(), plan.notes.len()), (Some("team-a"), 1));
}

#[test]
fn one_of_several_is_chosen_by_instance() {
    let two = vec![controller("wva-a", "team-a", &[]), controller("wva-b", "", &[])];
    let facts = Facts { controllers: Controllers::Known(two), ..facts() };
    for id in ["team-a", ""] {
        let args = AddModelArgs { instance: Some(id.to_owned()), ..args() };
        assert_eq!(planned(&args, &facts).unwrap().instance.id().unwrap_or_default(), id);
    }
}

#[test]
fn refusals_about_targets_and_names() {
    let missing = AddModelArgs { deployment: Some("gone".to_owned()), ..args() };
    refusal("target_missing", planned(&missing, &facts()).unwrap_err());
    refusal("no_deployment_at_all", planned(&args(), &Facts { deployments: vec![], ..facts() }).unwrap_err());

    let plan = planned(&args(), &facts()).unwrap();
    let objects = objects(&plan);
    let objects: Vec<&Value> = objects.iter().collect();
    let check =
        |existing: Value| check_rendered(&plan, &objects, &Facts { variants: variants(&[existing]), ..facts() });
    refusal("target_taken", check(variant("models", "other", "llama-decode", "team-a")).unwrap_err());
    let name =
        of_kind(&objects.iter().map(|&o| o.clone()).collect::<Vec<_>>(), "VariantAutoscaling")["metadata"]["name"]
            .clone();
    let mut foreign = variant("models", "foreign", "llama-decode", "team-a");
    foreign["metadata"]["name"] = name.clone();
    refusal("name_taken", check(foreign).unwrap_err());
    let mut of_other_instance = variant("models", "llama", "llama-decode", "team-z");
    of_other_instance["metadata"]["name"] = name.clone();
    refusal("handed_over", check(of_other_instance).unwrap_err());
    let mut own = variant("models", "llama", "llama-decode", "team-a");
    own["metadata"]["name"] = name.clone();
    assert_eq!(check(own).ok(), name.as_str().map(str::to_owned));
}

/// What is rendered for the usual flags, compared with live objects.
fn compared(live: Vec<Value>, force: bool) -> Result<Vec<String>, Refusal> {
    let plan = planned(&args(), &facts()).unwrap();
    let rendered = install::render(&plan.release, &plan.namespace, plan.values.clone()).unwrap();
    compare(&plan, &rendered, live, force)
}

#[test]
fn the_model_itself_from_before_is_in_nobodys_way() {
    let before = objects(&planned(&args(), &facts()).unwrap());
    assert_eq!(compared(before, false), Ok(vec![]));
    assert_eq!(compared(Vec::new(), false), Ok(vec![]));
}

#[test]
fn an_autoscaler_that_scales_the_target_already_stops_the_model() {
    let mut scaler = of_kind(&objects(&planned(&args(), &facts()).unwrap()), "HorizontalPodAutoscaler");
    scaler["metadata"] = json!({"name": "by-hand", "namespace": "models"});
    for force in [false, true] {
        let Err(Refusal::Collides(problems)) = compared(vec![scaler.clone()], force) else { panic!("a refusal") };
        assert!(problems.iter().any(|problem| problem.starts_with("HorizontalPodAutoscaler by-hand")), "{problems:?}");
    }
}

#[test]
fn an_object_of_another_release_is_taken_over_only_by_force() {
    let mut service = of_kind(&objects(&planned(&args(), &facts()).unwrap()), "Service");
    service["metadata"]["labels"]["app.kubernetes.io/instance"] = json!("other");
    let refusal = compared(vec![service.clone()], false).unwrap_err();
    assert!(refusal.to_string().contains("(models/other)"), "{refusal}");
    assert!(refusal.hint().contains("--force-conflicts"));
    assert!(compared(vec![service], true).is_ok());
}

#[test]
fn a_service_that_picks_the_same_pods_is_worth_a_note() {
    let mut service = of_kind(&objects(&planned(&args(), &facts()).unwrap()), "Service");
    service["metadata"] = json!({"name": "by-hand", "namespace": "models"});
    let notes = compared(vec![service], false).unwrap();
    assert!(notes.len() == 1 && notes[0].starts_with("Service by-hand"), "{notes:?}");
}
