//! The binary as a shell sees it: what goes where, and with which exit code.

use std::path::Path;
use std::process::Stdio;

use crate::fake_api::{FakeApi, kubeconfig_for, list, refusal};
use crate::objects::{decided, deployment, hpa, variant};

use assert_cmd::Command;
use rstest::rstest;
use serde_json::{Value, json};

/// What one call did.
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs the plugin with nothing in its environment but a kubeconfig.
pub(crate) fn wva(args: &[&str], kubeconfig: Option<&Path>) -> Answer {
    wva_with(args, kubeconfig, &[])
}

/// The same, with this in its environment too.
pub(crate) fn wva_with(args: &[&str], kubeconfig: Option<&Path>, environment: &[(&str, &str)]) -> Answer {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("kubectl-wva"));
    command.args(args).env_clear().env("HOME", "/nonexistent").envs(environment.iter().copied());
    if let Some(path) = kubeconfig {
        command.env("KUBECONFIG", path);
    }
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Answer { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// A cluster with one variant in good order.
pub(crate) fn cluster(_: &str, path: &str) -> (u16, Value) {
    let mut controller = deployment("wva-a", "wva-controller-manager", 1);
    controller["metadata"]["labels"] = json!({"wva.llmd.ai/controller-instance": "team-a"});
    match path {
        "/apis/llmd.ai/v1alpha1/namespaces/models/variantautoscalings" => {
            list(&[decided(variant("models", "llama", "llama-decode", "team-a"), 2)])
        }
        "/apis/apps/v1/namespaces/models/deployments" => list(&[deployment("models", "llama-decode", 2)]),
        "/apis/autoscaling/v2/namespaces/models/horizontalpodautoscalers" => list(&[hpa("models", "llama-decode", 2)]),
        "/apis/apps/v1/deployments" => list(&[controller]),
        "/api/v1/namespaces/wva-a/pods" => list(&[]),
        _ => refusal(404, "NotFound", "the server could not find the requested resource"),
    }
}

#[test]
fn status_of_a_healthy_namespace_is_fine_and_says_beside_it_only_what_it_could_not_show() {
    let api = FakeApi::start(cluster);
    let answer = wva(&["status"], Some(&api.kubeconfig));
    let note = "note: loads are not shown: no pod of controller wva-a/wva-controller-manager leads\n";
    assert_eq!((answer.code, answer.err.as_str()), (0, note), "{}", answer.out);
    assert!(answer.out.starts_with("instance team-a: healthy"), "{}", answer.out);
    assert!(!answer.out.contains('\x1b'), "no colour in a pipe");
}

#[test]
fn status_asks_for_four_lists_and_twice_for_each_controller_whatever_the_number_of_variants() {
    let api = FakeApi::start(cluster);
    wva(&["status"], Some(&api.kubeconfig));
    let mut asked = api.asked();
    asked.sort();
    let expect = [
        "GET /api/v1/namespaces/wva-a/pods",
        "GET /apis/apps/v1/deployments",
        "GET /apis/apps/v1/namespaces/models/deployments",
        "GET /apis/autoscaling/v2/namespaces/models/horizontalpodautoscalers",
        "GET /apis/coordination.k8s.io/v1/namespaces/wva-a/leases/team-a.72dd1cf1.llm-d.ai",
        "GET /apis/llmd.ai/v1alpha1/namespaces/models/variantautoscalings",
    ];
    assert_eq!(asked, expect);
}

#[test]
fn a_problem_is_exit_code_one() {
    let api = FakeApi::start(|method, path| match path {
        "/apis/apps/v1/deployments" => list(&[]),
        _ => cluster(method, path),
    });
    let answer = wva(&["status"], Some(&api.kubeconfig));
    assert_eq!(answer.code, 1);
    assert!(answer.out.contains("no controller found"), "{}", answer.out);
}

#[test]
fn fixing_is_refused_where_nobody_can_be_asked_and_nothing_is_looked_at() {
    let api = FakeApi::start(cluster);
    let answer = wva(&["doctor", "--fix"], Some(&api.kubeconfig));
    assert_eq!((answer.code, answer.out.as_str()), (2, ""));
    let expect = "error: could not ask before each command: standard input is no terminal\n\
                  hint: `--yes` carries the commands out without asking; nothing was done\n";
    assert_eq!(answer.err, expect);
    assert!(api.asked().is_empty(), "{:?}", api.asked());
    let unasked = wva(&["doctor", "--yes"], None);
    assert!(unasked.code == 2 && unasked.err.contains("--fix"), "--yes alone means nothing: {}", unasked.err);
}

#[test]
fn colour_is_there_when_asked_for() {
    let api = FakeApi::start(cluster);
    assert!(wva(&["status", "--color", "always"], Some(&api.kubeconfig)).out.contains("\x1b[32mhealthy"));
}

#[test]
fn a_reader_that_stops_reading_is_no_error() {
    let api = FakeApi::start(cluster);
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("kubectl-wva"))
        .args(["status", "-o", "json"])
        .env("KUBECONFIG", &api.kubeconfig)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(0) && !err.contains("error"), "{err}");
}

