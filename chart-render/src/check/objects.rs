//! One look at an object: what it is, what it selects, what it scales.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::{Installed, Reference};

/// Kinds that run pods, with the path to the pod template.
const WORKLOADS: &[&str] =
    &["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "LeaderWorkerSet"];

/// Kinds of Kubernetes itself whose objects are in no namespace, whatever their manifest says.
const CLUSTER_WIDE: &[&str] = &[
    "APIService",
    "CSIDriver",
    "CSINode",
    "CertificateSigningRequest",
    "ClusterRole",
    "ClusterRoleBinding",
    "ClusterTrustBundle",
    "CustomResourceDefinition",
    "DeviceClass",
    "FlowSchema",
    "GatewayClass",
    "IPAddress",
    "IngressClass",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "ResourceSlice",
    "RuntimeClass",
    "ServiceCIDR",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VolumeAttachment",
    "VolumeAttributesClass",
];

pub(super) type Labels = BTreeMap<String, String>;

/// An object with its release.
pub(super) struct Object<'a> {
    /// Position of the release.
    pub(super) release: usize,
    pub(super) release_name: &'a str,
    pub(super) json: &'a Json,
}

/// Objects that others made, pods of a Deployment for example, are left out: their owner is looked at.
pub(super) fn gather(releases: &[Installed]) -> Vec<Object<'_>> {
    let all = releases.iter().enumerate().flat_map(|(release, installed)| {
        installed.objects.iter().map(move |json| Object { release, release_name: &installed.name, json })
    });
    all.filter(|object| object.json["metadata"]["ownerReferences"].as_array().is_none_or(Vec::is_empty)).collect()
}

impl<'a> Object<'a> {
    pub(super) fn kind(&self) -> &'a str {
        self.json["kind"].as_str().unwrap_or_default()
    }

    /// The API group; versions of one group show the same object.
    pub(super) fn group(&self) -> &'a str {
        self.json["apiVersion"].as_str().and_then(|version| version.split_once('/')).map_or("", |(group, _)| group)
    }

    pub(super) fn name(&self) -> &'a str {
        self.json["metadata"]["name"].as_str().unwrap_or_default()
    }

    pub(super) fn namespace(&self) -> &'a str {
        if is_cluster_wide(self.kind()) {
            return "";
        }
        self.json["metadata"]["namespace"].as_str().unwrap_or_default()
    }

    pub(super) fn label(&self, key: &str) -> Option<&'a str> {
        self.json["metadata"]["labels"][key].as_str()
    }

    pub(super) fn labels(&self) -> Labels {
        labels(&self.json["metadata"]["labels"])
    }

    pub(super) fn is_workload(&self) -> bool {
        WORKLOADS.contains(&self.kind())
    }

    pub(super) fn pod_template(&self) -> &'a Json {
        match self.kind() {
            "Pod" => self.json,
            "LeaderWorkerSet" => &self.json["spec"]["leaderWorkerTemplate"]["workerTemplate"],
            _ => &self.json["spec"]["template"],
        }
    }

    /// The labels of the pods it runs.
    pub(super) fn pod_labels(&self) -> Labels {
        labels(&self.pod_template()["metadata"]["labels"])
    }

    /// `spec.scaleTargetRef` of a variant, an HPA or a `ScaledObject`: namespace, kind and name.
    pub(super) fn target(&self) -> Option<(&'a str, &'a str, &'a str)> {
        let reference = &self.json["spec"]["scaleTargetRef"];
        let kind = reference["kind"].as_str().unwrap_or("Deployment");
        Some((self.namespace(), kind, reference["name"].as_str()?))
    }

    pub(super) fn reference(&self) -> Reference {
        Reference {
            release: self.release_name.to_owned(),
            kind: self.kind().to_owned(),
            namespace: self.namespace().to_owned(),
            name: self.name().to_owned(),
        }
    }
}

/// Whether objects of a kind are in no namespace. Kinds that Kubernetes does not come with are taken to be in one.
pub(super) fn is_cluster_wide(kind: &str) -> bool {
    CLUSTER_WIDE.contains(&kind)
}

pub(super) fn labels(json: &Json) -> Labels {
    let entries = json.as_object().into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// Whether a selector of labels picks something so labelled; an empty one picks nothing here.
pub(super) fn picks(selector: &Labels, labels: &Labels) -> bool {
    !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// `a=b,c=d`, for sentences.
pub(super) fn show(selector: &Labels) -> String {
    selector.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}
