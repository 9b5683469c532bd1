//! The table of built-in resources: the one place that says what the server serves without any CRD.
//!
//! Group, version, kind, plural and scope come from the types themselves; a row adds what they do not know.

use k8s_openapi::api::{
    admissionregistration::v1 as admissionregistration, apps::v1 as apps, authentication::v1 as authentication,
    authorization::v1 as authorization, autoscaling::v1 as autoscaling_v1, autoscaling::v2 as autoscaling,
    batch::v1 as batch, certificates::v1 as certificates, coordination::v1 as coordination, core::v1 as core,
    discovery::v1 as discovery, events::v1 as events, networking::v1 as networking, node::v1 as node,
    policy::v1 as policy, rbac::v1 as rbac, scheduling::v1 as scheduling, storage::v1 as storage,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as apiextensions;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1 as apiregistration;
use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::resource::{Definition, Resource, ScalePaths, Subresource};
use super::store::GroupResource;

/// One row of the table.
#[derive(Clone, Copy)]
struct Row {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    namespaced: bool,
    name: fn() -> std::borrow::Cow<'static, str>,
    generate: fn(&mut SchemaGenerator) -> Schema,
    short_names: &'static [&'static str],
    categories: &'static [&'static str],
    subresources: &'static [Subresource],
    create_only: bool,
    stored_in: Option<&'static str>,
}

impl Row {
    const fn short(mut self, names: &'static [&'static str]) -> Self {
        self.short_names = names;
        self
    }

    /// Listed by `kubectl get all`.
    const fn in_all(mut self) -> Self {
        self.categories = &["all"];
        self
    }

    const fn category(mut self, categories: &'static [&'static str]) -> Self {
        self.categories = categories;
        self
    }

    const fn with(mut self, subresources: &'static [Subresource]) -> Self {
        self.subresources = subresources;
        self
    }

    const fn review(mut self) -> Self {
        self.create_only = true;
        self
    }

    /// The same objects as the resource of this plural in another group.
    const fn stored_in(mut self, group: &'static str) -> Self {
        self.stored_in = Some(group);
        self
    }

    fn resource(&self) -> Resource {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let scaled = self.subresources.iter().any(|sub| sub.name == "scale");
        Resource {
            group: self.group.to_owned(),
            version: self.version.to_owned(),
            kind: self.kind.to_owned(),
            list_kind: format!("{}List", self.kind),
            plural: self.plural.to_owned(),
            singular: self.kind.to_lowercase(),
            short_names: words(self.short_names),
            categories: words(self.categories),
            namespaced: self.namespaced,
            create_only: self.create_only,
            subresources: self.subresources.to_vec(),
            scale: scaled.then(|| ScalePaths {
                spec_replicas: "spec.replicas".to_owned(),
                status_replicas: "status.replicas".to_owned(),
                selector: None,
            }),
            stored_as: GroupResource::new(self.stored_in.unwrap_or(self.group), self.plural),
            definition: Definition::Builtin { name: self.name, generate: self.generate },
        }
    }
}

const fn row<T: k8s_openapi::Resource + JsonSchema>(namespaced: bool) -> Row {
    Row {
        group: T::GROUP,
        version: T::VERSION,
        kind: T::KIND,
        plural: T::URL_PATH_SEGMENT,
        namespaced,
        name: T::schema_name,
        generate: SchemaGenerator::subschema_for::<T>,
        short_names: &[],
        categories: &[],
        subresources: &[],
        create_only: false,
        stored_in: None,
    }
}

const fn namespaced<T: k8s_openapi::Resource<Scope = NamespaceResourceScope> + JsonSchema>() -> Row {
    row::<T>(true)
}

const fn cluster<T: k8s_openapi::Resource<Scope = ClusterResourceScope> + JsonSchema>() -> Row {
    row::<T>(false)
}

const READ_WRITE: &[&str] = &["get", "patch", "update"];

pub(super) const STATUS: Subresource = Subresource { name: "status", body: None, verbs: READ_WRITE };
pub(super) const SCALE: Subresource =
    Subresource { name: "scale", body: Some(("autoscaling", "v1", "Scale")), verbs: READ_WRITE };
const FINALIZE: Subresource = Subresource { name: "finalize", body: None, verbs: &["update"] };
const LOG: Subresource = Subresource { name: "log", body: None, verbs: &["get"] };
const BINDING: Subresource = Subresource { name: "binding", body: Some(("", "v1", "Binding")), verbs: &["create"] };
const EVICTION: Subresource =
    Subresource { name: "eviction", body: Some(("policy", "v1", "Eviction")), verbs: &["create"] };
const TOKEN: Subresource =
    Subresource { name: "token", body: Some(("authentication.k8s.io", "v1", "TokenRequest")), verbs: &["create"] };
const POD_PROXY: Subresource = Subresource {
    name: "proxy",
    body: Some(("", "v1", "PodProxyOptions")),
    verbs: &["create", "delete", "get", "patch", "update"],
};
const PORT_FORWARD: Subresource =
    Subresource { name: "portforward", body: Some(("", "v1", "PodPortForwardOptions")), verbs: &["create", "get"] };
const NODE_PROXY: Subresource = Subresource {
    name: "proxy",
    body: Some(("", "v1", "NodeProxyOptions")),
    verbs: &["create", "delete", "get", "patch", "update"],
};
const ATTACH: Subresource =
    Subresource { name: "attach", body: Some(("", "v1", "PodAttachOptions")), verbs: &["create", "get"] };
const EXEC: Subresource =
    Subresource { name: "exec", body: Some(("", "v1", "PodExecOptions")), verbs: &["create", "get"] };