#[rstest]
#[case::no_crd("no_crd", 404, "NotFound", "404 page not found")]
#[case::no_rights("forbidden", 403, "Forbidden", "variantautoscalings.llmd.ai is forbidden: User \"u\" cannot list")]
#[case::no_login("unauthorized", 401, "Unauthorized", "Unauthorized")]
#[case::broken("server_error", 500, "InternalError", "etcd is not there")]
fn what_the_api_server_refuses_is_one_sentence_with_a_hint(
    #[case] name: &str,
    #[case] code: u16,
    #[case] reason: &'static str,
    #[case] message: &'static str,
) {
    let api = FakeApi::start(move |_, _| refusal(code, reason, message));
    let answer = wva(&["status"], Some(&api.kubeconfig));
    assert_eq!((answer.code, answer.out.as_str()), (2, ""));
    insta::assert_snapshot!(format!("error_{name}"), answer.err.replace(&api.server, "[server]"));
}

#[rstest]
#[case::without_variants(&[])]
#[case::with_variants_of_its_time(&[json!({"metadata": {"namespace": "models", "name": "old"}, "spec": {"modelID": "m"}})])]
fn an_old_definition_is_one_sentence_with_a_hint(#[case] variants: &[Value]) {
    let variants = variants.to_vec();
    let api = FakeApi::start(move |method, path| match path {
        "/apis/llmd.ai/v1alpha1/namespaces/models/variantautoscalings" => list(&variants),
        "/openapi/v3/apis/llmd.ai/v1alpha1" => {
            let kind = json!([{"group": "llmd.ai", "version": "v1alpha1", "kind": "VariantAutoscaling"}]);
            let spec = json!({"properties": {"modelID": {}, "modelProfile": {}}});
            let schema = json!({"x-kubernetes-group-version-kind": kind, "properties": {"spec": spec}});
            (200, json!({"components": {"schemas": {"ai.llmd.v1alpha1.VariantAutoscaling": schema}}}))
        }
        _ => cluster(method, path),
    });
    for command in [&["status"][..], &["list-models"], &["doctor"], &["explain", "llama"], &["remove-model", "llama"]] {
        let answer = wva(command, Some(&api.kubeconfig));
        assert_eq!((answer.code, answer.out.as_str()), (2, ""), "{command:?}");
        insta::allow_duplicates! {
            insta::assert_snapshot!("error_old_crd", answer.err.replace(&api.server, "[server]"));
        }
    }
}

#[test]
fn a_cluster_that_is_not_there_is_exit_code_two() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kubeconfig");
    // Port 1 answers nobody.
    std::fs::write(&path, kubeconfig_for("http://127.0.0.1:1")).unwrap();
    let answer = wva(&["status"], Some(&path));
    assert_eq!(answer.code, 2);
    insta::assert_snapshot!("error_unreachable", answer.err);
}

#[test]
fn a_missing_kubeconfig_or_context_is_exit_code_two() {
    let answer = wva(&["status"], None);
    assert_eq!(answer.code, 2);
    insta::assert_snapshot!("error_no_kubeconfig", answer.err);

    let api = FakeApi::start(cluster);
    let answer = wva(&["status", "--context", "there"], Some(&api.kubeconfig));
    assert_eq!(answer.code, 2);
    insta::assert_snapshot!("error_no_such_context", answer.err);
}

