//! The same arguments give the same bytes as `helm template`, and fail when it fails.

use std::fs;
use std::path::Path;

use rstest::rstest;
use tempfile::TempDir;

use crate::helm::{chart, chart_render, helm, test_chart};

/// Runs both programs; `{dir}` in an argument is the directory that holds `values.yaml` and `ca.crt`.
pub(crate) fn assert_same(chart: &Path, values: &str, arguments: &str, succeeds: bool) {
    let dir = TempDir::new().expect("temporary directory");
    fs::write(dir.path().join("values.yaml"), values).expect("write values");
    fs::write(dir.path().join("ca.crt"), "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
        .expect("write CA");
    let (release, rest) = arguments.split_once(' ').unwrap_or((arguments, ""));
    let mut line = vec!["template".to_owned(), release.to_owned(), chart.display().to_string()];
    if !values.is_empty() {
        line.extend(["-f".to_owned(), dir.path().join("values.yaml").display().to_string()]);
    }
    line.extend(rest.split_whitespace().map(|word| word.replace("{dir}", &dir.path().display().to_string())));

    let (expected, actual) = (helm(&line), chart_render(&line));
    let stderr = String::from_utf8_lossy(&actual.stderr);
    assert_eq!(expected.status.success(), succeeds, "helm: {}", String::from_utf8_lossy(&expected.stderr));
    assert_eq!(actual.status.success(), succeeds, "chart-render: {stderr}");
    assert_eq!(String::from_utf8_lossy(&actual.stdout), String::from_utf8_lossy(&expected.stdout));
    assert_eq!(actual.stdout, expected.stdout);
    assert!(succeeds || stderr.starts_with("Error: "), "{stderr}");
}

#[rstest]
#[case::defaults("wva -n wva-system", "")]
#[case::release_named_like_the_chart("workload-variant-autoscaler -n workload-variant-autoscaler-system", "")]
#[case::development_values("wva -f {chart}/values-dev.yaml", "")]
#[case::controller_only("wva --set va.enabled=false --set hpa.enabled=false --set vllmService.enabled=false", "")]
#[case::model_only("llama --set controller.enabled=false --set llmd.namespace=team-a", "")]
#[case::wva_disabled("wva --set wva.enabled=false", "")]
#[case::nothing_at_all(
    "wva --set controller.enabled=false,va.enabled=false,hpa.enabled=false,vllmService.enabled=false,wva.rbac.userRoles.admin=false,wva.rbac.userRoles.editor=false,wva.rbac.userRoles.viewer=false",
    ""
)]
#[case::instance("wva -n team-a --set wva.controllerInstance=team-a", "")]
#[case::all_instances("wva --set wva.manageAllInstances=true", "")]
#[case::namespace_scoped("wva -n a --set wva.namespaceScoped=true", "")]
#[case::namespace_scoped_to_its_own(
    "wva -n a --set wva.namespaceScoped=true,llmd.namespace=a,wva.limitedMode=true",
    ""
)]
#[case::certificate_from_a_file(
    "wva --set-file wva.prometheus.caCert={dir}/ca.crt --set wva.prometheus.copyCaCert=true",
    ""
)]
#[case::openshift("wva --set wva.openshift.enabled=true", "")]
#[case::plain_metrics(
    "wva --set wva.metrics.secure=false --set wva.metrics.port=8080 --set wva.metrics.interval=1s",
    ""
)]
#[case::no_metrics("wva --set wva.metrics.enabled=false", "")]
#[case::immutable("wva --set wva.configMap.immutable=true", "")]
#[case::node_port("m --set vllmService.type=NodePort,vllmService.nodePort=31000,vllmService.scheme=https", "")]
#[case::scale_to_zero(
    "wva --set wva.scaleToZero=true",
    "wva: {scaleToZeroModels: {m: {model_id: a/b, retention_period: 10m}}}"
)]
#[case::minimum_given("wva --set wva.scaleToZero=true,hpa.minReplicas=2", "")]
#[case::large_numbers(
    "wva --set hpa.maxReplicas=1000000",
    "va: {variantCost: 1000000, sloTpot: 12345678}\nhpa: {targetAverageValue: 5}"
)]
#[case::small_numbers(
    "wva",
    "wva: {capacityScaling: {default: {kvCacheThreshold: 0.0000001, queueLengthThreshold: 1e6}}}"
)]
#[case::overrides(
    "wva",
    "wva: {capacityScaling: {default: {analyzerName: saturation, scaleUpThreshold: 0.85}, overrides: {b: {modelID: 'a: \"b\"', namespace: ns, queueLengthThreshold: 0}, a10: {modelID: x, namespace: ns}, a2: {modelID: x, namespace: ns}}}}"
)]
#[case::last_of_two_keys("wva", "va: {accelerator: A}\nva: {accelerator: B}")]
#[case::nulls_remove_defaults(
    "wva --set hpa.behavior=null,wva.prometheus.metricsCache.ttl=null",
    "wva: {resources: null}"
)]
#[case::unicode_and_quotes("wva", "llmd: {modelID: \"é😀 \\\"x\\\" \\\\ 'y'\"}\nva: {accelerator: 'H100 / 80 GB: é'}")]
#[case::long_text_folds(
    "wva --set wva.podAnnotations.a=xxxxxxxxxxxxxxxxxxxx",
    "wva: {podAnnotations: {note: aaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb cccccccccccccccccccccccccc ddddddddddddddddd}}"
)]
#[case::pods_and_scheduling(
    "wva",
    "wva:\n  podLabels: {a: 'yes', b: '1'}\n  imagePullSecrets: [{name: r}]\n  extraArgs: ['-v=3']\n  extraEnv: [{name: A, value: 'on'}]\n  scheduling: {nodeSelector: {a: b}, tolerations: [{operator: Exists}], affinity: {nodeAffinity: {}}, topologySpreadConstraints: [{maxSkew: 1}], priorityClassName: high}\n  rbac: {extraRules: [{apiGroups: [x], resources: [y], verbs: [get]}], userRoles: {aggregate: true}}"
)]
#[case::strings_kept_as_strings(
    "wva --set-string va.variantCost=40 --set-json vllmService.selector={\"app\":\"x\"}",
    ""
)]
#[case::literal_dots("wva --set-string wva.podAnnotations.example\\.com/a=1", "")]
#[case::names_overridden("a --set nameOverride=n,fullnameOverride=f", "")]
#[case::longest_names(
    "wva-controller-very-long-release-name-of-fifty-three --namespace wva-system-with-a-very-long-namespace-name-of-sixty-characters",
    ""
)]
#[case::dots_in_the_release("a.b.c", "")]
#[case::definitions_too("wva --include-crds", "")]
#[case::a_literal_setting("wva --set-literal wva.podAnnotations.a=x,y={1}", "")]
#[case::several_files_in_one_flag("wva -f {chart}/values-dev.yaml,{chart}/values.yaml", "")]
#[case::named_by_a_template("--name-template=wva-{{`A`|lower}}", "")]
#[case::several_documents("wva", "va: {accelerator: A}\n---\nva: {variantCost: '5'}\n")]
#[case::without_the_schema("wva --skip-schema-validation --set va.colour=red", "")]
#[case::a_name_that_looks_like_yaml("wva --set-string llmd.modelName=on,va.accelerator=null", "")]
#[case::hostile_text(
    "wva",
    "llmd: {modelID: \"\\x01\\t\\u2028 %{{ .Release.Name }} <no value> ${x} `y` --- # c\\n: [\"}"
)]
#[case::one_template("wva -s templates/controller/deployment.yaml", "")]
#[case::a_pattern_of_templates("wva -s templates/rbac/*.yaml -s templates/model/hpa.yaml", "")]
#[case::section_removed("wva --set wva.image=null", "")]
#[case::as_an_upgrade("wva --is-upgrade --kube-version 1.30.2", "")]
fn our_chart_renders_like_helm(#[case] arguments: &str, #[case] values: &str) {
    let arguments = arguments.replace("{chart}", &chart().display().to_string());
    assert_same(&chart(), values, &arguments, true);
}

