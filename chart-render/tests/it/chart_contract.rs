//! What the chart promises to its users.

use std::collections::{BTreeMap, BTreeSet};

use chart_render::{Chart, Manifest, Options, Release, Rendered, Values, render};
use rstest::rstest;
use serde_json::{Value as Json, json};

use crate::helm::chart;

const INSTANCE: &str = "wva.llmd.ai/controller-instance";

fn rendered(set: &[&str]) -> Rendered {
    rendered_with(set, &Options::default())
}

fn rendered_with(set: &[&str], options: &Options) -> Rendered {
    let mut values = Values::new();
    for input in set {
        values.set(input).expect("settings");
    }
    let chart = Chart::load(chart()).expect("chart");
    render(&chart, values, &Release::new("wva", "wva-system"), options).expect("render")
}

fn one<'a>(rendered: &'a Rendered, kind: &str, suffix: &str) -> &'a Manifest {
    let matches = |manifest: &&Manifest| manifest.kind() == kind && manifest.name().ends_with(suffix);
    let found: Vec<&Manifest> = rendered.manifests.iter().filter(matches).collect();
    assert_eq!(found.len(), 1, "{kind} *{suffix}");
    found[0]
}

fn container(rendered: &Rendered) -> Json {
    one(rendered, "Deployment", "-controller-manager").object["spec"]["template"]["spec"]["containers"][0].clone()
}

/// A variable of the controller; null when it has no such one.
fn environment(rendered: &Rendered, name: &str) -> Json {
    let all = container(rendered)["env"].clone();
    all.as_array().and_then(|all| all.iter().find(|variable| variable["name"] == name)).cloned().unwrap_or(Json::Null)
}

#[rstest]
fn without_a_controller_only_the_model_and_the_user_roles_remain(
    #[values(true, false)] va: bool,
    #[values(true, false)] hpa: bool,
    #[values(true, false)] service: bool,
) {
    let set = format!("controller.enabled=false,va.enabled={va},hpa.enabled={hpa},vllmService.enabled={service}");
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for manifest in rendered(&[&set]).manifests {
        *kinds.entry(manifest.kind().to_owned()).or_default() += 1;
    }
    let expected = [
        ("ClusterRole", 3),
        ("VariantAutoscaling", usize::from(va)),
        ("HorizontalPodAutoscaler", usize::from(hpa)),
        ("Service", usize::from(service)),
        ("ServiceMonitor", usize::from(service)),
    ];
    let expected: BTreeMap<String, usize> =
        expected.into_iter().filter(|(_, count)| *count > 0).map(|(kind, count)| (kind.to_owned(), count)).collect();
    assert_eq!(kinds, expected);
}

#[test]
fn each_user_role_has_its_switch() {
    for role in ["admin", "editor", "viewer"] {
        let rendered = rendered(&["controller.enabled=false", &format!("wva.rbac.userRoles.{role}=false")]);
        let roles: Vec<&str> =
            rendered.manifests.iter().filter(|manifest| manifest.kind() == "ClusterRole").map(Manifest::name).collect();
        assert_eq!(roles.len(), 2, "{roles:?}");
        assert!(roles.iter().all(|name| !name.ends_with(role)), "{roles:?}");
    }
}

#[rstest]
#[case::cluster_wide("wva.namespaceScoped=false")]
#[case::scoped("wva.namespaceScoped=true,wva.limitedMode=true")]
#[case::everything_on(
    "wva.openshift.enabled=true,wva.prometheus.caCert=x,wva.prometheus.copyCaCert=true,wva.scaleToZeroModels.m.model_id=m"
)]
fn the_instance_id_labels_every_object_and_no_selector(#[case] set: &str) {
    for manifest in rendered(&[set, "wva.controllerInstance=team-a"]).manifests {
        let object = &manifest.object;
        assert_eq!(object["metadata"]["labels"][INSTANCE], "team-a", "{} {}", manifest.kind(), manifest.name());
        assert!(!object["spec"]["selector"].to_string().contains(INSTANCE), "{}", manifest.name());
        if manifest.kind() == "Deployment" {
            assert_eq!(object["spec"]["template"]["metadata"]["labels"][INSTANCE], "team-a");
        }
    }
    for manifest in rendered(&[set]).manifests {
        assert!(!manifest.text.contains(INSTANCE), "{} {}", manifest.kind(), manifest.name());
    }
}

