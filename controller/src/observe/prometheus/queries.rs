//! The texts of the queries that every cycle asks, and of the one that looks out between cycles.

use std::time::Duration;

use wva_api::metrics::{VLLM_KV_CACHE_USAGE, VLLM_KV_CACHE_USAGE_OLD, VLLM_REQUESTS_RUNNING, VLLM_REQUESTS_WAITING};
use wva_engine::QuietLimits;

use super::load::Load;
use super::selector::Selector;
use super::series::{by, nameless, of_engines, of_pods, peak_of_pods};

/// The label that tells what a sample of [`Queries::near_limits`] measures.
pub(super) const LOAD: &str = "load";

/// The queries of one cycle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queries {
    /// Highest used share of the KV cache in the window, per engine, pod and model.
    pub kv_usage: String,
    /// Most waiting requests in the window, per engine, pod and model.
    pub queue_length: String,
    /// Used share of the KV cache now, per engine, pod and model.
    pub kv_usage_now: String,
    /// Requests waiting now, per engine, pod and model.
    pub queue_length_now: String,
    /// Requests each pod computes now, per pod and model.
    pub running: String,
    /// When each pod was last scraped, in seconds since 1970.
    pub scraped_at: String,
    /// Series that name no pod, one of each model.
    pub unlabelled: String,
    /// The window.
    pub window: Duration,
    /// Which series count.
    pub selector: Selector,
}

impl Queries {
    /// Queries over a look-back of `window`.
    pub fn new(window: Duration, selector: Selector) -> Self {
        let kv_usage = either(|name| peak(&selector.of(name), window));
        let queue_length = peak(&selector.of(VLLM_REQUESTS_WAITING), window);
        let kv_usage_now = either(|name| of_engines(&selector.of(name)));
        let queue_length_now = of_engines(&selector.of(VLLM_REQUESTS_WAITING));
        let scraped = |name: &str| peak_of_pods(&format!("timestamp({})", selector.of(name)));
        let scraped_at = format!("{} or {}", either(scraped), scraped(VLLM_REQUESTS_WAITING));
        let running = of_pods(&selector.of(VLLM_REQUESTS_RUNNING));
        let unlabelled = nameless(VLLM_REQUESTS_RUNNING, &selector);
        Self {
            kv_usage,
            queue_length,
            kv_usage_now,
            queue_length_now,
            running,
            scraped_at,
            unlabelled,
            window,
            selector,
        }
    }

    /// Loads of pods that are above one of two limits now, each with a label that says which [`Load`] it is. The comparison
    /// comes first, so that an idle fleet costs nothing.
    pub fn near_limits(&self, limits: &QuietLimits) -> String {
        let QuietLimits { kv_usage, queue_length } = limits;
        let above = |name: &str, limit: &f64| format!("max {} ({} > {limit})", by(&[]), self.selector.of(name));
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
fn peak(series: &str, window: Duration) -> String {
    let seconds = window.as_secs();
    format!("{} or {}", of_engines(&format!("max_over_time({series}[{seconds}s])")), of_engines(series))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::Matchers;

    /// A query with the long list of labels of a pod cut short.
    fn shown(query: &str) -> String {
        let pod = by(&[]).trim_start_matches("by (").trim_end_matches(')').to_owned();
        query.replace(&pod, "POD").replace(" or ", "\n  or ")
    }

    #[test]
    fn the_texts_of_all_queries() {
        let queries = Queries::new(Duration::from_mins(1), Selector::default());
        insta::assert_snapshot!([queries.kv_usage_now, queries.queue_length_now].map(|it| shown(&it)).join("\n\n"), @r"
        max by (POD, model_name, engine) (vllm:kv_cache_usage_perc)
          or max by (POD, model_name, engine) (vllm:gpu_cache_usage_perc)

        max by (POD, model_name, engine) (vllm:num_requests_waiting)
        ");
        let Queries { kv_usage, queue_length, running, scraped_at, unlabelled, .. } = queries;
        insta::assert_snapshot!([kv_usage, queue_length, running, scraped_at].map(|it| shown(&it)).join("\n\n"), @r"
        max by (POD, model_name, engine) (max_over_time(vllm:kv_cache_usage_perc[60s]))
          or max by (POD, model_name, engine) (vllm:kv_cache_usage_perc)
          or max by (POD, model_name, engine) (max_over_time(vllm:gpu_cache_usage_perc[60s]))
          or max by (POD, model_name, engine) (vllm:gpu_cache_usage_perc)

        max by (POD, model_name, engine) (max_over_time(vllm:num_requests_waiting[60s]))
          or max by (POD, model_name, engine) (vllm:num_requests_waiting)

        sum by (POD, model_name) (max by (POD, model_name, engine) (vllm:num_requests_running))

        max by (POD, model_name) (timestamp(vllm:kv_cache_usage_perc))
          or max by (POD, model_name) (timestamp(vllm:gpu_cache_usage_perc))
          or max by (POD, model_name) (timestamp(vllm:num_requests_waiting))
        ");
        insta::assert_snapshot!(shown(&unlabelled), @r#"
        topk by (model_name) (1, vllm:num_requests_running{pod="",pod_name="",kubernetes_pod_name="",k8s_pod_name=""})
          or topk by (model_name) (1, vllm:num_requests_running{namespace="",kubernetes_namespace="",k8s_namespace_name=""})
        "#);
        assert_eq!(
            by(&[]),
            "by (namespace, kubernetes_namespace, k8s_namespace_name, pod, pod_name, kubernetes_pod_name, k8s_pod_name)"
        );
    }

    #[test]
    fn the_query_for_pods_near_their_limits() {
        let selector = Selector::new(&["team-a".to_owned()].into(), &Matchers::default());
        let queries = Queries::new(Duration::from_mins(1), selector);
        let query = queries.near_limits(&QuietLimits { kv_usage: 0.7, queue_length: 2.0 });
        insta::assert_snapshot!(shown(&query), @r#"
        label_replace(max by (POD) (vllm:kv_cache_usage_perc{namespace=~"team-a|"} > 0.7)
          or max by (POD) (vllm:gpu_cache_usage_perc{namespace=~"team-a|"} > 0.7), "load", "kv_usage", "", "")
          or label_replace(max by (POD) (vllm:num_requests_waiting{namespace=~"team-a|"} > 2), "load", "queue_length", "", "")
        "#);
    }

    #[test]
    fn namespaces_matchers_and_window_enter_every_selector() {
        let matchers = Matchers::parse("cluster=\"east\"").unwrap();
        let selector = Selector::new(&BTreeSet::from(["team-a".to_owned()]), &matchers);
        let queries = Queries::new(Duration::from_secs(90), selector);
        let near = queries.near_limits(&QuietLimits { kv_usage: 0.7, queue_length: 2.0 });
        let Queries { kv_usage, queue_length, running, scraped_at, .. } = &queries;
        for query in [kv_usage, queue_length, running, scraped_at, &near] {
            let selected = query.matches(r#"{namespace=~"team-a|",cluster="east"}"#).count();
            assert_eq!(query.matches("vllm:").count(), selected, "{query}");
        }
        assert_eq!(kv_usage.matches("[90s]").count(), 2);
    }
}