#[rstest]
#[case::unknown_value("wva --set wva.foo=1", "")]
#[case::wrong_type("wva --set wva.replicaCount=many", "")]
#[case::duration_without_unit("wva --set wva.reconcileInterval=60", "")]
#[case::invalid_instance("wva --set wva.controllerInstance=a/b", "")]
#[case::no_model_name("wva --set llmd.modelName=", "")]
#[case::no_prometheus("wva --set wva.prometheus.baseURL=", "")]
#[case::numeric_name("wva --set llmd.modelName=123", "")]
#[case::override_without_model("wva", "wva: {capacityScaling: {overrides: {a: {namespace: ns}}}}")]
#[case::setting_without_value("wva --set wva", "")]
#[case::setting_into_a_scalar("wva --set wva.reconcileInterval.x=1 --set wva.reconcileInterval=3", "")]
#[case::unfinished_list("wva --set wva.extraArgs={a", "")]
#[case::broken_values_file("wva", "a: [")]
#[case::values_file_without_map("wva", "- a")]
#[case::missing_file("wva --set-file wva.prometheus.caCert={dir}/none", "")]
#[case::bad_release_name("Wva", "")]
#[case::release_name_too_long("a123456789012345678901234567890123456789012345678901234", "")]
#[case::old_kubernetes("wva --kube-version 1.22", "")]
#[case::no_kubernetes_version("wva --kube-version soon", "")]
#[case::characters_cut_in_half("wva", "nameOverride: éééééééééééééééééééééééééééééééé")]
#[case::no_such_template("wva -s templates/none.yaml", "")]
fn our_chart_fails_where_helm_fails(#[case] arguments: &str, #[case] values: &str) {
    assert_same(&chart(), values, arguments, false);
}