#[test]
fn the_hpa_reads_this_variants_series_of_this_instance() {
    let with = rendered(&["wva.controllerInstance=team-a,llmd.namespace=m"]);
    let selector = |rendered: &Rendered| {
        let metric =
            one(rendered, "HorizontalPodAutoscaler", "-hpa").object["spec"]["metrics"][0]["external"]["metric"].clone();
        assert_eq!(metric["name"], "wva_desired_replicas");
        metric["selector"]["matchLabels"].clone()
    };
    let variant = one(&with, "VariantAutoscaling", "-va").name().to_owned();
    assert_eq!(
        selector(&with),
        json!({"variant_name": variant, "exported_namespace": "m", "controller_instance": "team-a"})
    );
    let without = rendered(&["llmd.namespace=m"]);
    assert_eq!(selector(&without), json!({"variant_name": variant, "exported_namespace": "m"}));
}

#[rstest]
#[case::by_model("llmd.modelName=llama", "llama-decode")]
#[case::by_name("llmd.modelName=llama,llmd.deploymentName=other", "other")]
fn variant_and_hpa_have_one_target(#[case] set: &str, #[case] target: &str) {
    let rendered = rendered(&[set]);
    let expected = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": target});
    assert_eq!(one(&rendered, "VariantAutoscaling", "-va").object["spec"]["scaleTargetRef"], expected);
    assert_eq!(one(&rendered, "HorizontalPodAutoscaler", "-hpa").object["spec"]["scaleTargetRef"], expected);
}

#[test]
fn the_models_monitor_selects_only_its_own_service() {
    let rendered = rendered(&["llmd.namespace=m"]);
    let monitor = &one(&rendered, "ServiceMonitor", "-vllm-monitor").object;
    assert_eq!(monitor["spec"]["namespaceSelector"], json!({"matchNames": ["m"]}));
    let wanted = monitor["spec"]["selector"]["matchLabels"].as_object().expect("labels").clone();
    assert_eq!(wanted["app.kubernetes.io/instance"], "wva");
    let labels = &one(&rendered, "Service", "-vllm").object["metadata"]["labels"];
    assert!(wanted.iter().all(|(key, value)| labels[key] == *value), "{labels}");
    let metrics = &one(&rendered, "Service", "-metrics").object["metadata"]["labels"];
    assert!(!wanted.iter().all(|(key, value)| metrics[key] == *value), "the controller's Service is selected too");
}

#[test]
fn nothing_goes_to_a_namespace_that_was_not_named() {
    for manifest in rendered(&["llmd.namespace=m"]).manifests {
        let namespace = manifest.namespace();
        let cluster_wide = manifest.kind().starts_with("Cluster");
        assert!(cluster_wide == namespace.is_none(), "{} {}", manifest.kind(), manifest.name());
        assert!(cluster_wide || matches!(namespace, Some("wva-system" | "m")), "{} {namespace:?}", manifest.kind());
    }
}

#[test]
fn a_scoped_controller_has_roles_where_it_watches_and_no_more() {
    let rendered = rendered(&["wva.namespaceScoped=true,llmd.namespace=m"]);
    let arguments = container(&rendered)["args"].clone();
    assert!(arguments.to_string().contains("\"--watch-namespace=wva-system,m\""), "{arguments}");
    let roles: Vec<_> = rendered
        .manifests
        .iter()
        .filter(|manifest| manifest.kind() == "Role" && manifest.name().ends_with("-manager"))
        .map(Manifest::namespace)
        .collect();
    assert_eq!(roles, [Some("wva-system"), Some("m")]);
    assert!(
        !rendered
            .manifests
            .iter()
            .any(|manifest| manifest.kind() == "ClusterRole" && manifest.name().ends_with("-manager"))
    );
}

