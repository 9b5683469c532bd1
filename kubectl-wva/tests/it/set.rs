//! `set` as a shell sees it.

use rstest::rstest;
use serde_json::{Value, json};

use crate::cli::wva;
use crate::fake_api::{FakeApi, list, refusal};
use crate::objects::{hpa, variant};

const VARIANTS: &str = "/apis/llmd.ai/v1alpha1/namespaces/models/variantautoscalings";
const HPAS: &str = "/apis/autoscaling/v2/namespaces/models/horizontalpodautoscalers";
const SCALED_OBJECTS: &str = "/apis/keda.sh/v1alpha1/namespaces/models/scaledobjects";

/// What an object is given that its owner made: `add-model`, or `helm`, or nobody in particular.
fn made_by(mut object: Value, owner: &str) -> Value {
    match owner {
        "add-model" => {
            object["metadata"]["annotations"] =
                json!({"wva.llmd.ai/add-model": r#"{"hpa":{"maxReplicas":3},"va":{"accelerator":"A100"}}"#});
            object["metadata"]["managedFields"] = json!([{
                "manager": "kubectl-wva", "operation": "Apply", "fieldsType": "FieldsV1",
                "fieldsV1": {
                    "f:metadata": {"f:annotations": {"f:wva.llmd.ai/add-model": {}}},
                    "f:spec": {"f:maxReplicas": {}, "f:variantCost": {}},
                },
            }]);
        }
        "helm" => object["metadata"]["annotations"] = json!({"meta.helm.sh/release-name": "llama"}),
        _ => {}
    }
    object
}

fn cluster(owner: &'static str) -> impl Fn(&str, &str) -> (u16, Value) + Send + 'static {
    let one = move || made_by(variant("models", "llama", "llama", "team-a"), owner);
    let follower = move || made_by(hpa("models", "llama", 2), owner);
    move |_, path| match path {
        VARIANTS => list(&[one()]),
        HPAS => list(&[follower()]),
        path if path.starts_with(VARIANTS) => (200, one()),
        path if path.starts_with(HPAS) => (200, follower()),
        _ => refusal(404, "NotFound", "the server could not find the requested resource"),
    }
}

fn writes(api: &FakeApi) -> Vec<String> {
    api.asked().into_iter().filter(|line| line.starts_with("PATCH")).collect()
}

#[test]
fn what_nobody_manages_is_patched_where_it_changes_and_the_difference_is_shown() {
    let api = FakeApi::start(cluster(""));
    let answer = wva(&["set", "llama", "--max", "8", "--cost", "35"], Some(&api.kubeconfig));
    assert_eq!(answer.code, 0, "{}", answer.err);
    let expect = "horizontalpodautoscaler.autoscaling/llama-hpa changed\n- spec.maxReplicas: 10\n+ spec.maxReplicas: 8\n\
                  variantautoscaling.llmd.ai/llama-va changed\n- spec.variantCost: \"40\"\n+ spec.variantCost: \"35\"\n";
    assert_eq!(answer.out, expect);
    let (hpa, va) = (format!("PATCH {HPAS}/llama-hpa"), format!("PATCH {VARIANTS}/llama-va"));
    let rehearsed = [format!("{hpa} (dry run)"), format!("{va} (dry run)")];
    assert_eq!(
        writes(&api),
        [rehearsed[0].clone(), rehearsed[1].clone(), hpa, va],
        "all is checked before it is written"
    );
    assert_eq!(api.bodies()[2..], [json!({"spec": {"maxReplicas": 8}}), json!({"spec": {"variantCost": "35"}})]);
}

#[test]
fn what_add_model_made_is_applied_again_and_kept_for_the_next_add_model() {
    let api = FakeApi::start(cluster("add-model"));
    let answer = wva(&["set", "llama", "--max", "8"], Some(&api.kubeconfig));
    assert_eq!(answer.code, 0, "{}", answer.err);
    assert!(
        answer.out.ends_with("variantautoscaling.llmd.ai/llama-va keeps it for the next add-model\n"),
        "{}",
        answer.out
    );
    let bodies = api.bodies();
    assert_eq!(bodies[2]["kind"], "HorizontalPodAutoscaler", "an apply names the whole object");
    assert_eq!(bodies[2]["spec"], json!({"maxReplicas": 8}), "what others set is not touched");
    let kept: Value =
        serde_json::from_str(bodies[3]["metadata"]["annotations"]["wva.llmd.ai/add-model"].as_str().unwrap()).unwrap();
    assert_eq!(kept, json!({"hpa": {"maxReplicas": 8}, "va": {"accelerator": "A100"}}));
}

#[test]
fn what_helm_keeps_track_of_is_changed_by_helm_unless_forced() {
    let api = FakeApi::start(cluster("helm"));
    let answer = wva(&["set", "llama", "--max", "8", "--cost", "35"], Some(&api.kubeconfig));
    assert_eq!(answer.code, 2, "{}", answer.out);
    let command = "helm upgrade llama ./charts/workload-variant-autoscaler -n models --reuse-values --set hpa.maxReplicas=8 \
                   --set-string va.variantCost=35";
    assert!(answer.err.contains(command) && writes(&api).is_empty(), "{}", answer.err);
    let answer = wva(&["set", "llama", "--max", "8", "--force-conflicts"], Some(&api.kubeconfig));
    assert_eq!((answer.code, writes(&api).len()), (0, 2), "{}", answer.err);
}

#[test]
fn a_dry_run_shows_the_difference_and_writes_nothing() {
    let api = FakeApi::start(cluster(""));
    let answer = wva(&["set", "llama", "--cost", "35", "--dry-run", "client"], Some(&api.kubeconfig));
    assert!(answer.out.contains("changed (dry run)\n- spec.variantCost"), "{}", answer.out);
    assert!(writes(&api).is_empty());
    wva(&["set", "llama", "--cost", "35", "--dry-run", "server"], Some(&api.kubeconfig));
    assert_eq!(writes(&api), [format!("PATCH {VARIANTS}/llama-va (dry run)")]);
}

/// The same model, followed by KEDA; its variant names its model as early ones did.
fn with_keda(_: &str, path: &str) -> (u16, Value) {
    let mut old = variant("models", "llama", "llama", "team-a");
    let spec = old["spec"].as_object_mut().unwrap();
    let model = spec.remove("modelID").unwrap();
    spec.insert("modelId".to_owned(), model);
    let object = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"namespace": "models", "name": "llama-so"},
        "spec": {"scaleTargetRef": {"name": "llama"}, "maxReplicaCount": 4, "triggers": []},
    });
    let mut made = hpa("models", "llama", 2);
    made["metadata"]["labels"] = json!({"scaledobject.keda.sh/name": "llama-so"});
    match path {
        VARIANTS => list(&[old]),
        HPAS => list(&[made]),
        SCALED_OBJECTS => list(&[object]),
        path if path.starts_with(VARIANTS) => (200, old),
        path if path.starts_with(SCALED_OBJECTS) => (200, object),
        _ => refusal(404, "NotFound", "the server could not find the requested resource"),
    }
}

