use std::collections::BTreeMap;

use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::DynamicObject;
use rstest::rstest;

use super::*;
use crate::cluster::index::convert;
use crate::fixtures::yaml;

fn key(group: Group, name: &str) -> PoolKey {
    PoolKey { group, namespace: "ns".to_owned(), name: name.to_owned() }
}

fn pool(spec: &str) -> Result<Pool, String> {
    let object: DynamicObject = yaml(&format!(
        "{{apiVersion: inference.networking.k8s.io/v1, kind: InferencePool, metadata: {{namespace: ns, name: p}}, spec: {spec}}}"
    ));
    Pool::read(&object)
}

fn labels(text: &str) -> BTreeMap<String, String> {
    yaml(text)
}

impl Pools {
    fn with_pool(mut self, group: Group, name: &str, selector: &str) -> Self {
        let pool = Pool { selector: labels(selector), picker: format!("{name}-epp") };
        self.pools.insert(key(group, name), pool);
        self
    }

    fn with_slice(mut self, name: &str, service: &str, ports: &str, endpoints: &str) -> Self {
        let slice: EndpointSlice = yaml(&format!(
            "{{metadata: {{namespace: ns, name: {name}, labels: {{kubernetes.io/service-name: {service}}}}}, \
             addressType: IPv4, ports: {ports}, endpoints: {endpoints}}}"
        ));
        self.slices.insert(convert::key(&slice.metadata), Pickers::read(slice).unwrap());
        self
    }
}

#[rstest]
#[case::stable("{selector: {matchLabels: {app: llama}}, endpointPickerRef: {name: epp, port: {number: 9002}}}")]
#[case::experimental("{selector: {app: llama}, targetPortNumber: 8000, extensionRef: {name: epp}}")]
#[case::mixed("{selector: {matchLabels: {app: llama}}, extensionRef: {name: epp}}")]
#[case::mixed_the_other_way("{selector: {app: llama}, endpointPickerRef: {name: epp}}")]
fn a_pool_is_read_in_every_spelling(#[case] spec: &str) {
    let expect = Pool { selector: labels("{app: llama}"), picker: "epp".to_owned() };
    assert_eq!(pool(spec), Ok(expect));
}

#[rstest]
#[case::empty_selector("{selector: {}, extensionRef: {name: epp}}", "selector is empty")]
#[case::empty_match_labels("{selector: {matchLabels: {}}, extensionRef: {name: epp}}", "selector is empty")]
#[case::no_picker("{selector: {app: llama}}", "endpointPickerRef")]
#[case::no_selector("{extensionRef: {name: epp}}", "selector")]
#[case::nothing("null", "needs a selector")]
fn a_pool_that_cannot_be_used_says_why(#[case] spec: &str, #[case] why: &str) {
    let error = pool(spec).unwrap_err();
    assert!(error.contains(why), "{error}");
}

#[test]
fn a_workload_is_served_by_the_pool_whose_selector_its_pods_match_in_its_own_namespace() {
    let pools = Pools::default().with_pool(Group::Stable, "other", "{app: qwen}").with_pool(
        Group::Experimental,
        "mine",
        "{app: llama}",
    );
    let pods = labels("{app: llama, role: decode}");
    let found = Match { pool: key(Group::Experimental, "mine"), others: Vec::new() };
    assert_eq!(pools.of_pods("ns", &pods), Some(found));
    assert_eq!(pools.of_pods("elsewhere", &pods), None);
    assert_eq!(pools.of_pods("ns", &labels("{role: decode}")), None);
}

#[test]
fn among_several_pools_the_most_specific_one_counts_then_the_stable_group_then_the_name() {
    let pools = Pools::default()
        .with_pool(Group::Experimental, "a", "{app: llama}")
        .with_pool(Group::Stable, "c", "{app: llama}")
        .with_pool(Group::Stable, "b", "{app: llama}")
        .with_pool(Group::Experimental, "z", "{app: llama, role: decode}");
    let Match { pool, others } = pools.of_pods("ns", &labels("{app: llama, role: decode}")).unwrap();
    let names: Vec<&str> = others.iter().map(|key| key.name.as_str()).collect();
    assert_eq!((pool.name.as_str(), names), ("z", vec!["b", "c", "a"]));
}