const EPHEMERAL_CONTAINERS: Subresource = Subresource { name: "ephemeralcontainers", body: None, verbs: READ_WRITE };
const RESIZE: Subresource = Subresource { name: "resize", body: None, verbs: READ_WRITE };
const SERVICE_PROXY: Subresource = Subresource {
    name: "proxy",
    body: Some(("", "v1", "ServiceProxyOptions")),
    verbs: &["create", "delete", "get", "patch", "update"],
};

const TABLE: &[Row] = &[
    namespaced::<core::Binding>().review(),
    cluster::<core::ComponentStatus>().short(&["cs"]),
    namespaced::<core::ConfigMap>().short(&["cm"]),
    namespaced::<core::Endpoints>().short(&["ep"]),
    namespaced::<core::Event>().short(&["ev"]),
    namespaced::<core::LimitRange>().short(&["limits"]),
    cluster::<core::Namespace>().short(&["ns"]).with(&[STATUS, FINALIZE]),
    cluster::<core::Node>().short(&["no"]).with(&[STATUS, NODE_PROXY]),
    namespaced::<core::PersistentVolumeClaim>().short(&["pvc"]).with(&[STATUS]),
    cluster::<core::PersistentVolume>().short(&["pv"]).with(&[STATUS]),
    namespaced::<core::Pod>().short(&["po"]).in_all().with(&[
        STATUS,
        LOG,
        BINDING,
        EVICTION,
        POD_PROXY,
        PORT_FORWARD,
        ATTACH,
        EXEC,
        EPHEMERAL_CONTAINERS,
        RESIZE,
    ]),
    namespaced::<core::PodTemplate>(),
    namespaced::<core::ReplicationController>().short(&["rc"]).in_all().with(&[STATUS, SCALE]),
    namespaced::<core::ResourceQuota>().short(&["quota"]).with(&[STATUS]),
    namespaced::<core::Secret>(),
    namespaced::<core::ServiceAccount>().short(&["sa"]).with(&[TOKEN]),
    namespaced::<core::Service>().short(&["svc"]).in_all().with(&[STATUS, SERVICE_PROXY]),
    cluster::<apiregistration::APIService>().category(&["api-extensions"]).with(&[STATUS]),
    cluster::<admissionregistration::MutatingWebhookConfiguration>().category(&["api-extensions"]),
    cluster::<admissionregistration::ValidatingWebhookConfiguration>().category(&["api-extensions"]),
    cluster::<admissionregistration::ValidatingAdmissionPolicy>().category(&["api-extensions"]).with(&[STATUS]),
    cluster::<admissionregistration::ValidatingAdmissionPolicyBinding>().category(&["api-extensions"]),
    namespaced::<apps::ControllerRevision>(),
    namespaced::<apps::DaemonSet>().short(&["ds"]).in_all().with(&[STATUS]),
    namespaced::<apps::Deployment>().short(&["deploy"]).in_all().with(&[STATUS, SCALE]),
    namespaced::<apps::ReplicaSet>().short(&["rs"]).in_all().with(&[STATUS, SCALE]),
    namespaced::<apps::StatefulSet>().short(&["sts"]).in_all().with(&[STATUS, SCALE]),
    namespaced::<events::Event>().short(&["ev"]).stored_in(""),
    cluster::<authentication::TokenReview>().review(),
    cluster::<authentication::SelfSubjectReview>().review(),
    namespaced::<authorization::LocalSubjectAccessReview>().review(),
    cluster::<authorization::SelfSubjectAccessReview>().review(),
    cluster::<authorization::SelfSubjectRulesReview>().review(),
    cluster::<authorization::SubjectAccessReview>().review(),
    namespaced::<autoscaling::HorizontalPodAutoscaler>().short(&["hpa"]).in_all().with(&[STATUS]),
    namespaced::<autoscaling_v1::HorizontalPodAutoscaler>().short(&["hpa"]).in_all().with(&[STATUS]),
    namespaced::<batch::CronJob>().short(&["cj"]).in_all().with(&[STATUS]),
    namespaced::<batch::Job>().in_all().with(&[STATUS]),
    cluster::<certificates::CertificateSigningRequest>().short(&["csr"]).with(&[STATUS]),
    namespaced::<networking::Ingress>().short(&["ing"]).with(&[STATUS]),
    cluster::<networking::IngressClass>(),
    cluster::<networking::IPAddress>().short(&["ip"]),
    cluster::<networking::ServiceCIDR>().with(&[STATUS]),
    namespaced::<networking::NetworkPolicy>().short(&["netpol"]),
    namespaced::<policy::PodDisruptionBudget>().short(&["pdb"]).with(&[STATUS]),
    cluster::<rbac::ClusterRoleBinding>(),
    cluster::<rbac::ClusterRole>(),
    namespaced::<rbac::RoleBinding>(),
    namespaced::<rbac::Role>(),
    cluster::<storage::StorageClass>().short(&["sc"]),
    cluster::<apiextensions::CustomResourceDefinition>()
        .short(&["crd", "crds"])
        .category(&["api-extensions"])
        .with(&[STATUS]),
    cluster::<scheduling::PriorityClass>().short(&["pc"]),
    namespaced::<coordination::Lease>(),
    cluster::<node::RuntimeClass>(),
    namespaced::<discovery::EndpointSlice>(),
];

/// Whether a group version has a kind, served or not.
pub(super) fn is_kind(group: &str, version: &str, kind: &str) -> bool {
    TABLE.iter().any(|row| (row.group, row.version, row.kind) == (group, version, kind))
}

/// Every built-in resource, in the order discovery lists them.
pub(super) fn resources() -> Vec<Resource> {
    TABLE.iter().map(Row::resource).collect()
}
