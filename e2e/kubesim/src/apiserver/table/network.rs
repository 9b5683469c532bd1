//! Services, endpoints and network rules.

use serde_json::{Value, json};

use super::{Layout, age, joined, labels, list, or_none, text};

pub(super) const SERVICE: Layout = Layout {
    columns: &[
        ("Type", "string", 0),
        ("Cluster-IP", "string", 0),
        ("External-IP", "string", 0),
        ("Port(s)", "string", 0),
        ("Age", "string", 0),
        ("Selector", "string", 1),
    ],
    cells: |object, now| {
        let spec = &object["spec"];
        vec![
            or_none(&spec["type"]),
            or_none(&spec["clusterIP"]),
            external_address(object),
            joined(list(&spec["ports"]).map(service_port), ","),
            age::of(object, now),
            labels(&spec["selector"]),
        ]
    },
};

fn external_address(service: &Value) -> Value {
    let spec = &service["spec"];
    match spec["type"].as_str() {
        Some("ExternalName") => or_none(&spec["externalName"]),
        Some("LoadBalancer") => {
            let ingress = || list(&service["status"]["loadBalancer"]["ingress"]);
            let addresses = ingress().map(|point| text(point.get("ip").unwrap_or(&point["hostname"])));
            if ingress().next().is_some() { joined(addresses, ",") } else { json!("<pending>") }
        }
        _ => joined(list(&spec["externalIPs"]).map(text), ","),
    }
}

fn service_port(port: &Value) -> String {
    let node =
        port["nodePort"].as_i64().filter(|number| *number > 0).map_or(String::new(), |number| format!(":{number}"));
    format!("{}{node}/{}", port["port"], text(&port["protocol"]))
}

pub(super) const ENDPOINTS: Layout = Layout {
    columns: &[("Endpoints", "string", 0), ("Age", "string", 0)],
    cells: |object, now| {
        let pairs = list(&object["subsets"]).flat_map(|subset| {
            list(&subset["addresses"]).flat_map(move |address| {
                list(&subset["ports"]).map(move |port| format!("{}:{}", text(&address["ip"]), port["port"]))
            })
        });
        vec![shortened(&pairs.collect::<Vec<_>>()), age::of(object, now)]
    },
};

pub(super) const ENDPOINT_SLICE: Layout = Layout {
    columns: &[("AddressType", "string", 0), ("Ports", "string", 0), ("Endpoints", "string", 0), ("Age", "string", 0)],
    cells: |object, now| {
        let addresses: Vec<String> =
            list(&object["endpoints"]).flat_map(|endpoint| list(&endpoint["addresses"]).map(text)).collect();
        let ports: Vec<String> = list(&object["ports"]).map(|port| text(&port["port"])).collect();
        let unset = |cell: Value| if cell == "<none>" { json!("<unset>") } else { cell };
        vec![
            or_none(&object["addressType"]),
            unset(shortened(&ports)),
            unset(shortened(&addresses)),
            age::of(object, now),
        ]
    },
};

/// The first three and how many more.
fn shortened(all: &[String]) -> Value {
    match all {
        [] => json!("<none>"),
        [a, b, c, rest @ ..] if !rest.is_empty() => json!(format!("{a},{b},{c} + {} more...", rest.len())),
        few => json!(few.join(",")),
    }
}

pub(super) const INGRESS: Layout = Layout {
    columns: &[
        ("Class", "string", 0),
        ("Hosts", "string", 0),
        ("Address", "string", 0),
        ("Ports", "string", 0),
        ("Age", "string", 0),
    ],
    cells: |object, now| {
        let spec = &object["spec"];
        let hosts: Vec<String> = list(&spec["rules"])
            .filter_map(|rule| rule["host"].as_str())
            .filter(|host| !host.is_empty())
            .map(ToOwned::to_owned)
            .collect();
        let points = list(&object["status"]["loadBalancer"]["ingress"]);
        let addresses: Vec<String> = points.map(|point| text(point.get("ip").unwrap_or(&point["hostname"]))).collect();
        vec![
            or_none(&spec["ingressClassName"]),
            if hosts.is_empty() { json!("*") } else { shortened(&hosts) },
            json!(addresses.join(",")),
            json!(if spec.get("tls").is_some() { "80, 443" } else { "80" }),
            age::of(object, now),
        ]
    },
};

pub(super) const NETWORK_POLICY: Layout = Layout {
    columns: &[("Pod-Selector", "string", 0), ("Age", "string", 0)],
    cells: |object, now| vec![labels(&object["spec"]["podSelector"]["matchLabels"]), age::of(object, now)],
};
