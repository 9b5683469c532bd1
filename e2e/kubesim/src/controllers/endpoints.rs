//! Endpoints and `EndpointSlices` of Services that have a selector.
//!
//! A Service gets one slice per set of ports: clusters of this size never reach the 1000 addresses a slice can hold.

mod addresses;

use std::{collections::BTreeMap, sync::Arc};

use futures::{StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Pod, Service},
        discovery::v1::{Endpoint, EndpointConditions, EndpointPort as SlicePort, EndpointSlice},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, PostParams},
};

use self::addresses::{Backend, Groups, Port};
use super::Context;
use crate::machinery::{
    failed::Error,
    key::Key,
    owner,
    work_queue::{self, Next},
};

const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const SLICE_CONTROLLER: &str = "endpointslice-controller.k8s.io";
const ENDPOINTS_MANAGED_BY: (&str, &str) = ("endpoints.kubernetes.io/managed-by", "endpoint-controller");
const LAST_CHANGE: &str = "endpoints.kubernetes.io/last-change-trigger-time";
const HEADLESS: &str = "service.kubernetes.io/headless";

/// Runs until dropped.
pub(super) async fn run(ctx: Arc<Context>) {
    let services = ctx.services.clone();
    let of_pods = ctx.pods.changes().flat_map(move |change| {
        let namespace = change.sides().next().and_then(ResourceExt::namespace).unwrap_or_default();
        let in_namespace = services.in_namespace(&namespace);
        let affected = |service: &&Arc<Service>| change.sides().any(|pod| addresses::selects(service, pod));
        let keys: Vec<Key> = in_namespace.iter().filter(affected).map(|service| Key::of(service.as_ref())).collect();
        stream::iter(keys)
    });
    let of_slices = ctx.slices.changes().flat_map(|change| {
        let service = |slice: &EndpointSlice| {
            let name = slice.labels().get(SERVICE_NAME)?;
            Some(Key::new(&slice.namespace().unwrap_or_default(), name))
        };
        let keys: Vec<Key> = change.sides().filter_map(service).take(1).collect();
        stream::iter(keys)
    });
    let triggers = vec![ctx.services.keys().boxed(), ctx.endpoints.keys().boxed(), of_pods.boxed(), of_slices.boxed()];
    work_queue::run("endpoints", triggers, |key| reconcile(Arc::clone(&ctx), key)).await;
}

async fn reconcile(ctx: Arc<Context>, key: Key) -> Result<Next, Error> {
    let Some(service) = ctx.services.get(&key) else {
        delete_ours(&ctx, &key).await?;
        return Ok(Next::OnChange);
    };
    let spec = service.spec.clone().unwrap_or_default();
    let has_selector = spec.selector.is_some_and(|selector| !selector.is_empty());
    if !has_selector || spec.type_.as_deref() == Some("ExternalName") || service.metadata.deletion_timestamp.is_some() {
        return Ok(Next::OnChange);
    }
    let pods: Vec<Arc<Pod>> =
        ctx.pods.in_namespace(&key.namespace).into_iter().filter(|pod| addresses::selects(&service, pod)).collect();
    let groups = addresses::collect(&service, &pods);
    write_endpoints(&ctx, &key, endpoints(&service, &groups)).await?;
    write_slices(&ctx, &key, slices(&service, groups)).await?;
    Ok(Next::OnChange)
}

fn is_headless(service: &Service) -> bool {
    service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref()) == Some("None")
}

fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.labels().clone();
    if is_headless(service) {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels
}

/// When what is written here was brought about.
fn triggered_now() -> BTreeMap<String, String> {
    BTreeMap::from([(LAST_CHANGE.to_owned(), Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string())])
}