#[test]
fn by_default_the_controller_watches_the_cluster_with_little_power() {
    let rendered = rendered(&[]);
    assert!(!container(&rendered)["args"].to_string().contains("watch-namespace"));
    let rules = one(&rendered, "ClusterRole", "-manager").object["rules"].clone();
    for rule in rules.as_array().expect("rules") {
        assert!(!rule["resources"].to_string().contains("secrets"), "{rule}");
        let writes = rule["verbs"].to_string().contains("patch") || rule["verbs"].to_string().contains("update");
        let resources = rule["resources"].to_string();
        assert!(!writes || ["/status", "/scale", "events"].iter().any(|fine| resources.contains(fine)), "{rule}");
    }
}

#[test]
fn the_container_runs_without_privileges() {
    let rendered = rendered(&[]);
    let pod = &one(&rendered, "Deployment", "-controller-manager").object["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    let security = &container(&rendered)["securityContext"];
    assert_eq!(security["readOnlyRootFilesystem"], true);
    assert_eq!(security["allowPrivilegeEscalation"], false);
    assert_eq!(security["capabilities"], json!({"drop": ["ALL"]}));
}

#[test]
fn settings_are_flat_keys_of_the_main_config_map() {
    let rendered =
        rendered(&["wva.reconcileInterval=30s,wva.prometheus.metricsWindow=2m,wva.configMap.immutable=true"]);
    let config = &one(&rendered, "ConfigMap", "-variantautoscaling-config").object;
    assert_eq!(config["immutable"], true);
    assert_eq!(config["data"]["GLOBAL_OPT_INTERVAL"], "30s");
    assert_eq!(config["data"]["METRICS_WINDOW"], "2m");
    assert_eq!(config["data"]["PROMETHEUS_TLS_INSECURE_SKIP_VERIFY"], "false");
    assert!(config["data"].as_object().expect("data").values().all(Json::is_string));
    assert_eq!(one(&rendered, "ConfigMap", "-saturation-scaling-config").object["immutable"], Json::Null);
    for key in config["data"].as_object().expect("data").keys() {
        // The environment wins over the ConfigMap, so it would keep a change from taking effect.
        assert_eq!(environment(&rendered, key), Json::Null, "{key} is hidden by the environment");
    }
}

#[test]
fn a_token_is_sent_over_https_only() {
    let token = |set: &str| environment(&rendered(&[set]), "PROMETHEUS_TOKEN_PATH")["value"].clone();
    assert_eq!(token("wva.prometheus.baseURL=https://p"), "/var/run/secrets/kubernetes.io/serviceaccount/token");
    assert_eq!(token("wva.prometheus.baseURL=http://p"), Json::Null);
    assert_eq!(token("wva.prometheus.baseURL=http://p,wva.prometheus.tokenPath=/t"), "/t");
    let secret = token("wva.prometheus.baseURL=http://p,wva.prometheus.tokenSecret.name=s");
    assert_eq!(secret, "/etc/wva/prometheus-token/token");
}

#[test]
fn the_controllers_metrics_are_scraped_with_a_token_from_a_secret() {
    // The guide's command for OpenShift, and any other install.
    for set in ["va.accelerator=L40S,wva.prometheus.caCert=x", "wva.prometheus.baseURL=http://prometheus:9090"] {
        let rendered = rendered(&[set]);
        let endpoint = &one(&rendered, "ServiceMonitor", "-metrics-monitor").object["spec"]["endpoints"][0];
        let secret = one(&rendered, "Secret", "-metrics-reader");
        assert_eq!(endpoint["authorization"]["credentials"], json!({"name": secret.name(), "key": "token"}));
        let texts = rendered.manifests.iter().map(|manifest| &manifest.text);
        assert_eq!(texts.filter(|text| text.contains("bearerTokenFile")).count(), 0);
    }
    let own = rendered(&["wva.metrics.serviceMonitor.dedicatedToken=false"]);
    assert!(one(&own, "ServiceMonitor", "-metrics-monitor").text.contains("bearerTokenFile"));
}

#[rstest]
#[case::openshifts("", Json::Null)]
#[case::openshifts_with_a_user("wva.podSecurityContext.runAsUser=1000", json!(1000))]
#[case::another("wva.prometheus.baseURL=https://prometheus:9090", json!(65532))]
#[case::openshift("wva.openshift.enabled=true,wva.podSecurityContext.runAsUser=1000", Json::Null)]
fn where_prometheus_is_openshifts_no_user_is_fixed(#[case] set: &str, #[case] user: Json) {
    let rendered = rendered(&[set]);
    let pod = &one(&rendered, "Deployment", "-controller-manager").object["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsUser"], user);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
}

