//! Server-side apply of rendered objects: all are rehearsed before the first is written.

use futures::future::try_join_all;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, ValidationDirective};
use kube::core::GroupVersionKind;
use kube::discovery::{Discovery, Scope};
use kube::{Api, ResourceExt as _};
use serde::Serialize;
use serde_json::Value;

use crate::session::{self, Session};

/// Field manager of everything this program writes.
pub const FIELD_MANAGER: &str = "kubectl-wva";

/// Objects could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The chart rendered what is no Kubernetes object.
    #[error("the chart rendered an object that cannot be applied: {0}")]
    NoObject(String),
    /// The cluster lacks a kind.
    #[error("the cluster does not know {kind} ({api_version}), which {name} is")]
    NoSuchKind {
        /// The kind.
        kind: String,
        /// Its group and version.
        api_version: String,
        /// Name of the object.
        name: String,
    },
    /// A request failed.
    #[error(transparent)]
    Session(#[from] session::Error),
}

impl Error {
    /// What to do next, if we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoSuchKind { kind, .. } if kind == "ServiceMonitor" => Some(
                "install the Prometheus operator's CRDs, or leave out the vLLM Service and its monitor with --set \
                 vllmService.enabled=false and have the pods scraped some other way"
                    .to_owned(),
            ),
            Self::NoSuchKind { kind, .. } if kind == "VariantAutoscaling" => {
                Some("`kubectl wva install -n wva-system --create-namespace` brings it with a controller".to_owned())
            }
            Self::Session(session::Error::Forbidden { message, .. }) if message.contains("clusterroles") => Some(
                "the chart's roles for users are cluster-wide; leave them out with --set \
                 wva.rbac.userRoles.admin=false,wva.rbac.userRoles.editor=false,wva.rbac.userRoles.viewer=false"
                    .to_owned(),
            ),
            Self::Session(session::Error::Other { message, .. }) if message.contains("unknown field") => Some(
                "the cluster's definition of VariantAutoscaling is older than this program: upgrade the controller, or \
                 apply the chart's crds/ directory"
                    .to_owned(),
            ),
            Self::Session(error) => error.hint(),
            Self::NoObject(_) | Self::NoSuchKind { .. } => None,
        }
    }
}

/// What became of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// `kind.group`, as kubectl names it, e.g. `variantautoscaling.llmd.ai`.
    pub kind: String,
    /// Name of the object.
    pub name: String,
    /// What was, or would be, done.
    pub outcome: Outcome,
}

/// What was done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It did not exist.
    Created,
    /// It changed.
    Configured,
    /// It was like this already.
    Unchanged,
    /// It is no more.
    Deleted,
    /// Nothing was asked of the cluster.
    Rendered,
}

impl Outcome {
    /// kubectl's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
            Self::Deleted => "deleted",
            Self::Rendered => "rendered",
        }
    }
}

/// Names the objects without asking the cluster anything.
///
/// # Errors
/// When an object has no kind or no name.
pub fn rendered_only(objects: &[&Value]) -> Result<Vec<Applied>, Error> {
    let named = |object: &&Value| {
        let object = parse(object)?;
        Ok(Applied { kind: qualified(&gvk(&object)?), name: object.name_any(), outcome: Outcome::Rendered })
    };
    objects.iter().map(named).collect()
}

/// Objects on their way into the cluster.
pub struct Run<'a> {
    session: &'a Session,
    steps: Vec<Step>,
    force: bool,
    manager: &'static str,
}

/// Who writes, and how.
#[derive(Clone, Copy)]
struct Writer<'a> {
    session: &'a Session,
    manager: &'static str,
    force: bool,
    dry_run: bool,
}

struct Step {
    object: DynamicObject,
    api: Api<DynamicObject>,
    kind: String,
    before: Option<DynamicObject>,
}

impl<'a> Run<'a> {
    /// Finds each object's kind in the cluster, and the object as it is now. `force` takes fields over from others.
    ///
    /// # Errors
    /// When the cluster lacks a kind, or a request fails.
    pub async fn prepare(session: &'a Session, objects: &[&Value], force: bool) -> Result<Self, Error> {
        let objects = objects.iter().map(|object| parse(object)).collect::<Result<Vec<_>, _>>()?;
        let discovery = discover(session, &objects).await?;
        let steps = objects.into_iter().map(|object| Step::prepare(session, &discovery, object));
        Ok(Self { session, steps: try_join_all(steps).await?, force, manager: FIELD_MANAGER })
    }

    /// Writes under the name of another field manager than [`FIELD_MANAGER`].
    #[must_use]
    pub fn by(self, manager: &'static str) -> Self {
        Self { manager, ..self }
    }

    /// The objects that exist already, with `kind/name`.
    pub fn standing(&self) -> impl Iterator<Item = (String, &DynamicObject)> {
        self.steps.iter().filter_map(|step| {
            let before = step.before.as_ref()?;
            Some((format!("{}/{}", step.kind, step.object.name_any()), before))
        })
    }

    /// Has the API server admit and validate every object without storing it.
    ///
    /// # Errors
    /// When it refuses one.
    pub async fn rehearse(&self) -> Result<Vec<Applied>, Error> {
        try_join_all(self.steps.iter().map(|step| step.apply(self.writer(true)))).await
    }

    /// How the objects in the cluster would change, in the form of `diff -u`; empty when not at all.
    ///
    /// # Errors
    /// When the API server refuses one.
    pub async fn diff(&self) -> Result<String, Error> {
        let changes = self.steps.iter().map(|step| step.diff(self.writer(true)));
        Ok(try_join_all(changes).await?.concat())
    }

