//! What is about to be added, compared with what is there, as `chart-render check` compares releases.

use chart_render::check::{self, Finding, Installed, Rule};
use chart_render::{Release, Rendered};
use futures::future::try_join_all;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, ListParams, TypeMeta};
use kube::core::GroupVersionKind;
use serde_json::Value;

use super::{Plan, Refusal};
use crate::session::{self, Session};

/// The kinds of a model's release, and the Deployments whose pods a Service may pick.
const KINDS: [(&str, &str, &str); 6] = [
    ("", "v1", "Service"),
    ("apps", "v1", "Deployment"),
    ("autoscaling", "v2", "HorizontalPodAutoscaler"),
    ("keda.sh", "v1alpha1", "ScaledObject"),
    ("llmd.ai", "v1alpha1", "VariantAutoscaling"),
    ("monitoring.coreos.com", "v1", "ServiceMonitor"),
];

/// Reads the model's namespace; kinds that the cluster lacks or that we may not list hold nothing.
pub(super) async fn gather(session: &Session) -> Result<Vec<Value>, session::Error> {
    let lists = KINDS.map(|(group, version, kind)| list(session, GroupVersionKind::gvk(group, version, kind)));
    Ok(try_join_all(lists).await?.concat())
}

async fn list(session: &Session, kind: GroupVersionKind) -> Result<Vec<Value>, session::Error> {
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> = Api::namespaced_with(session.client.clone(), &session.namespace, &resource);
    let doing = format!("list {} in namespace {}", resource.plural, session.namespace);
    let objects = match session.ask(doing, api.list(&ListParams::default())).await {
        Ok(list) => list.items,
        Err(session::Error::NotFound { .. } | session::Error::Forbidden { .. }) => Vec::new(),
        Err(error) => return Err(error),
    };
    // Items of a list do not say their kind.
    let types = TypeMeta { api_version: resource.api_version, kind: resource.kind };
    let named = objects.into_iter().map(|object| DynamicObject { types: Some(types.clone()), ..object });
    Ok(named.filter_map(|object| serde_json::to_value(object).ok()).collect())
}

/// What the release and those that are there do to one another, as notes.
///
/// # Errors
/// When an object or the target of the release is another one's. `force` takes objects over.
pub fn compare(plan: &Plan, rendered: &Rendered, live: Vec<Value>, force: bool) -> Result<Vec<String>, Refusal> {
    let added = Installed::rendered(&Release::new(&plan.release, &plan.namespace), rendered);
    let name = added.name.clone();
    // The release itself may be there from before.
    let mut releases = Installed::live("no release", live);
    releases.retain(|release| release.name != name);
    releases.push(added);
    // Who takes the variant, the plan knows from all controllers of the cluster; here are those of the namespace at most.
    let concerns_us =
        |finding: &Finding| finding.rule != Rule::Owner && finding.objects.iter().any(|object| object.release == name);
    let findings = check::check(&releases).findings.into_iter().filter(concerns_us);
    let stops = |finding: &Finding| match finding.rule {
        Rule::Identity => !force,
        Rule::Target => true,
        Rule::Selector | Rule::Instance | Rule::Metric | Rule::Owner => false,
    };
    let (stopping, notes): (Vec<Finding>, Vec<Finding>) = findings.partition(stops);
    let sentences = |findings: Vec<Finding>| findings.iter().map(|finding| sentence(finding, &name)).collect();
    if stopping.is_empty() { Ok(sentences(notes)) } else { Err(Refusal::Collides(sentences(stopping))) }
}

/// The finding and the objects that are there already.
fn sentence(finding: &Finding, added: &str) -> String {
    let others = finding.objects.iter().filter(|object| object.release != added);
    let others: Vec<String> =
        others.map(|object| format!("{} {} ({})", object.kind, object.name, object.release)).collect();
    if others.is_empty() { finding.message.clone() } else { format!("{}: {}", others.join(", "), finding.message) }
}
