//! A variant of an instance, as a test asks about it and puts load on it.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};

use super::Wva;
use crate::endpoints::ready_ip;
use crate::wait::{self, Look};

/// A variant that an instance manages: `VariantAutoscaling` and HPA `<name>-va` and `<name>-hpa`, Deployment `<name>`.
pub struct Model<'a> {
    pub(super) wva: &'a Wva<'a>,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Model<'_> {
    /// Name of the Deployment.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Name of the `VariantAutoscaling`.
    pub fn variant(&self) -> String {
        format!("{}-va", self.name)
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Has all its servers say that their KV cache is nearly full and requests wait.
    ///
    /// # Panics
    /// When a server does not take the order in time.
    pub async fn saturate(&self) {
        self.pin(&json!({ "kv_cache_usage": 0.95, "num_requests_waiting": 9 })).await;
    }

    /// Has all its servers say that nothing is to do.
    ///
    /// # Panics
    /// As [`Model::saturate`].
    pub async fn idle(&self) {
        self.pin(&json!({ "kv_cache_usage": 0.0, "num_requests_waiting": 0, "num_requests_running": 0 })).await;
    }

    /// Has all its servers that are ready now report these figures (`/admin/config` of the emulator).
    async fn pin(&self, figures: &Value) {
        let environment = self.wva.environment();
        let pods: Api<Pod> = Api::namespaced(environment.client(), &self.namespace);
        let own = ListParams::default().labels(&format!("llm-d.ai/model={}", self.name));
        let what = format!("the servers of {} to take orders", self.name);
        let told = wait::until(&what, self.wva.patience(), || async {
            let mut pods = match pods.list(&own).await {
                Ok(pods) => pods.items,
                Err(error) => return Look::NotYet(error.to_string()),
            };
            let there = pods.len();
            pods.retain(|pod| ready_ip(pod).is_some());
            if pods.is_empty() {
                return Look::NotYet(format!("none of {there} pods is ready"));
            }
            for pod in pods {
                if let Err(error) = environment.tell(&pod, 8000, "/admin/config", figures).await {
                    return Look::NotYet(format!("{}: {error}", pod.name_any()));
                }
            }
            Look::Done(())
        });
        told.await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Waits until the number of replicas that the controller wants satisfies `wanted`, and gives it.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn desired(&self, what: &str, wanted: impl Fn(u32) -> bool) -> u32 {
        let path = "jsonpath={.status.desiredOptimizedAlloc.numReplicas}";
        self.number(what, &["get", "va", &self.variant(), "-n", &self.namespace, "-o", path], wanted).await
    }

    /// Waits until the number of replicas of the Deployment that are ready satisfies `wanted`, and gives it.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn ready(&self, what: &str, wanted: impl Fn(u32) -> bool) -> u32 {
        let path = "jsonpath={.status.readyReplicas}";
        self.number(what, &["get", "deployment", &self.name, "-n", &self.namespace, "-o", path], wanted).await
    }

    /// The number of replicas that its HPA asks for now.
    ///
    /// # Panics
    /// When the Deployment cannot be read.
    pub async fn replicas(&self) -> u32 {
        self.number("the replicas of the Deployment", &self.spec(), |_| true).await
    }

    fn spec(&self) -> [&str; 7] {
        ["get", "deployment", &self.name, "-n", &self.namespace, "-o", "jsonpath={.spec.replicas}"]
    }

    async fn number(&self, what: &str, args: &[&str], wanted: impl Fn(u32) -> bool) -> u32 {
        let what = format!("{} of instance {}: {what}", self.name, self.wva.id());
        let seen = wait::until(&what, self.wva.patience(), || async {
            match self.wva.kubectl().run(args).await {
                // Kubernetes leaves out a number that is 0.
                Ok(text) => match text.parse().or(if text.is_empty() { Ok(0) } else { Err(()) }) {
                    Ok(number) if wanted(number) => Look::Done(number),
                    _ => Look::NotYet(text),
                },
                Err(error) => Look::NotYet(error.to_string()),
            }
        });
        seen.await.unwrap_or_else(|error| panic!("{error}"))
    }
}