fn endpoints(service: &Service, groups: &Groups) -> Endpoints {
    let subset = |(ports, backends): (&Vec<Port>, &Vec<Backend>)| {
        // Endpoints know no terminating addresses: such pods are simply left out.
        let present = || backends.iter().filter(|backend| backend.ready || !backend.terminating);
        let (ready, waiting): (Vec<&Backend>, Vec<&Backend>) = present().partition(|backend| backend.ready);
        let list = |backends: Vec<&Backend>| {
            (!backends.is_empty()).then(|| backends.into_iter().map(endpoint_address).collect())
        };
        let subset = EndpointSubset {
            addresses: list(ready),
            not_ready_addresses: list(waiting),
            ports: (!ports.is_empty()).then(|| ports.iter().map(endpoint_port).collect()),
        };
        (subset.addresses.is_some() || subset.not_ready_addresses.is_some()).then_some(subset)
    };
    let subsets: Vec<_> = groups.iter().filter_map(subset).collect();
    let mut labels = labels(service);
    labels.insert(ENDPOINTS_MANAGED_BY.0.to_owned(), ENDPOINTS_MANAGED_BY.1.to_owned());
    Endpoints {
        metadata: ObjectMeta {
            name: service.metadata.name.clone(),
            namespace: service.metadata.namespace.clone(),
            labels: Some(labels),
            annotations: Some(triggered_now()),
            ..ObjectMeta::default()
        },
        subsets: (!subsets.is_empty()).then_some(subsets),
    }
}

fn endpoint_address(backend: &Backend) -> EndpointAddress {
    EndpointAddress {
        ip: backend.ip.clone(),
        hostname: backend.hostname.clone(),
        node_name: backend.node.clone(),
        target_ref: Some(backend.pod.clone()),
    }
}

fn endpoint_port(port: &Port) -> EndpointPort {
    EndpointPort {
        name: port.name.clone(),
        port: port.number,
        protocol: Some(port.protocol.clone()),
        app_protocol: port.app_protocol.clone(),
    }
}

/// Only pods on a node are in a slice; a Service of none has one slice that says so.
fn slices(service: &Service, groups: Groups) -> Vec<EndpointSlice> {
    let placed = groups.into_iter().filter_map(|(ports, mut backends)| {
        backends.retain(|backend| backend.node.is_some());
        (!backends.is_empty()).then(|| slice(service, &ports, &backends))
    });
    let slices: Vec<EndpointSlice> = placed.collect();
    if slices.is_empty() {
        let none = slice(service, &[], &[]);
        return vec![EndpointSlice { ports: None, ..none }];
    }
    slices
}

fn slice(service: &Service, ports: &[Port], backends: &[Backend]) -> EndpointSlice {
    let name = service.name_any();
    let mut labels = labels(service);
    labels.insert(SERVICE_NAME.to_owned(), name.clone());
    labels.insert(MANAGED_BY.to_owned(), SLICE_CONTROLLER.to_owned());
    let slice_port = |port: &Port| SlicePort {
        // The slice API writes an unnamed port as the empty name.
        name: Some(port.name.clone().unwrap_or_default()),
        port: Some(port.number),
        protocol: Some(port.protocol.clone()),
        app_protocol: port.app_protocol.clone(),
    };
    EndpointSlice {
        metadata: ObjectMeta {
            generate_name: Some(format!("{name}-")),
            annotations: Some(triggered_now()),
            namespace: service.namespace(),
            labels: Some(labels),
            owner_references: owner::controlled_by(service).map(|reference| vec![reference]),
            ..ObjectMeta::default()
        },
        address_type: "IPv4".to_owned(),
        endpoints: backends.iter().map(slice_endpoint).collect(),
        ports: Some(ports.iter().map(slice_port).collect()),
    }
}

fn slice_endpoint(backend: &Backend) -> Endpoint {
    Endpoint {
        addresses: vec![backend.ip.clone()],
        conditions: Some(EndpointConditions {
            ready: Some(backend.ready),
            serving: Some(backend.serving),
            terminating: Some(backend.terminating),
        }),
        hostname: backend.hostname.clone(),
        node_name: backend.node.clone(),
        target_ref: Some(backend.pod.clone()),
        ..Endpoint::default()
    }
}

