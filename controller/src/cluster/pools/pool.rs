//! What is kept of an `InferencePool`, and of the `EndpointSlice`s of its picker's Service.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::discovery::v1::{EndpointPort, EndpointSlice};
use kube::api::DynamicObject;
use kube::core::ApiResource;
use serde::{Deserialize, Serialize};

/// Label of an `EndpointSlice`: the Service it belongs to.
pub(crate) const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// An API group that serves `InferencePool`. Both may be served at once, while a cluster moves from one to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Group {
    /// `inference.networking.k8s.io/v1`.
    Stable,
    /// `inference.networking.x-k8s.io/v1alpha2`.
    Experimental,
}

/// Identity of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct PoolKey {
    /// API group.
    pub group: Group,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// A pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Labels of the pods it sends requests to; never empty.
    pub selector: BTreeMap<String, String>,
    /// Service of its endpoint picker, in its own namespace.
    pub picker: String,
}

/// The pods of an endpoint picker that one `EndpointSlice` lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pickers {
    /// Their Service.
    pub service: String,
    /// Where each of them serves metrics.
    pub port: Option<MetricsPort>,
    /// Addresses of those that are ready.
    pub ready: Vec<IpAddr>,
}

/// A port of a pod, not of its Service: the slice has resolved `targetPort`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricsPort {
    /// Number.
    pub number: u16,
    /// Served by HTTPS.
    pub tls: bool,
}

impl Group {
    /// Both groups, the preferred one first.
    pub const ALL: [Self; 2] = [Self::Stable, Self::Experimental];

    /// Name of the group.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stable => "inference.networking.k8s.io",
            Self::Experimental => "inference.networking.x-k8s.io",
        }
    }

    /// The version that is read.
    pub fn version(self) -> &'static str {
        match self {
            Self::Stable => "v1",
            Self::Experimental => "v1alpha2",
        }
    }

    /// The resource, for requests.
    pub fn resource(self) -> ApiResource {
        let (group, version) = (self.name(), self.version());
        ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: format!("{group}/{version}"),
            kind: "InferencePool".to_owned(),
            plural: "inferencepools".to_owned(),
        }
    }
}

impl std::fmt::Display for PoolKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { group, namespace, name } = self;
        write!(f, "{namespace}/{name} ({})", group.name())
    }
}

/// The parts of a pool's spec that are read. Guides mix the fields of one version with the `apiVersion` of the other,
/// and a cluster without structural pruning keeps them; so both spellings are read in both groups.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    selector: Selector,
    #[serde(alias = "extensionRef")]
    endpoint_picker_ref: Reference,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Selector {
    Structured {
        #[serde(rename = "matchLabels")]
        match_labels: BTreeMap<String, String>,
    },
    Plain(BTreeMap<String, String>),
}

#[derive(Deserialize)]
struct Reference {
    name: String,
}

impl Pool {
    /// Reads a pool.
    ///
    /// # Errors
    /// With the reason, when its spec has no selector or no picker.
    pub fn read(object: &DynamicObject) -> Result<Self, String> {
        let spec = object.data.get("spec").cloned().unwrap_or_default();
        let Spec { selector, endpoint_picker_ref } = serde_json::from_value(spec).map_err(|error| {
            format!("its spec needs a selector and an endpointPickerRef (or extensionRef): {error}")
        })?;
        let selector = match selector {
            Selector::Structured { match_labels } => match_labels,
            Selector::Plain(labels) => labels,
        };
        if selector.is_empty() {
            return Err("its selector is empty, which would select every pod of the namespace".to_owned());
        }
        Ok(Self { selector, picker: endpoint_picker_ref.name })
    }

    /// Whether it sends requests to pods with these labels.
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.selector.iter().all(|(name, value)| labels.get(name) == Some(value))
    }
}

impl Pickers {
    /// Reads a slice; `None` when it belongs to no Service.
    pub fn read(slice: EndpointSlice) -> Option<Self> {
        let service = slice.metadata.labels?.remove(SERVICE_NAME)?;
        let ready = slice.endpoints.into_iter().filter(|endpoint| {
            // A missing condition means unknown, which consumers are to take for ready.
            endpoint.conditions.as_ref().is_none_or(|conditions| conditions.ready.unwrap_or(true))
        });
        Some(Self {
            service,
            port: metrics_port(slice.ports.as_deref().unwrap_or_default()),
            ready: ready.filter_map(|endpoint| endpoint.addresses.first()?.parse().ok()).collect(),
        })
    }

    /// Where the pods of one address family serve their metrics.
    pub(super) fn pages(&self, is_v4: bool) -> impl Iterator<Item = String> + '_ {
        self.port.iter().flat_map(move |MetricsPort { number, tls }| {
            let scheme = if *tls { "https" } else { "http" };
            self.ready.iter().filter(move |address| address.is_ipv4() == is_v4).map(move |address| {
                let address = std::net::SocketAddr::new(*address, *number);
                format!("{scheme}://{address}/metrics")
            })
        })
    }
}

/// The port whose name contains `metric`: one of the usual names if there is one, else the first by name.
fn metrics_port(ports: &[EndpointPort]) -> Option<MetricsPort> {
    let mut named: Vec<(&str, &EndpointPort)> = ports
        .iter()
        .filter_map(|port| Some((port.name.as_deref()?, port)))
        .filter(|(name, _)| name.contains("metric"))
        .collect();
    named.sort_by_key(|(name, _)| (!matches!(*name, "http-metrics" | "metrics"), *name));
    let (name, port) = named.first()?;
    let tls = port.app_protocol.as_deref().is_some_and(|protocol| protocol.eq_ignore_ascii_case("https"));
    Some(MetricsPort { number: u16::try_from(port.port?).ok()?, tls: tls || name.contains("https") })
}