#[test]
fn a_slow_server_is_given_up_on_after_the_request_timeout() {
    // A listener that never accepts: connections wait in its backlog.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kubeconfig");
    std::fs::write(&path, kubeconfig_for(&format!("http://{}", listener.local_addr().unwrap()))).unwrap();
    let answer = wva(&["status", "--request-timeout", "200ms"], Some(&path));
    assert_eq!(answer.code, 2);
    assert!(answer.err.contains("did not answer within 200ms"), "{}", answer.err);
}

#[rstest]
#[case::flag(&["status", "--nonsense"])]
#[case::command(&["frobnicate"])]
#[case::duration(&["status", "--interval", "30"])]
#[case::cost(&["add-model", "llama", "--cost", "dear"])]
#[case::name(&["add-model", "Llama"])]
fn what_is_not_understood_is_exit_code_two(#[case] args: &[&str]) {
    let answer = wva(args, None);
    assert_eq!((answer.code, answer.out.as_str()), (2, ""), "{}", answer.err);
    assert!(answer.err.starts_with("error: "), "{}", answer.err);
}

#[test]
fn help_speaks_of_kubectl_wva() {
    let answer = wva(&["add-model", "-h"], None);
    assert_eq!(answer.code, 0);
    assert!(answer.out.contains("Usage: kubectl wva add-model [OPTIONS] <NAME>"), "{}", answer.out);
}

#[test]
fn version_needs_no_cluster_when_only_the_client_is_asked() {
    let answer = wva(&["version", "--client", "-o", "json"], None);
    let view: Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!((answer.code, view["client"].as_str()), (0, Some(env!("CARGO_PKG_VERSION"))));
}

#[test]
fn a_profile_is_a_values_file_and_whatever_else_is_given_goes_over_it() {
    let file = wva(&["values", "--profile", "model", "--instance", "team-a", "--model-id", "meta/llama"], None);
    assert_eq!(file.code, 0, "{}", file.err);
    assert!(file.out.starts_with("# A model; its controller is another release.\n"), "{}", file.out);
    for part in ["controllerInstance: \"team-a\"", "modelID: \"meta/llama\""] {
        assert!(file.out.contains(part), "{}", file.out);
    }
    let line = ["values", "--profile", "controller", "--set", "wva.logging.level=debug", "-o", "json"];
    let values: Value = serde_json::from_str(&wva(&line, None).out).unwrap();
    assert_eq!((&values["va"]["enabled"], &values["wva"]["logging"]["level"]), (&json!(false), &json!("debug")));

    let rendered = wva(&["render", "wva", "--profile", "controller", "-o", "name"], None);
    assert_eq!(rendered.code, 0, "{}", rendered.err);
    assert!(rendered.out.contains("deployment/") && !rendered.out.contains("variantautoscaling/"), "{}", rendered.out);

    let refused = wva(&["values", "--model-id", "meta/llama"], None);
    assert!(refused.code == 2 && refused.err.contains("--profile"), "{}", refused.err);
}

/// The same cluster without the variant and its autoscaler, and with the kinds of a model without Service and roles.
fn cluster_without_model(method: &str, path: &str) -> (u16, Value) {
    let group = |name: &str, version: &str| {
        let version = json!({"groupVersion": format!("{name}/{version}"), "version": version});
        json!({"name": name, "versions": [version], "preferredVersion": version})
    };
    let kind = |kind: &str, plural: &str| {
        let resource =
            json!({"name": plural, "singularName": "", "namespaced": true, "kind": kind, "verbs": ["patch"]});
        (200, json!({"kind": "APIResourceList", "groupVersion": "", "resources": [resource]}))
    };
    match path {
        "/api/v1/namespaces/models" => (200, json!({"metadata": {"name": "models"}})),
        "/apis" => {
            (200, json!({"kind": "APIGroupList", "groups": [group("autoscaling", "v2"), group("llmd.ai", "v1alpha1")]}))
        }
        "/api" => (200, json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})),
        "/api/v1" => kind("Service", "services"),
        "/apis/autoscaling/v2" => kind("HorizontalPodAutoscaler", "horizontalpodautoscalers"),
        "/apis/llmd.ai/v1alpha1" => kind("VariantAutoscaling", "variantautoscalings"),
        "/apis/llmd.ai/v1alpha1/namespaces/models/variantautoscalings"
        | "/apis/autoscaling/v2/namespaces/models/horizontalpodautoscalers" => list(&[]),
        _ if method == "PATCH" && path.ends_with("-va") => (200, variant("models", "llama", "llama-decode", "team-a")),
        _ if method == "PATCH" => (200, hpa("models", "llama-decode", 1)),
        _ => cluster(method, path),
    }
}