async fn write_endpoints(ctx: &Context, key: &Key, wanted: Endpoints) -> Result<(), Error> {
    let api: Api<Endpoints> = Api::namespaced(ctx.client.clone(), &key.namespace);
    let known = ctx.endpoints.get(key);
    let written = match &known {
        Some(known) if known.subsets == wanted.subsets && known.labels() == wanted.labels() => return Ok(()),
        Some(known) => {
            let ObjectMeta { labels, annotations, .. } = wanted.metadata;
            let metadata = ObjectMeta { labels, annotations, ..known.metadata.clone() };
            api.replace(&key.name, &PostParams::default(), &Endpoints { metadata, subsets: wanted.subsets }).await
        }
        None => api.create(&PostParams::default(), &wanted).await,
    };
    match written {
        Ok(written) => {
            ctx.endpoints.wait_for(&written, known.as_deref()).await;
            Ok(())
        }
        Err(kube::Error::Api(status)) if is_terminating(&status) => Ok(()),
        Err(error) => Err(Error::doing("writing", "Endpoints", key)(error)),
    }
}

/// The namespace is going away: nothing can be created in it, and nothing has to be.
fn is_terminating(status: &kube::core::Status) -> bool {
    status.is_not_found() || (status.is_forbidden() && status.message.contains("being terminated"))
}

async fn write_slices(ctx: &Context, key: &Key, wanted: Vec<EndpointSlice>) -> Result<(), Error> {
    let api: Api<EndpointSlice> = Api::namespaced(ctx.client.clone(), &key.namespace);
    let mut stale = our_slices(ctx, key);
    for slice in wanted {
        let known = stale.iter().position(|known| known.ports == slice.ports).map(|index| stale.remove(index));
        let written = match &known {
            Some(known) if known.endpoints == slice.endpoints && known.labels() == slice.labels() => continue,
            Some(known) => {
                let ObjectMeta { labels, annotations, .. } = slice.metadata.clone();
                let metadata = ObjectMeta { labels, annotations, ..known.metadata.clone() };
                api.replace(&known.name_any(), &PostParams::default(), &EndpointSlice { metadata, ..slice }).await
            }
            None => api.create(&PostParams::default(), &slice).await,
        };
        match written {
            Ok(written) => {
                ctx.slices.wait_for(&written, known.as_deref()).await;
            }
            Err(kube::Error::Api(status)) if is_terminating(&status) => return Ok(()),
            Err(error) => return Err(Error::doing("writing an EndpointSlice of", "Service", key)(error)),
        }
    }
    for slice in stale {
        delete(&api, &slice.name_any()).await.map_err(Error::doing("writing an EndpointSlice of", "Service", key))?;
    }
    Ok(())
}

fn our_slices(ctx: &Context, key: &Key) -> Vec<Arc<EndpointSlice>> {
    let ours = |slice: &Arc<EndpointSlice>| {
        let labels = slice.labels();
        labels.get(SERVICE_NAME) == Some(&key.name) && labels.get(MANAGED_BY).is_some_and(|by| by == SLICE_CONTROLLER)
    };
    ctx.slices.in_namespace(&key.namespace).into_iter().filter(ours).collect()
}

/// The Service is gone. Its slices fall to garbage collection, but Endpoints have no owner.
async fn delete_ours(ctx: &Context, key: &Key) -> Result<(), Error> {
    let Some(known) = ctx.endpoints.get(key) else { return Ok(()) };
    if known.labels().get(ENDPOINTS_MANAGED_BY.0).is_none_or(|by| by != ENDPOINTS_MANAGED_BY.1) {
        return Ok(());
    }
    let api: Api<Endpoints> = Api::namespaced(ctx.client.clone(), &key.namespace);
    delete(&api, &key.name).await.map_err(Error::doing("writing", "Endpoints", key))
}

async fn delete<K>(api: &Api<K>, name: &str) -> Result<(), kube::Error>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    match api.delete(name, &DeleteParams::background()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}