#[rstest]
#[case::by_default("", &[], false)]
#[case::asked_for("wva.openshift.enabled=true", &[], true)]
#[case::on_openshift("", &["config.openshift.io/v1"], true)]
#[case::on_openshift_with_another_prometheus("wva.prometheus.baseURL=http://p", &["config.openshift.io/v1"], false)]
fn rights_in_openshifts_monitoring_are_given_there_only(#[case] set: &str, #[case] apis: &[&str], #[case] bound: bool) {
    let mut values = Values::new();
    if !set.is_empty() {
        values.set(set).expect("settings");
    }
    let options = Options { api_versions: apis.iter().map(|api| (*api).to_owned()).collect(), ..Options::default() };
    let chart = Chart::load(chart()).expect("chart");
    let rendered = render(&chart, values, &Release::new("wva", "wva-system"), &options).expect("it renders");
    let views = rendered.manifests.iter().filter(|manifest| manifest.text.contains("cluster-monitoring-view"));
    assert_eq!(views.count() == 1, bound);
}

#[test]
fn the_metrics_port_goes_everywhere() {
    let rendered = rendered(&["wva.metrics.port=9443"]);
    assert!(container(&rendered)["args"].to_string().contains("--metrics-bind-address=:9443"));
    assert_eq!(container(&rendered)["ports"][1]["containerPort"], 9443);
    assert_eq!(one(&rendered, "Service", "-metrics").object["spec"]["ports"][0]["port"], 9443);
}

#[test]
fn overrides_keep_zeros_and_inherit_the_rest() {
    let set = "wva.capacityScaling.overrides.a.modelID=m/x,wva.capacityScaling.overrides.a.namespace=n,\
               wva.capacityScaling.overrides.a.queueLengthThreshold=0";
    let rendered = rendered(&[set]);
    let data = one(&rendered, "ConfigMap", "-saturation-scaling-config").object["data"].clone();
    assert_eq!(data["a"], "model_id: \"m/x\"\nnamespace: \"n\"\nqueueLengthThreshold: 0\n");
    assert_eq!(
        data["default"],
        "kvCacheThreshold: 0.8\nkvSpareTrigger: 0.1\nqueueLengthThreshold: 5\nqueueSpareTrigger: 3\nscaleUpPolicy: step\n"
    );
}

#[test]
fn an_hpa_keeps_one_replica_and_a_scaled_object_none_with_scale_to_zero() {
    let hpa =
        |set: &str| one(&rendered(&[set]), "HorizontalPodAutoscaler", "-hpa").object["spec"]["minReplicas"].clone();
    assert_eq!(hpa("wva.scaleToZero=false"), 1);
    assert_eq!(hpa("wva.scaleToZero=true"), 1);
    assert_eq!(hpa("hpa.minReplicas=0"), 1, "a default cluster refuses 0");
    assert_eq!(hpa("wva.scaleToZero=true,hpa.minReplicas=2"), 2);
    let keda = |set: &str| {
        let set = format!("hpa.enabled=false,keda.enabled=true,{set}");
        one(&rendered(&[&set]), "ScaledObject", "-scaledobject").object["spec"]["minReplicaCount"].clone()
    };
    assert_eq!(keda("wva.scaleToZero=false"), 1);
    assert_eq!(keda("wva.scaleToZero=true"), 0);
    assert_eq!(keda("hpa.minReplicas=0"), 0);
}

