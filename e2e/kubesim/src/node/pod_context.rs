//! What everything that works on a pod needs to know of it.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use k8s_openapi::api::core::v1::{ObjectReference, Pod, PodSpec};
use kube::{Resource, ResourceExt};
use tokio::sync::watch;

use super::{Agent, downward, ip_pool::PodIp};

/// One pod on this node, for as long as its worker lives.
pub(super) struct PodContext {
    pod: Arc<Pod>,
    ip: PodIp,
    directory: PathBuf,
    /// Set once the volumes are in place.
    places: OnceLock<BTreeMap<String, PathBuf>>,
    /// The grace period, once the pod is told to stop.
    stop: watch::Sender<Option<Duration>>,
}

impl PodContext {
    pub(super) fn new(pod: Arc<Pod>, ip: PodIp, directory: PathBuf) -> Self {
        Self { pod, ip, directory, places: OnceLock::new(), stop: watch::Sender::new(None) }
    }

    pub(super) fn pod(&self) -> &Pod {
        &self.pod
    }

    /// Remembers where the volumes are; only the first call counts.
    pub(super) fn set_places(&self, places: BTreeMap<String, PathBuf>) {
        // Volumes are set up once per pod.
        let _ = self.places.set(places);
    }

    pub(super) fn name(&self) -> String {
        self.pod.name_any()
    }

    pub(super) fn namespace(&self) -> String {
        self.pod.namespace().unwrap_or_default()
    }

    pub(super) fn uid(&self) -> String {
        self.pod.uid().unwrap_or_default()
    }

    pub(super) fn reference(&self) -> ObjectReference {
        self.pod.object_ref(&())
    }

    pub(super) fn ip(&self) -> Ipv4Addr {
        self.ip.address()
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn account_directory(&self) -> PathBuf {
        self.directory.join("serviceaccount")
    }

    pub(super) fn places(&self) -> &BTreeMap<String, PathBuf> {
        static NONE: BTreeMap<String, PathBuf> = BTreeMap::new();
        self.places.get().unwrap_or(&NONE)
    }

    pub(super) fn facts<'a>(&'a self, agent: &'a Agent) -> downward::Facts<'a> {
        downward::Facts { pod: &self.pod, pod_ip: self.ip(), host_ip: agent.address, allocatable: &agent.allocatable }
    }

    pub(super) fn spec(&self) -> Option<&PodSpec> {
        self.pod.spec.as_ref()
    }

    pub(super) fn restart_policy(&self) -> &str {
        self.spec().and_then(|spec| spec.restart_policy.as_deref()).unwrap_or("Always")
    }

    /// The grace period of the manifest.
    pub(super) fn grace(&self) -> Duration {
        let seconds = self.spec().and_then(|spec| spec.termination_grace_period_seconds).unwrap_or(30);
        Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
    }

    /// A name for one run of one container.
    pub(super) fn instance_id(&self, container: &str, run: u32) -> String {
        format!("{}/{container}/{run}", self.uid())
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stop.borrow().is_some()
    }

    /// Waits until the pod is told to stop; returns the grace period.
    pub(super) async fn stopped(&self) -> Duration {
        let mut stop = self.stop.subscribe();
        // The sender lives in `self`.
        stop.wait_for(Option::is_some).await.ok().and_then(|grace| *grace).unwrap_or_default()
    }

    pub(super) fn tell_to_stop(&self, grace: Duration) {
        self.stop.send_if_modified(|known| {
            let shorter = known.is_none_or(|known| grace < known);
            if shorter {
                *known = Some(grace);
            }
            shorter
        });
    }
}
