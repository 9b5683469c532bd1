//! Where Prometheus is, as the Services of a cluster tell.

use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt as _;

/// Where Prometheus answers, by the Services of the cluster; at most two, the likeliest first.
pub(crate) fn addresses<'a>(services: impl Iterator<Item = &'a Service>) -> Vec<String> {
    let mut found: Vec<(bool, String)> = services
        .filter_map(|service| {
            let (namespace, name) = (service.namespace()?, service.name_any());
            let spec = service.spec.as_ref()?;
            let labelled = service.labels().get("app.kubernetes.io/name").is_some_and(|value| value == "prometheus");
            let port = spec.ports.iter().flatten().find(|port| {
                // Prometheus itself, and OpenShift's querier.
                port.port == 9090 || (name == "thanos-querier" && port.port == 9091)
            })?;
            let named = ["prometheus", "thanos"].iter().any(|word| name.contains(word));
            // A headless Service of the operator stands beside the one that people use.
            let headless = spec.cluster_ip.as_deref() == Some("None");
            let scheme = if port.port == 9091 { "https" } else { "http" };
            (labelled || named).then(|| (headless, format!("{scheme}://{name}.{namespace}.svc:{}", port.port)))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, url)| url).take(2).collect()
}

/// The Service that an address of a cluster's own names: its namespace, its name, and the port if one is given.
pub(crate) fn service(url: &str) -> Option<(String, String, Option<u16>)> {
    let rest = url.split_once("://")?.1;
    let place = rest.split(['/', '?']).next()?;
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (place, None),
    };
    let mut parts = host.split('.');
    let (name, namespace, svc) = (parts.next()?, parts.next()?, parts.next()?);
    (svc == "svc").then(|| (namespace.to_owned(), name.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("http://prometheus.mon.svc:9090", Some(("mon", "prometheus", Some(9090))))]
    #[case("https://u:p@p.mon.svc.cluster.local/x", Some(("mon", "p", None)))]
    #[case("https://prometheus.example.com", None)]
    #[case("http://10.1.2.3:9090", None)]
    fn an_address_of_the_cluster_names_a_service(#[case] url: &str, #[case] expect: Option<(&str, &str, Option<u16>)>) {
        let expect = expect.map(|(namespace, name, port)| (namespace.to_owned(), name.to_owned(), port));
        assert_eq!(service(url), expect);
    }
}