#[test]
fn a_picker_is_asked_at_the_ports_of_its_ready_pods_not_at_that_of_its_service() {
    let pools = Pools::default()
        .with_pool(Group::Stable, "p", "{app: llama}")
        .with_slice(
            "one",
            "p-epp",
            "[{name: grpc, port: 9002}, {name: http-metrics, port: 19090}]",
            "[{addresses: [10.0.0.1], conditions: {ready: true}}, {addresses: [10.0.0.2], conditions: {ready: false}}]",
        )
        .with_slice("two", "p-epp", "[{name: http-metrics, port: 19091}]", "[{addresses: [10.0.0.3]}]")
        .with_slice("other", "q-epp", "[{name: http-metrics, port: 9090}]", "[{addresses: [10.0.0.9]}]");
    let pages = pools.pages(&key(Group::Stable, "p")).unwrap();
    assert_eq!(pages, ["http://10.0.0.1:19090/metrics", "http://10.0.0.3:19091/metrics"]);
}

#[test]
fn a_picker_with_two_addresses_counts_once() {
    let ports = "[{name: metrics, port: 9090}]";
    let pages = |pools: &Pools| pools.pages(&key(Group::Stable, "p")).unwrap();
    let second = Pools::default().with_pool(Group::Stable, "p", "{app: llama}").with_slice(
        "six",
        "p-epp",
        ports,
        "[{addresses: ['fd00::1']}]",
    );
    assert_eq!(pages(&second), ["http://[fd00::1]:9090/metrics"]);
    let both = second.with_slice("four", "p-epp", ports, "[{addresses: [10.0.0.1]}]");
    assert_eq!(pages(&both), ["http://10.0.0.1:9090/metrics"]);
}

#[rstest]
#[case::usual_name_first("[{name: a-metric, port: 1}, {name: metrics, port: 2}]", Some("http://10.0.0.1:2/metrics"))]
#[case::first_by_name("[{name: z-metrics, port: 1}, {name: my-metrics, port: 2}]", Some("http://10.0.0.1:2/metrics"))]
#[case::https_by_name("[{name: https-metrics, port: 1}]", Some("https://10.0.0.1:1/metrics"))]
#[case::https_by_protocol("[{name: metrics, port: 1, appProtocol: HTTPS}]", Some("https://10.0.0.1:1/metrics"))]
#[case::none("[{name: grpc, port: 9002}]", None)]
fn the_metrics_port_is_found_by_its_name(#[case] ports: &str, #[case] page: Option<&str>) {
    let pools = Pools::default().with_pool(Group::Stable, "p", "{app: llama}").with_slice(
        "one",
        "p-epp",
        ports,
        "[{addresses: [10.0.0.1]}]",
    );
    let pages = pools.pages(&key(Group::Stable, "p")).ok();
    assert_eq!(pages, page.map(|page| vec![page.to_owned()]));
}

#[test]
fn a_picker_that_cannot_be_asked_says_what_is_missing() {
    let pools = Pools::default().with_pool(Group::Stable, "p", "{app: llama}");
    let service = || ObjectKey::new("ns", "p-epp");
    let why = |pools: &Pools| pools.pages(&key(Group::Stable, "p")).unwrap_err();
    assert_eq!(why(&pools), NoPicker::NoService(service()));
    let unnamed = pools.clone().with_slice("one", "p-epp", "[{name: '', port: 9002}]", "[{addresses: [10.0.0.1]}]");
    assert_eq!(why(&unnamed), NoPicker::NoMetricsPort(service()));
    let starting = pools.with_slice(
        "one",
        "p-epp",
        "[{name: metrics, port: 9090}]",
        "[{addresses: [10.0.0.1], conditions: {ready: false}}]",
    );
    assert_eq!(why(&starting), NoPicker::NotReady(service()));
}