const ADD_MODEL: [&str; 8] = [
    "add-model",
    "llama",
    "--model-id",
    "meta/llama",
    "--set",
    "vllmService.enabled=false",
    "--set",
    "wva.rbac.userRoles.admin=false,wva.rbac.userRoles.editor=false,wva.rbac.userRoles.viewer=false",
];

fn writes(api: &FakeApi) -> Vec<String> {
    api.asked().into_iter().filter(|asked| !asked.starts_with("GET ")).collect()
}

#[test]
fn add_model_rehearses_every_object_before_it_writes_the_first() {
    let api = FakeApi::start(cluster_without_model);
    let answer = wva(&ADD_MODEL, Some(&api.kubeconfig));
    assert_eq!(answer.code, 0, "{}", answer.err);
    let expect = "horizontalpodautoscaler.autoscaling/llama-hpa created\n\
                  variantautoscaling.llmd.ai/llama-va created\n";
    assert_eq!(answer.out, expect);
    let (rehearsed, written): (Vec<_>, Vec<_>) =
        writes(&api).into_iter().partition(|asked| asked.ends_with("(dry run)"));
    assert_eq!((rehearsed.len(), written.len()), (2, 2));
    assert!(writes(&api)[..2].iter().all(|asked| asked.ends_with("(dry run)")), "{:?}", writes(&api));
}

#[test]
fn what_the_api_server_would_refuse_stops_add_model_before_it_writes() {
    let api = FakeApi::start(|method, path| match method {
        "PATCH" if path.ends_with("-hpa") => {
            refusal(409, "Conflict", "Apply failed with 1 conflict: conflict with \"helm\": .spec.maxReplicas")
        }
        _ => cluster_without_model(method, path),
    });
    let answer = wva(&ADD_MODEL, Some(&api.kubeconfig));
    assert_eq!((answer.code, answer.out.as_str()), (2, ""));
    insta::assert_snapshot!("error_conflict", answer.err);
    assert!(writes(&api).iter().all(|asked| asked.ends_with("(dry run)")), "{:?}", writes(&api));
}

#[test]
fn a_kind_the_cluster_lacks_stops_add_model_before_it_writes() {
    let api = FakeApi::start(cluster_without_model);
    let line = [&ADD_MODEL[..4], &ADD_MODEL[6..], &["--set", "vllmService.port=8000"]].concat();
    let answer = wva(&line, Some(&api.kubeconfig));
    assert_eq!((answer.code, writes(&api)), (2, vec![]), "{}", answer.err);
    assert!(answer.err.contains("the cluster does not know ServiceMonitor"), "{}", answer.err);
}

#[test]
fn add_model_writes_nothing_when_it_refuses() {
    let api = FakeApi::start(|method, path| match path {
        "/api/v1/namespaces/models" => (200, json!({"metadata": {"name": "models"}})),
        _ => cluster(method, path),
    });
    let answer = wva(&["add-model", "other", "--deployment", "llama-decode", "--model-id", "m"], Some(&api.kubeconfig));
    assert_eq!(answer.code, 2);
    assert!(answer.err.contains("is scaled already"), "{}", answer.err);
    assert_eq!(writes(&api), Vec::<String>::new());
}

#[test]
fn a_client_dry_run_prints_what_helm_template_would_and_writes_nothing() {
    let api = FakeApi::start(cluster_without_model);
    let line = ["add-model", "llama", "--model-id", "meta/llama", "--cost", "40", "--dry-run", "client", "-o", "yaml"];
    let answer = wva(&line, Some(&api.kubeconfig));
    assert_eq!(answer.code, 0, "{}", answer.err);
    assert!(answer.out.starts_with("---\n# Source: workload-variant-autoscaler/templates/"), "{}", answer.out);
    assert!(answer.out.contains("variantCost: \"40\""), "{}", answer.out);
    assert!(answer.err.contains("variantautoscaling.llmd.ai/llama-va rendered (dry run)"));
    assert_eq!(writes(&api), Vec::<String>::new());
}
