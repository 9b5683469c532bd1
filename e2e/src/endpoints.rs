//! Which servers are ready: the addresses behind the Services of a namespace, as a gateway would follow them, or the pods
//! that a selector selects, as an endpoint picker does.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Endpoints, Pod};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Follows ready addresses until dropped.
pub struct Follower {
    urls: watch::Receiver<Vec<String>>,
    task: JoinHandle<()>,
}

impl Follower {
    /// Base URLs of the ready servers, kept up to date.
    pub fn urls(&self) -> watch::Receiver<Vec<String>> {
        self.urls.clone()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Follows the ready pods that a label selector selects, each at `port`: as an endpoint picker finds its servers.
pub fn follow_pods(client: Client, namespace: &str, selector: &str, port: u16) -> Follower {
    let (sender, urls) = watch::channel(Vec::new());
    let api: Api<Pod> = Api::namespaced(client, namespace);
    let config = watcher::Config::default().labels(selector);
    let task = tokio::spawn(async move {
        let mut known: BTreeMap<String, String> = BTreeMap::new();
        let mut events = watcher(api, config).default_backoff().boxed();
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Init) => known.clear(),
                Ok(watcher::Event::InitApply(pod) | watcher::Event::Apply(pod)) => {
                    match ready_url(&pod, port) {
                        Some(url) => known.insert(pod.name_any(), url),
                        None => known.remove(&pod.name_any()),
                    };
                }
                Ok(watcher::Event::Delete(pod)) => {
                    known.remove(&pod.name_any());
                }
                Ok(watcher::Event::InitDone) => {}
                Err(error) => tracing::warn!(%error, "Watching the servers of the pool"),
            }
            let ready: Vec<String> = known.values().cloned().collect();
            sender.send_if_modified(|urls| std::mem::replace(urls, ready.clone()) != ready);
        }
    });
    Follower { urls, task }
}

/// The address of a pod that is ready and stays.
pub fn ready_ip(pod: &Pod) -> Option<&str> {
    let status = pod.status.as_ref()?;
    let ready = status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True");
    let stays = pod.metadata.deletion_timestamp.is_none();
    status.pod_ip.as_deref().filter(|_| ready && stays)
}

fn ready_url(pod: &Pod, port: u16) -> Option<String> {
    ready_ip(pod).map(|ip| format!("http://{ip}:{port}"))
}

/// Follows the ready addresses of every Service port named `port` in a namespace.
pub fn follow(client: Client, namespace: &str, port: &str) -> Follower {
    let (sender, urls) = watch::channel(Vec::new());
    let api: Api<Endpoints> = Api::namespaced(client, namespace);
    let port = port.to_owned();
    let task = tokio::spawn(async move {
        let mut known: BTreeMap<String, Endpoints> = BTreeMap::new();
        let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Init) => known.clear(),
                Ok(watcher::Event::InitApply(endpoints) | watcher::Event::Apply(endpoints)) => {
                    known.insert(endpoints.name_any(), endpoints);
                }
                Ok(watcher::Event::Delete(endpoints)) => {
                    known.remove(&endpoints.name_any());
                }
                Ok(watcher::Event::InitDone) => {}
                Err(error) => tracing::debug!(%error, "Watching endpoints"),
            }
            let ready = ready(known.values(), &port);
            sender.send_if_modified(|urls| std::mem::replace(urls, ready.clone()) != ready);
        }
    });
    Follower { urls, task }
}

/// Base URLs of the ready addresses with a port of that name; two Services may select the same pod.
fn ready<'a>(endpoints: impl Iterator<Item = &'a Endpoints>, port: &str) -> Vec<String> {
    let subsets = endpoints.flat_map(|endpoints| endpoints.subsets.iter().flatten());
    let urls: BTreeSet<String> = subsets
        .flat_map(|subset| {
            let ports = subset.ports.iter().flatten().filter(|p| p.name.as_deref() == Some(port));
            ports.flat_map(|p| subset.addresses.iter().flatten().map(|a| format!("http://{}:{}", a.ip, p.port)))
        })
        .collect();
    urls.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_ready_addresses_of_the_named_port_count_and_each_once() {
        let endpoints: Endpoints = serde_json::from_value(json!({
            "metadata": { "name": "llama" },
            "subsets": [{
                "addresses": [{ "ip": "127.1.1.2" }, { "ip": "127.1.1.1" }],
                "notReadyAddresses": [{ "ip": "127.1.1.3" }],
                "ports": [{ "name": "vllm", "port": 8000 }, { "name": "metrics", "port": 9000 }],
            }],
        }))
        .unwrap();
        let twice = [endpoints.clone(), endpoints];
        assert_eq!(ready(twice.iter(), "vllm"), ["http://127.1.1.1:8000", "http://127.1.1.2:8000"]);
    }
}