#[test]
fn limits_of_a_scaled_object_are_set_in_it_and_not_in_the_hpa_that_keda_made() {
    let api = FakeApi::start(with_keda);
    let answer = wva(&["set", "llama", "--min", "0", "--max", "8"], Some(&api.kubeconfig));
    assert_eq!(answer.code, 0, "{}", answer.err);
    let shown = "scaledobject.keda.sh/llama-so changed\n+ spec.minReplicaCount: 0\n\
                 - spec.maxReplicaCount: 4\n+ spec.maxReplicaCount: 8\n";
    assert!(answer.out.starts_with(shown), "{}", answer.out);
    let object = format!("PATCH {SCALED_OBJECTS}/llama-so");
    assert_eq!(writes(&api), [format!("{object} (dry run)"), object]);
    assert_eq!(api.bodies()[1], json!({"spec": {"minReplicaCount": 0, "maxReplicaCount": 8}}));
    let empty = wva(&["set", "llama", "--min", "5"], Some(&api.kubeconfig));
    assert!(empty.code == 2 && empty.err.contains("contradicts the maximum of 4"), "{}", empty.err);
}

#[test]
fn a_model_is_set_under_the_name_that_its_field_has() {
    for (cluster, field) in
        [(Box::new(cluster("")) as Box<dyn Fn(&str, &str) -> _ + Send>, "modelID"), (Box::new(with_keda), "modelId")]
    {
        let api = FakeApi::start(cluster);
        let answer = wva(&["set", "llama", "--model-id", "meta/llama-3.3"], Some(&api.kubeconfig));
        let shown = format!("- spec.{field}: \"meta/llama\"\n+ spec.{field}: \"meta/llama-3.3\"\n");
        assert!(answer.code == 0 && answer.out.contains(&shown), "{} {}", answer.out, answer.err);
        assert_eq!(writes(&api).last().unwrap(), &format!("PATCH {VARIANTS}/llama-va"), "the follower is left alone");
        assert_eq!(api.bodies()[1], json!({"spec": {field: "meta/llama-3.3"}}));
    }
}

#[test]
fn programs_get_the_fields_with_both_values() {
    let api = FakeApi::start(cluster(""));
    let answer = wva(&["set", "llama", "--cost", "35", "-o", "json"], Some(&api.kubeconfig));
    let views: Value = serde_json::from_str(&answer.out).unwrap();
    let change = json!({"path": ["spec", "variantCost"], "before": "40", "after": "35"});
    assert_eq!(views, json!([{"object": "variantautoscaling.llmd.ai/llama-va", "changes": [change]}]));
}

#[rstest]
#[case::unknown(&["set", "lama", "--max", "3"], "did you mean llama?")]
#[case::nothing(&["set", "llama"], "--max <N>|--min <N>|--cost <NUMBER>|--model-id <ID>")]
#[case::contradiction(&["set", "llama", "--min", "11"], "--min 11 contradicts the maximum of 10")]
#[case::swapped(&["set", "llama", "--min", "5", "--max", "4"], "give --min and --max together")]
#[case::no_number(&["set", "llama", "--cost", "dear"], "--cost <NUMBER>': give a decimal number such as 40 or 12.5")]
#[case::zero(&["set", "llama", "--max", "0"], "--max <N>': 0 is not in 1..=100000")]
fn what_makes_no_sense_is_refused_before_anything_is_written(#[case] words: &[&str], #[case] expect: &str) {
    let api = FakeApi::start(cluster(""));
    let answer = wva(words, Some(&api.kubeconfig));
    assert_eq!(answer.code, 2, "{}", answer.out);
    assert!(answer.err.contains(expect), "{}", answer.err);
    assert!(writes(&api).is_empty());
}