#[rstest]
#[case::everything("r -n ns", "")]
#[case::without_hooks("r --no-hooks", "")]
#[case::without_tests("r --skip-tests", "")]
#[case::another_cluster("r --kube-version 1.29 --api-versions apps/v1/Deployment,x/v1", "")]
#[case::other_values(
    "r --set words={x,y,z},nested.list[0]=5,nested.list[2].x=z,strings=null",
    "small: 1.5e-9\nbig: 123456789.125"
)]
fn functions_answer_like_helms(#[case] arguments: &str, #[case] values: &str) {
    assert_same(&test_chart("functions"), values, arguments, true);
}

#[rstest]
#[case::author_says_no("r --set fail=boo", "")]
#[case::wrong_kubernetes("r --kube-version 1.19", "")]
#[case::field_of_nothing("r --set nested.a=null", "")]
#[case::not_comparable("r --set words={1}", "")]
fn functions_fail_like_helms(#[case] arguments: &str, #[case] values: &str) {
    assert_same(&test_chart("functions"), values, arguments, false);
}

#[test]
fn a_megabyte_of_text_renders_like_helm() {
    let words = "x yz ".repeat(210_000);
    let certificate = format!("-----BEGIN CERTIFICATE-----\n{}\n", "MIIB".repeat(16)).repeat(13_000);
    let values = serde_json::json!({"wva": {"podAnnotations": {"note": words}, "prometheus": {"caCert": certificate}}});
    assert_same(&chart(), &values.to_string(), "wva", true);
}

/// One template as a whole chart.
fn assert_template_same(template: &str, succeeds: bool) {
    let dir = TempDir::new().expect("temporary directory");
    fs::create_dir(dir.path().join("templates")).expect("create templates");
    fs::write(dir.path().join("Chart.yaml"), "apiVersion: v2\nname: one\nversion: 0.1.0\n").expect("write Chart.yaml");
    fs::write(
        dir.path().join("values.yaml"),
        "num: 5\nkeys: {n: 1, yes: 2, 3: x, 1.5: y, \"off\": 4}\ns: text\nm: {a: 1}\nl: [1, 2]\n",
    )
    .expect("write values.yaml");
    fs::write(dir.path().join("templates/x.yaml"), template).expect("write template");
    assert_same(dir.path(), "", "r", succeeds);
}

