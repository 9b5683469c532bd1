//! The texts of the queries.

use std::collections::BTreeSet;
use std::time::Duration;

use wva_api::metrics::{VLLM_KV_CACHE_USAGE, VLLM_KV_CACHE_USAGE_OLD, VLLM_REQUESTS_RUNNING, VLLM_REQUESTS_WAITING};

use crate::lookout::{Limits, Load};

/// The label that tells what a sample of [`Queries::near_limits`] measures.
pub(super) const LOAD: &str = "load";

/// Labels that tell one pod's series from another's. A scrape configuration without relabelling names the pod
/// `pod_name`; whichever of the two is absent drops out of the group.
pub(super) const PER_POD: &str = "by (namespace, pod, pod_name, model_name)";

/// The queries of one cycle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queries {
    /// Highest used share of the KV cache in the window, per pod and model.
    pub kv_usage: String,
    /// Most waiting requests in the window, per pod and model.
    pub queue_length: String,
    /// Requests each pod computes now, per pod and model.
    pub running: String,
    /// When each pod was last scraped, in seconds since 1970.
    pub scraped_at: String,
    /// The window.
    pub window: Duration,
    /// Selector of the namespaces, or empty.
    pub scope: String,
}

impl Queries {
    /// Queries over a look-back of `window`, restricted to `namespaces` unless these are empty.
    pub fn new(window: Duration, namespaces: &BTreeSet<String>) -> Self {
        let scope = selector(namespaces);
        let kv_usage = either(|name| peak(name, &scope, window));
        let queue_length = peak(VLLM_REQUESTS_WAITING, &scope, window);
        let scraped = |name: &str| format!("max {PER_POD} (timestamp({name}{scope}))");
        let scraped_at = format!("{} or {}", either(scraped), scraped(VLLM_REQUESTS_WAITING));
        let running = format!("max {PER_POD} ({VLLM_REQUESTS_RUNNING}{scope})");
        Self { kv_usage, queue_length, running, scraped_at, window, scope }
    }

    /// Loads of pods that are above one of two limits now, each with a label that says which [`Load`] it is. The comparison
    /// comes first, so that an idle fleet costs nothing.
    pub fn near_limits(&self, limits: &Limits) -> String {
        let Limits { kv_usage, queue_length } = limits;
        let above =
            |name: &str, limit: &f64| format!("max by (namespace, pod, pod_name) ({name}{} > {limit})", self.scope);
        let labelled =
            |load: Load, query: String| format!(r#"label_replace({query}, "{LOAD}", "{}", "", "")"#, load.name());
        let by_kv = labelled(Load::KvUsage, either(|name| above(name, kv_usage)));
        format!("{by_kv} or {}", labelled(Load::QueueLength, above(VLLM_REQUESTS_WAITING, queue_length)))
    }
}

/// The current name of the KV-cache metric, and where a pod has no such series, the name of older servers.
fn either(query: impl Fn(&str) -> String) -> String {
    format!("{} or {}", query(VLLM_KV_CACHE_USAGE), query(VLLM_KV_CACHE_USAGE_OLD))
}

/// The peak in the window; where the window holds no sample, the last one Prometheus still counts as current, so
/// that a pod that is scraped rarely shows up as old rather than as missing.
fn peak(name: &str, scope: &str, window: Duration) -> String {
    let seconds = window.as_secs();
    format!("max {PER_POD} (max_over_time({name}{scope}[{seconds}s])) or max {PER_POD} ({name}{scope})")
}

/// Namespace names hold only letters, digits and dashes, so nothing needs escaping in the pattern.
fn selector(namespaces: &BTreeSet<String>) -> String {
    if namespaces.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = namespaces.iter().map(String::as_str).collect();
    format!("{{namespace=~\"{}\"}}", names.join("|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_all_queries() {
        let Queries { kv_usage, queue_length, running, scraped_at, window: _, scope: _ } =
            Queries::new(Duration::from_mins(1), &BTreeSet::new());
        insta::assert_snapshot!([kv_usage, queue_length, running, scraped_at].join("\n\n").replace(" or ", "\n  or "), @r"
        max by (namespace, pod, pod_name, model_name) (max_over_time(vllm:kv_cache_usage_perc[60s]))
          or max by (namespace, pod, pod_name, model_name) (vllm:kv_cache_usage_perc)
          or max by (namespace, pod, pod_name, model_name) (max_over_time(vllm:gpu_cache_usage_perc[60s]))
          or max by (namespace, pod, pod_name, model_name) (vllm:gpu_cache_usage_perc)

        max by (namespace, pod, pod_name, model_name) (max_over_time(vllm:num_requests_waiting[60s]))
          or max by (namespace, pod, pod_name, model_name) (vllm:num_requests_waiting)

        max by (namespace, pod, pod_name, model_name) (vllm:num_requests_running)

        max by (namespace, pod, pod_name, model_name) (timestamp(vllm:kv_cache_usage_perc))
          or max by (namespace, pod, pod_name, model_name) (timestamp(vllm:gpu_cache_usage_perc))
          or max by (namespace, pod, pod_name, model_name) (timestamp(vllm:num_requests_waiting))
        ");
    }

    #[test]
    fn the_query_for_pods_near_their_limits() {
        let queries = Queries::new(Duration::from_mins(1), &["team-a".to_owned()].into());
        let query = queries.near_limits(&Limits { kv_usage: 0.7, queue_length: 2.0 });
        insta::assert_snapshot!(query.replace(" or ", "\n  or "), @r#"
        label_replace(max by (namespace, pod, pod_name) (vllm:kv_cache_usage_perc{namespace=~"team-a"} > 0.7)
          or max by (namespace, pod, pod_name) (vllm:gpu_cache_usage_perc{namespace=~"team-a"} > 0.7), "load", "kv_usage", "", "")
          or label_replace(max by (namespace, pod, pod_name) (vllm:num_requests_waiting{namespace=~"team-a"} > 2), "load", "queue_length", "", "")
        "#);
    }

    #[test]
    fn namespaces_and_window_enter_every_selector() {
        let namespaces = ["team-a", "team-b"].map(str::to_owned).into();
        let Queries { kv_usage, queue_length, running, scraped_at, .. } =
            Queries::new(Duration::from_secs(90), &namespaces);
        for query in [&kv_usage, &queue_length, &running, &scraped_at] {
            assert_eq!(query.matches("vllm:").count(), query.matches(r#"{namespace=~"team-a|team-b"}"#).count());
        }
        assert_eq!(kv_usage.matches("[90s]").count(), 2);
    }
}
