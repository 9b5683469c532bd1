//! Charts of others, written for these tests: subcharts and archives, aliases, conditions, imported values, a library,
//! templates within templates, files, dates. Each renders like helm, and fails where helm fails.

use rstest::rstest;

use crate::helm::test_chart;
use crate::parity::assert_same;

#[rstest]
#[case::as_it_is("r -n ns", "")]
#[case::with_definitions("r --include-crds", "")]
#[case::a_condition_switches_off("r --set web.enabled=false", "")]
#[case::an_alias_switches_off("r --set admin.enabled=false", "")]
#[case::a_condition_deeper_down("r --set web.cache.enabled=false", "")]
#[case::a_tag_switches_off("r --set tags.async=false", "")]
#[case::a_condition_wins_over_a_tag("r --set tags.async=false,queue.on=true", "")]
#[case::the_second_condition_counts("r --set global.queue=false", "")]
#[case::a_condition_that_is_no_boolean("r --set-string queue.on=false", "")]
#[case::globals_reach_all("r", "global: {domain: other.test, labels: {a: b}, replicas: null, own: mine}")]
#[case::nulls_for_children("r", "web: {image: {pull: null, name: x}, port: null}\nadmin: null")]
#[case::imported_values_give_way("r", "imported: mine\nlimits: {memory: 2Gi}")]
#[case::values_changed_for_one_child("r --set admin.port=9090,web.cache.size=1000000", "")]
#[case::a_template_as_a_value("r", "motd: '{{ include \"umbrella.url\" (list \"x\" .) }} {{ .Template.Name }}'")]
#[case::one_file_of_a_child("r -s charts/admin/templates/deployment.yaml", "")]
#[case::without_hooks("r --no-hooks", "")]
#[case::without_the_schema("r --skip-schema-validation --set web.port=0", "")]
fn an_umbrella_renders_like_helm(#[case] arguments: &str, #[case] values: &str) {
    assert_same(&test_chart("umbrella"), values, arguments, true);
}

#[rstest]
#[case::the_schema_of_a_child("r --set web.port=0", "")]
#[case::the_schema_of_an_alias("r --set-string admin.host=5,admin.port=x", "")]
#[case::no_table_for_a_child("r --set web=5", "")]
#[case::a_field_of_nothing("r", "web: {image: null}")]
#[case::a_broken_template_as_a_value("r", "motd: '{{ .Values.web.host'")]
fn an_umbrella_fails_where_helm_fails(#[case] arguments: &str, #[case] values: &str) {
    assert_same(&test_chart("umbrella"), values, arguments, false);
}

#[rstest]
#[case::as_it_is("r", "")]
#[case::other_people("r", "people: [\"x-y_z\", \"HTTPServer2Go\", \"\", \"ÄÖÜ straße\"]\ntags: null")]
#[case::other_patterns("r --set-string pattern=^$,every=-90m", "tags: {list: [1, 1.5, true, null]}")]
#[case::another_cluster("r --kube-version 1.29.3 --api-versions x/v1", "")]
fn reports_render_like_helm(#[case] arguments: &str, #[case] values: &str) {
    assert_same(&test_chart("reports"), values, arguments, true);
}

#[rstest]
#[case::old_kubernetes("r --kube-version 1.24", "")]
#[case::a_number_for_a_name("r", "people: [1]")]
#[case::a_list_for_tags("r", "tags: [a]")]
fn reports_fail_where_helm_fails(#[case] arguments: &str, #[case] values: &str) {
    assert_same(&test_chart("reports"), values, arguments, false);
}

#[rstest]
#[case::as_it_is("r", "")]
#[case::one_alias_off("r --set second.on=false", "")]
#[case::many_objects("r --set first.count=9,shout=true", "")]
#[case::objects_as_values(
    "r",
    "extra: [{kind: Role, metadata: {name: x, labels: {a: b}}}, {kind: Zoo, n: 1.0, big: 1e6}]"
)]
#[case::annotations_that_are_no_texts(
    "r",
    "extra: [{apiVersion: 1, kind: Role, metadata: {name: 5, annotations: {a: 1, b: true, c: null, d: 1.5}}}]"
)]
#[case::hooks("r", "hooks: {pre-install: {}, post-upgrade: {weight: 2}, nonsense: {}}")]
#[case::without_tests("r --skip-tests", "")]
#[case::as_an_upgrade("r --is-upgrade", "")]
fn a_platform_renders_like_helm(#[case] arguments: &str, #[case] values: &str) {
    assert_same(&test_chart("platform"), values, arguments, true);
}

#[rstest]
#[case::no_boolean("r --set shout=loud", "")]
#[case::no_object("r", "extra: [1]")]
#[case::a_map_as_an_annotation("r", "extra: [{kind: Role, metadata: {name: x, annotations: {a: {b: c}}}}]")]
#[case::a_list_as_an_annotation("r", "extra: [{kind: Role, metadata: {name: x, annotations: {a: b, c: [d]}}}]")]
#[case::a_map_as_a_name("r", "extra: [{kind: Role, metadata: {name: {x: y}}}]")]
#[case::a_list_as_a_kind("r", "extra: [{kind: [Role], metadata: {name: x}}]")]
#[case::a_map_as_an_api_version("r", "extra: [{apiVersion: {v: 1}, kind: Role, metadata: {name: x}}]")]
fn a_platform_fails_where_helm_fails(#[case] arguments: &str, #[case] values: &str) {
    assert_same(&test_chart("platform"), values, arguments, false);
}