#[test]
fn an_hpa_tolerates_nothing_where_the_cluster_can_be_told_so() {
    let behavior = |set: &str, version: &str| {
        let options = Options { kube_version: version.parse().expect("a version"), ..Options::default() };
        let rendered = rendered_with(&[set], &options);
        one(&rendered, "HorizontalPodAutoscaler", "-hpa").object["spec"]["behavior"].clone()
    };
    let tolerance = |set, version| {
        let behavior = behavior(set, version);
        ["scaleUp", "scaleDown"].map(|direction| behavior[direction]["tolerance"].clone())
    };
    assert_eq!(tolerance("hpa.maxReplicas=9", "1.35"), ["0", "0"]);
    assert_eq!(tolerance("hpa.maxReplicas=9", "v1.36.1-eks"), ["0", "0"]);
    assert_eq!(tolerance("hpa.maxReplicas=9", "1.34"), [Json::Null, Json::Null], "not in every cluster");
    assert_eq!(tolerance("hpa.tolerance=null", "1.35"), [Json::Null, Json::Null]);
    assert_eq!(tolerance("hpa.tolerance=0.02", "1.35"), ["0.02", "0.02"]);
    assert_eq!(tolerance("hpa.behavior.scaleUp.tolerance=50m", "1.35"), ["50m", "0"], "what is said stays");
    assert_eq!(behavior("hpa.maxReplicas=9", "1.35")["scaleUp"]["stabilizationWindowSeconds"], 240);
}

#[test]
fn the_notes_say_how_long_growth_waits_and_how_to_change_that() {
    let notes = rendered(&["llmd.namespace=m"]).notes;
    assert!(notes.contains("for 240 seconds") && notes.contains("hpa.behavior.scaleUp.stabilizationWindowSeconds=0"));
    let notes = rendered(&["hpa.behavior.scaleUp.stabilizationWindowSeconds=0"]).notes;
    assert!(!notes.contains("It grows only after"), "{notes}");
}

#[test]
fn the_notes_tell_the_next_command() {
    let notes = rendered(&["llmd.namespace=m"]).notes;
    assert!(notes.contains(
        "kubectl -n wva-system rollout status deployment/wva-workload-variant-autoscaler-controller-manager"
    ));
    assert!(notes.contains("kubectl -n m get va wva-workload-variant-autoscaler-va"));
}

/// Names of our series in a text of `PromQL`; what a recording rule or a histogram adds is no part of a name.
fn series(text: &str) -> BTreeSet<String> {
    let words = text.split(|character: char| !(character.is_ascii_lowercase() || character == '_'));
    let names = words.filter(|word| word.starts_with("wva_"));
    names.map(|name| name.trim_end_matches("_bucket").to_owned()).collect()
}

#[test]
fn alerts_and_dashboard_use_only_series_that_are_documented() {
    let docs = std::fs::read_to_string(chart().join("../../docs/metrics.md")).expect("docs/metrics.md");
    let known = series(&docs);
    let rendered = rendered(&["wva.prometheusRule.enabled=true,wva.grafanaDashboard.enabled=true"]);
    let rules = one(&rendered, "PrometheusRule", "-controller-manager").object["spec"].to_string();
    let dashboard = one(&rendered, "ConfigMap", "-dashboard").object["data"].to_string();
    for (text, least) in [(rules, 7), (dashboard, 12)] {
        let used = series(&text);
        assert!(used.len() >= least, "{used:?}");
        let unknown: Vec<&String> = used.difference(&known).collect();
        assert!(unknown.is_empty(), "{unknown:?} are not in docs/metrics.md");
    }
}
