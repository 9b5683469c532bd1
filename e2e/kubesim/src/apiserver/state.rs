//! Everything the server knows, behind one lock: each request sees and leaves a consistent state.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::action::Action;
use super::addresses::ServiceAddresses;
use super::aggregation::Clients;
use super::audit::Audit;
use super::authorization::Authorization;
use super::body::Decoded;
use super::catalog::Catalog;
use super::clock;
use super::faults::Faults;
use super::remarks::Remarks;
use super::request::{Query, Target};
use super::resource::Resource;
use super::store::{GroupResource, Key, Store};
use super::tls::Authority;
use super::tokens::{Tokens, User};
use super::validation::Gates;
use super::watchers::Watchers;
use super::webhooks::Consultation;

/// Shared by all requests.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Turns true when the server stops, which ends watches and followed logs.
    pub(super) stopping: watch::Sender<bool>,
    /// Counts how often all connections were cut: what left HTTP behind has to end with them.
    pub(super) cuts: watch::Sender<u64>,
    pub(super) audit: Audit,
    pub(super) faults: Faults,
    pub(super) watchers: Watchers,
    pub(super) authority: Authority,
    /// Accepts any certificate, for nodes, and for pods and services behind the proxy subresource.
    pub(super) trusting: reqwest::Client,
    /// For aggregated APIs.
    pub(super) aggregated: Clients,
}

/// What the lock protects.
#[derive(Debug)]
pub(super) struct State {
    pub(super) store: Store,
    pub(super) catalog: Catalog,
    pub(super) tokens: Tokens,
    pub(super) addresses: ServiceAddresses,
    pub(super) authorization: Authorization,
    pub(super) gates: Gates,
    /// The certificate of the server's own authority, in PEM.
    pub(super) root_ca: String,
}

/// The `ConfigMap` of every namespace in which that certificate is found.
pub(super) const ROOT_CA: &str = "kube-root-ca.crt";

/// One request on one resource, with what is the same for all of its steps.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) user: Arc<User>,
    pub(super) action: Action,
    pub(super) resource: Arc<Resource>,
    pub(super) target: Target,
    pub(super) query: Query,
    /// The field manager: the one asked for, or the program named in the user agent.
    pub(super) manager: String,
    /// RFC 3339 in whole seconds.
    pub(super) now: String,
    /// What the body shows beside its value.
    pub(super) body: Arc<Decoded>,
    /// What is told beside the answer.
    pub(super) remarks: Arc<Mutex<Remarks>>,
    /// The identity of the object that comes of this, if one does.
    pub(super) uid: uuid::Uuid,
    /// What admission webhooks are asked and have answered.
    pub(super) consultation: Arc<Mutex<Consultation>>,
}

impl Call {
    pub(super) fn key(&self) -> Key {
        Key::new(&self.target.namespace, &self.target.name)
    }

    pub(super) fn warn(&self, text: String) {
        self.remarks().warnings.push(text);
    }

    /// Leaves a word in the audit event.
    pub(super) fn annotate(&self, key: String, value: String) {
        self.remarks().annotations.insert(key, value);
    }

    pub(super) fn remarks(&self) -> MutexGuard<'_, Remarks> {
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stored_as(&self) -> &GroupResource {
        &self.resource.stored_as
    }
}

impl Shared {
    pub(super) fn new(state: State, audit: Audit, authority: Authority, trusting: reqwest::Client) -> Self {
        Self {
            state: Mutex::new(state),
            stopping: watch::Sender::new(false),
            cuts: watch::Sender::new(0),
            audit,
            faults: Faults::default(),
            watchers: Watchers::default(),
            authority,
            trusting,
            aggregated: Clients::default(),
        }
    }

    /// Ends the connections that no longer speak HTTP.
    pub(super) fn cut_off(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// A panic while the lock was held leaves complete objects behind: every write is one map insertion.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn new(addresses: ServiceAddresses, authorization: Authorization, root_ca: String) -> Self {
        let (store, catalog, tokens) = (Store::new(), Catalog::new(), Tokens::default());
        let gates = Gates::default();
        let mut state = Self { store, catalog, tokens, addresses, authorization, gates, root_ca };
        for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
            state.found_namespace(name);
        }
        if authorization == Authorization::Rbac {
            state.found_roles(&clock::now());
        }
        state
    }

    pub(super) fn namespace(&self, name: &str) -> Option<&Arc<Value>> {
        self.store.get(&GroupResource::new("", "namespaces"), &Key::new("", name))
    }

    /// Creates one of the namespaces that exist from the start.
    fn found_namespace(&mut self, name: &str) {
        let now = clock::now();
        let namespace = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name,
                "uid": uuid::Uuid::new_v4().to_string(),
                "creationTimestamp": now,
                "labels": {"kubernetes.io/metadata.name": name},
            },
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        });
        self.store.put(&GroupResource::new("", "namespaces"), Key::new("", name), namespace);
        self.furnish_namespace(name, &now);
    }

    /// Puts the default service account into a new namespace, so that no client can be faster than it.
    pub(super) fn furnish_namespace(&mut self, name: &str, now: &str) {
        let account = json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {
                "name": "default",
                "namespace": name,
                "uid": uuid::Uuid::new_v4().to_string(),
                "creationTimestamp": now,
            },
        });
        self.store.put(&GroupResource::new("", "serviceaccounts"), Key::new(name, "default"), account);
        self.publish_root_ca(name, now);
    }

    /// Puts the certificate by which pods know the server into a namespace that is there to stay.
    pub(super) fn publish_root_ca(&mut self, namespace: &str, now: &str) {
        let stays = self.namespace(namespace).is_some_and(|found| found["metadata"].get("deletionTimestamp").is_none());
        if !stays {
            return;
        }
        let description = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal \
                           endpoints such as the internal service IP or kubernetes.default.svc. No other usage is \
                           guaranteed across distributions of Kubernetes clusters.";
        let map = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": ROOT_CA,
                "namespace": namespace,
                "uid": uuid::Uuid::new_v4().to_string(),
                "creationTimestamp": now,
                "annotations": {"kubernetes.io/description": description},
            },
            "data": {"ca.crt": self.root_ca},
        });
        self.store.put(&GroupResource::new("", "configmaps"), Key::new(namespace, ROOT_CA), map);
    }
}
