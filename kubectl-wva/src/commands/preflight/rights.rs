//! Whether whoever asks may write what an install writes.

use std::collections::BTreeSet;

use futures::future::try_join_all;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::Api;
use kube::api::PostParams;
use serde_json::Value;

use super::{Check, State};
use crate::commands::release::Served;
use crate::session::{self, Session};

/// What an install does to each object: it looks whether it is there, and applies it server-side.
const VERBS: [&str; 3] = ["create", "get", "patch"];

/// A verb on a resource, in a namespace or, where that is empty, in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    group: String,
    resource: String,
    namespace: String,
    verb: &'static str,
}

impl Right {
    /// In words: `create deployments.apps in namespace wva-system`.
    fn sentence(&self) -> String {
        let Self { group, resource, namespace, verb } = self;
        let dot = if group.is_empty() { "" } else { "." };
        let place = if namespace.is_empty() { "the cluster".to_owned() } else { format!("namespace {namespace}") };
        format!("{verb} {resource}{dot}{group} in {place}")
    }
}

/// Asks the API server about every right that these objects and helm's record need.
pub(super) async fn check(session: &Session, served: &Served, objects: &[Value]) -> Check {
    let needed = needed(session, served, objects);
    let name = "rights";
    let asked = try_join_all(needed.into_iter().map(|right| lacks(session, right))).await;
    Check::of(name, asked, |asked| {
        let count = asked.len();
        let lacking: Vec<String> = asked.into_iter().flatten().map(|right| right.sentence()).collect();
        match lacking.as_slice() {
            [] => Check::new(name, State::Ok, format!("you may do all that an install does ({count} rights)")),
            lacking => Check::new(name, State::Missing, format!("you may not {}", lacking.join(", nor "))),
        }
    })
}

fn needed(session: &Session, served: &Served, objects: &[Value]) -> BTreeSet<Right> {
    let mut needed = BTreeSet::new();
    for object in objects {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let Some(kind) = served.find(&text(&object["apiVersion"]), &text(&object["kind"])) else { continue };
        let (resource, capabilities) = kind;
        let namespace = match capabilities.scope {
            kube::discovery::Scope::Cluster => String::new(),
            kube::discovery::Scope::Namespaced => {
                object["metadata"]["namespace"].as_str().unwrap_or(&session.namespace).to_owned()
            }
        };
        needed.extend(VERBS.map(|verb| Right {
            group: resource.group.clone(),
            resource: resource.plural.clone(),
            namespace: namespace.clone(),
            verb,
        }));
    }
    // helm's record.
    needed.extend(["create", "list", "update"].map(|verb| Right {
        group: String::new(),
        resource: "secrets".to_owned(),
        namespace: session.namespace.clone(),
        verb,
    }));
    if !served.has("llmd.ai/v1alpha1", "VariantAutoscaling") {
        needed.extend(VERBS.map(|verb| Right {
            group: "apiextensions.k8s.io".to_owned(),
            resource: "customresourcedefinitions".to_owned(),
            namespace: String::new(),
            verb,
        }));
    }
    needed
}

/// The right, unless it is there.
async fn lacks(session: &Session, right: Right) -> Result<Option<Right>, session::Error> {
    let Right { group, resource, namespace, verb } = right.clone();
    let attributes = ResourceAttributes {
        group: Some(group),
        resource: Some(resource),
        namespace: Some(namespace).filter(|namespace| !namespace.is_empty()),
        verb: Some(verb.to_owned()),
        ..ResourceAttributes::default()
    };
    let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
    let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
    let api: Api<SelfSubjectAccessReview> = Api::all(session.client.clone());
    let answer = session.ask("ask what you may do", api.create(&PostParams::default(), &review)).await?;
    Ok((!answer.status.is_some_and(|status| status.allowed)).then_some(right))
}