    /// Applies the objects in their order.
    ///
    /// # Errors
    /// When the API server refuses one; those before it are applied then.
    pub async fn perform(&self) -> Result<Vec<Applied>, Error> {
        let mut applied = Vec::new();
        for step in &self.steps {
            applied.push(step.apply(self.writer(false)).await?);
        }
        Ok(applied)
    }
}

impl Run<'_> {
    fn writer(&self, dry_run: bool) -> Writer<'_> {
        let Self { session, manager, force, .. } = self;
        Writer { session, manager, force: *force, dry_run }
    }
}

impl Step {
    async fn prepare(session: &Session, discovery: &Discovery, object: DynamicObject) -> Result<Self, Error> {
        let gvk = gvk(&object)?;
        let Some((resource, capabilities)) = discovery.resolve_gvk(&gvk) else {
            return Err(Error::NoSuchKind {
                kind: gvk.kind.clone(),
                api_version: gvk.api_version(),
                name: object.name_any(),
            });
        };
        let api = api(session, &resource, &capabilities.scope, &object);
        let kind = qualified(&gvk);
        let doing = format!("read {kind}/{}", object.name_any());
        let before = session.ask(doing, api.get_opt(&object.name_any())).await?;
        Ok(Self { object, api, kind, before })
    }

    async fn diff(&self, writer: Writer<'_>) -> Result<String, Error> {
        let after = self.send(writer).await?;
        let name = format!("{}/{}", self.kind, self.object.name_any());
        let text = |object: &DynamicObject| {
            let mut object = content(object);
            object.metadata.uid = None;
            object.metadata.creation_timestamp = None;
            object.data.as_object_mut().map(|data| data.remove("status"));
            serde_saphyr::to_string(&object).map_err(|error| Error::NoObject(error.to_string()))
        };
        let before = self.before.as_ref().map(text).transpose()?.unwrap_or_default();
        let after = text(&after)?;
        if before == after {
            return Ok(String::new());
        }
        let diff = similar::TextDiff::from_lines(&before, &after);
        Ok(diff.unified_diff().header(&format!("live/{name}"), &format!("added/{name}")).to_string())
    }

    async fn send(&self, writer: Writer<'_>) -> Result<DynamicObject, Error> {
        let Writer { session, manager, force, dry_run } = writer;
        let name = self.object.name_any();
        let params = PatchParams {
            dry_run,
            force,
            field_manager: Some(manager.to_owned()),
            field_validation: Some(ValidationDirective::Strict),
        };
        let patch = Patch::Apply(&self.object);
        let doing = format!("apply {}/{name}", self.kind);
        Ok(session.ask(doing, self.api.patch(&name, &params, &patch)).await?)
    }

    async fn apply(&self, writer: Writer<'_>) -> Result<Applied, Error> {
        let name = self.object.name_any();
        let after = self.send(writer).await?;
        let outcome = match &self.before {
            None => Outcome::Created,
            Some(before) if content(before) == content(&after) => Outcome::Unchanged,
            Some(_) => Outcome::Configured,
        };
        Ok(Applied { kind: self.kind.clone(), name, outcome })
    }
}

/// Two requests for all kinds. An API server without aggregated discovery answers them with what reads as "no kinds at
/// all", so a kind that seems missing is looked for once more, group by group.
async fn discover(session: &Session, objects: &[DynamicObject]) -> Result<Discovery, Error> {
    let kinds = objects.iter().map(gvk).collect::<Result<Vec<_>, _>>()?;
    let groups: Vec<&str> = kinds.iter().map(|gvk| gvk.group.as_str()).collect();
    let discovery = || Discovery::new(session.client.clone()).filter(&groups);
    match discovery().run_aggregated().await {
        Ok(found) if kinds.iter().all(|gvk| found.resolve_gvk(gvk).is_some()) => Ok(found),
        _ => Ok(session.ask("look up the kinds the cluster knows", discovery().run()).await?),
    }
}

fn api(session: &Session, resource: &ApiResource, scope: &Scope, object: &DynamicObject) -> Api<DynamicObject> {
    match scope {
        Scope::Cluster => Api::all_with(session.client.clone(), resource),
        Scope::Namespaced => {
            let namespace = object.namespace().unwrap_or_else(|| session.namespace.clone());
            Api::namespaced_with(session.client.clone(), &namespace, resource)
        }
    }
}

fn parse(object: &Value) -> Result<DynamicObject, Error> {
    let parsed: DynamicObject =
        serde_json::from_value(object.clone()).map_err(|error| Error::NoObject(error.to_string()))?;
    if parsed.metadata.name.as_deref().unwrap_or_default().is_empty() {
        return Err(Error::NoObject(format!("a {} without a name", gvk(&parsed)?.kind)));
    }
    Ok(parsed)
}

fn gvk(object: &DynamicObject) -> Result<GroupVersionKind, Error> {
    let types = object.types.as_ref().ok_or_else(|| Error::NoObject("it has no kind".to_owned()))?;
    GroupVersionKind::try_from(types).map_err(|error| Error::NoObject(error.to_string()))
}

fn qualified(gvk: &GroupVersionKind) -> String {
    let kind = gvk.kind.to_lowercase();
    if gvk.group.is_empty() { kind } else { format!("{kind}.{}", gvk.group) }
}

/// The object without the traces that a write leaves even when it changes nothing a person would call content.
fn content(object: &DynamicObject) -> DynamicObject {
    let mut object = object.clone();
    object.metadata.managed_fields = None;
    object.metadata.resource_version = None;
    object.metadata.generation = None;
    object
}
