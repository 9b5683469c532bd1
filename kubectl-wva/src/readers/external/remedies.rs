//! What to install where nobody serves the external metrics API.

use serde_json::json;
use wva_api::metrics;

/// Commands, the likeliest first; each runs as it stands. `prometheus` is where Prometheus answers, if that is known.
pub(crate) fn remedies(prometheus: Option<&str>) -> Vec<String> {
    vec![adapter(prometheus), keda()]
}

fn adapter(prometheus: Option<&str>) -> String {
    let rule = json!([{
        "seriesQuery": metrics::DESIRED_REPLICAS,
        "resources": {"overrides": {metrics::LABEL_EXPORTED_NAMESPACE: {"resource": "namespace"}}},
        "metricsQuery": "<<.Series>>{<<.LabelMatchers>>}",
    }]);
    let (namespace, address) = prometheus.and_then(address).unwrap_or_else(|| ("monitoring".to_owned(), String::new()));
    format!(
        "helm repo add prometheus-community https://prometheus-community.github.io/helm-charts && helm upgrade -i \
         prometheus-adapter prometheus-community/prometheus-adapter -n {namespace} --create-namespace{address} \
         --set-json 'rules.external={rule}'"
    )
}

fn keda() -> String {
    "helm repo add kedacore https://kedacore.github.io/charts && helm upgrade -i keda kedacore/keda -n keda \
     --create-namespace"
        .to_owned()
}

/// The namespace of a Service and the adapter's settings for its address, which are host and port apart.
fn address(url: &str) -> Option<(String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = place.rsplit_once(':').unwrap_or((place, if scheme == "https" { "443" } else { "80" }));
    let namespace = host.split('.').nth(1).filter(|_| host.contains(".svc"))?;
    let path = if path.is_empty() { String::new() } else { format!(",prometheus.path=/{path}") };
    Some((namespace.to_owned(), format!(" --set prometheus.url={scheme}://{host},prometheus.port={port}{path}")))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(
        "http://prometheus.mon.svc:9090",
        " -n mon --create-namespace --set prometheus.url=http://prometheus.mon.svc,prometheus.port=9090 "
    )]
    #[case(
        "https://p.mon.svc.cluster.local/select/0",
        " --set prometheus.url=https://p.mon.svc.cluster.local,prometheus.port=443,prometheus.path=/select/0 "
    )]
    #[case("http://10.0.0.1:9090", " -n monitoring --create-namespace --set-json ")]
    fn the_adapter_is_told_where_prometheus_is(#[case] url: &str, #[case] expect: &str) {
        let commands = remedies(Some(url));
        assert!(commands[0].contains(expect), "{commands:?}");
        assert!(commands.iter().all(|command| command.starts_with("helm repo add ")));
        assert!(commands[0].contains(r#""seriesQuery":"wva_desired_replicas""#), "{commands:?}");
    }
}