#[rstest]
#[case::nil_pointer("a: {{ .Values.none.x }}")]
#[case::field_of_a_string("a: {{ .Values.s.x }}")]
#[case::unknown_function("a: {{ nope 1 }}")]
#[case::unknown_function_in_a_dead_branch("{{ if false }}{{ nope 1 }}{{ end }}")]
#[case::float_is_not_an_int("a: {{ trunc .Values.num .Values.s }}")]
#[case::int64_is_not_an_int("a: {{ trunc (add 1 1) .Values.s }}")]
#[case::float_is_not_a_string("a: {{ upper .Values.num }}")]
#[case::nothing_is_not_a_string("a: {{ upper .Values.none }}")]
#[case::number_kinds_do_not_compare("a: {{ eq .Values.num 5 }}")]
#[case::too_few_arguments("a: {{ replace \"a\" \"b\" }}")]
#[case::missing_template("a: {{ include \"none\" . }}")]
#[case::endless_recursion("{{ define \"r\" }}{{ include \"r\" . }}{{ end }}a: {{ include \"r\" . }}")]
#[case::unclosed_action("a: {{ .Values.s")]
#[case::unclosed_block("{{ if true }}a: 1")]
#[case::unclosed_define("{{ define \"x\" }}a: 1")]
#[case::surplus_end("a: 1{{ end }}")]
#[case::defined_twice("{{ define \"x\" }}1{{ end }}{{ define \"x\" }}2{{ end }}")]
#[case::required_value("a: {{ required \"needed\" .Values.none }}")]
#[case::index_out_of_range("a: {{ index .Values.l 9 }}")]
#[case::range_over_a_string("{{ range .Values.s }}x{{ end }}")]
#[case::list_expected("a: {{ first .Values.s }}")]
#[case::undefined_variable("a: {{ $x }}")]
#[case::arguments_for_a_value("a: {{ .Values.s 1 }}")]
#[case::bad_yaml("a: b: c")]
#[case::no_map("- a")]
#[case::plain_text("hello")]
#[case::metadata_no_map("metadata: [x]")]
#[case::division_by_zero("a: {{ div 1 0 }}")]
#[case::no_range_of_numbers("a: {{ randInt 4 4 }}")]
#[case::bad_pattern("a: {{ mustRegexMatch \"(\" \"a\" }}")]
fn a_mistake_is_an_error_as_in_helm(#[case] template: &str) {
    assert_template_same(template, false);
}

#[rstest]
#[case::missing_value_prints_nothing("a: {{ .Values.none }}")]
#[case::missing_values_compare_with_nil("a: {{ eq .Values.none nil }} {{ eq .Values.none \"x\" }}")]
#[case::fields_of_missing_data("{{ define \"d\" }}[{{ .x }}{{ .x.y }}{{ $.z }}]{{ end }}a: {{ include \"d\" nil }}")]
#[case::set_changes_values_for_later_files("{{ $_ := set .Values \"s\" \"new\" }}a: {{ .Values.s }}")]
#[case::literal_no_value("a: <no value>")]
#[case::comment_trims_one_side("a: 1 {{- /* c */}}\nb: 2 # {{/* d */ -}}  \nc: 3")]
#[case::blank_define_gives_way("{{ define \"x\" }}1{{ end }}{{ define \"x\" }} {{ end }}a: {{ template \"x\" }}")]
#[case::keys_become_strings("a: {{ toJson .Values.keys }}")]
#[case::tpl_sees_its_defines("a: {{ tpl `{{ define \"in\" }}x{{ end }}{{ include \"in\" . }}` . }}")]
#[case::windows_line_ends("a: 1\r\nb: |\r\n  x\r\n")]
#[case::separators_of_many_kinds("---\na: 1\n---\n\n---   \nb: |\n  x\n\n--- # c\nc: 1\n---")]
#[case::block_text_without_a_line_break(
    "a: {{ (fromYaml \"a: |\\n  x\").a | quote }}\nb: {{ (fromYaml \"a: |\\n  x\\n  \").a | quote }}\nc: {{ (fromYaml \"a: >+\\n  x\").a | quote }}\nd: {{ (fromYaml \"a: |-\\n  x\").a | quote }}\ne: {{ (fromYaml \"b: '|'\\na: 5\").a }}\nf: {{ index (fromYamlArray \"- |\\n  x\") 0 | quote }}\n"
)]
#[case::random_words(
    "a: {{ regexMatch \"^[a-zA-Z0-9]{40}$\" (randAlphaNum 40) }} {{ regexMatch \"^[a-zA-Z]{9}$\" (randAlpha 9) }} {{ regexMatch \"^[0-9]{9}$\" (randNumeric 9) }} {{ len (randAscii 12) }} {{ randAlpha 0 | quote }}"
)]
#[case::random_numbers(
    "a: {{ randInt 3 4 }} {{ randBytes 6 | b64dec | len }} {{ eq (randAlphaNum 30) (randAlphaNum 30) }}"
)]
#[case::random_identity(
    "a: {{ regexMatch \"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$\" uuidv4 }}"
)]
#[case::random_order("a: {{ shuffle \"abc\" | splitList \"\" | sortAlpha | join \"\" }}")]
#[case::empty_file("\n  \n")]
fn an_oddity_is_the_same_oddity(#[case] template: &str) {
    assert_template_same(template, true);
}
