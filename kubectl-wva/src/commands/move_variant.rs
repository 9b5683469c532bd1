//! `move`: a variant handed over to another controller instance without a gap: the variant first, and once the new controller
//! publishes its number, whoever follows it. In between an autoscaler finds no number, and keeps the replicas there are.

mod follow;
mod published;
mod text;

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use kube::Api;
use kube::ResourceExt as _;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use serde::Serialize;
use serde_json::{Value, json};
use wva_api::{Instance, VariantAutoscaling, labels};

use crate::commands::add_model::{DryRun, REMEMBERED};
use crate::connection::Connection;
use crate::output::console::Console;
use crate::readers::controllers::{self, Controller};
use crate::readers::variants::{self, RELEASE_LABEL};
use crate::session::Session;
use crate::writers::edit::{self, Edit};
use crate::{Error, Verdict, duration, session};

/// Flags of `move`.
#[derive(Args, Clone, Debug)]
pub struct MoveArgs {
    /// The variant; the NAME given to add-model will do.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The controller instance that is to decide for it. "" is the one without an id.
    #[arg(long, value_name = "INSTANCE")]
    pub to: String,
    /// Hand over although no running controller would take it; nobody decides for it then, and nothing is waited for.
    #[arg(long)]
    pub force: bool,
    /// Change the objects although helm, or somebody else, manages these fields.
    #[arg(long)]
    pub force_conflicts: bool,
    /// Only show what would change: client shows it, server also has the API server check it.
    #[arg(long, value_enum, value_name = "WHERE")]
    pub dry_run: Option<DryRun>,
    /// How long to wait until the new controller publishes.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration::parse)]
    pub timeout: Duration,
}

/// What became of the hand-over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MoveView {
    /// Namespace.
    pub namespace: String,
    /// Name of the variant.
    pub name: String,
    /// The name given to add-model or helm, else its own.
    pub shown: String,
    /// Instance it belonged to; absent for the one without an id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Instance it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Objects that were changed, in their order.
    pub changed: Vec<String>,
    /// Whether the new controller publishes its number; absent when that was not waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<bool>,
}

/// Why nothing is moved.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No controller of the instance would take the variant.
    #[error("no controller of {to} would take variants of namespace {namespace}: {why}")]
    NotTaken {
        /// The instance.
        to: Instance,
        /// Namespace of the variant.
        namespace: String,
        /// What its controllers watch.
        why: String,
    },
    /// Its controller does not run.
    #[error("controller {controller} of {to} does not run: 0 of {replicas} replicas are ready")]
    NotRunning {
        /// The instance.
        to: Instance,
        /// Its controller.
        controller: String,
        /// Replicas it should have.
        replicas: i32,
    },
    /// helm keeps track of an object, and would set its own values again.
    #[error("{object} belongs to the helm release {release}, whose next upgrade would move it back")]
    OfHelm {
        /// The object.
        object: String,
        /// The release.
        release: String,
        /// The command that moves it with helm.
        command: String,
    },
}

impl Refusal {
    /// The way out.
    pub fn hint(&self) -> String {
        match self {
            Self::NotTaken { .. } | Self::NotRunning { .. } => {
                "`kubectl wva instances` shows all controllers; --force hands it over all the same".to_owned()
            }
            Self::OfHelm { command, .. } => {
                format!("{command}, or --force-conflicts to change only what is in the cluster")
            }
        }
    }
}

/// Kinds of the chart's model objects that carry the instance besides the variant and its follower.
const OTHERS: [(&str, &str, &str, &str); 2] =
    [("", "v1", "Service", "services"), ("monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors")];

/// Carries out `move`. What was done stays when a later step fails, and the command can be repeated.
///
/// # Errors
/// When there is no such variant or instance, no running controller would take it, or the API server refuses a change.
pub async fn run(flags: &Connection, args: &MoveArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let to = Instance::parse(&args.to)?;
    let session = Session::open(flags).await?;
    let listed = variants::list(&session, Some(&session.namespace)).await?;
    let variant = variants::named(&listed, &args.name, &session.namespace)?;
    let known = controllers::list(&session).await?;
    let runs = match takes(&known, &to, variant, &session.namespace) {
        Ok(()) => true,
        Err(_) if args.force => false,
        Err(error) => return Err(error),
    };
    let relabel = relabel(&session, variant, &to).await?;
    let mut after = follow::edits(&session, variant, &to).await?;
    after.extend(others(&session, variant, &to).await?);
    if !args.force_conflicts {
        refuse_helms([&relabel].into_iter().chain(&after), &to, &session.namespace)?;
    }
    let mut view = MoveView {
        namespace: session.namespace.clone(),
        name: variant.name_any(),
        shown: variants::shown(&variant.metadata).to_owned(),
        from: Instance::of_labels(variant.labels()).id().map(str::to_owned),
        to: to.id().map(str::to_owned),
        changed: Vec::new(),
        published: None,
    };
    if args.dry_run != Some(DryRun::Client) {
        for edit in [&relabel].into_iter().chain(&after) {
            edit.send(&session, true, args.force_conflicts).await?;
        }
    }
    let step = async |edit: &Edit, view: &mut MoveView, console: &mut Console<'_>| -> Result<(), Error> {
        if edit.changes().is_empty() {
            return Ok(());
        }
        if args.dry_run.is_none() {
            edit.send(&session, false, args.force_conflicts).await?;
        }
        view.changed.push(edit.name());
        text::step(edit, args.dry_run, console)
    };
    step(&relabel, &mut view, console).await?;
    if runs && args.dry_run.is_none() {
        let published = published::wait(&session, &view.name, &to, args.timeout).await;
        view.published = Some(published.is_ok());
        text::published(&published, &view, args.timeout, console)?;
        if published.is_err() {
            text::finish(&view, console)?;
            return Ok(Verdict::Found);
        }
    }
    for edit in &after {
        step(edit, &mut view, console).await?;
    }
    text::finish(&view, console)?;
    Ok(Verdict::Fine)
}

/// Whether a running controller of the instance would take the variant.
fn takes(known: &[Controller], to: &Instance, variant: &VariantAutoscaling, namespace: &str) -> Result<(), Error> {
    let of_instance: Vec<&Controller> = known.iter().filter(|one| one.scope.instance == *to).collect();
    if of_instance.is_empty() {
        let known = known.iter().filter_map(|one| one.scope.instance.id().map(str::to_owned)).collect();
        return Err(Error::NoSuchInstance { id: to.id().unwrap_or_default().to_owned(), known });
    }
    let mut labels: BTreeMap<String, String> = variant.labels().clone();
    labels.remove(labels::CONTROLLER_INSTANCE);
    labels.extend(to.labels());
    let Some(taker) = of_instance.iter().find(|one| one.takes(&labels, namespace, None)) else {
        let why = of_instance.iter().map(|one| format!("{} watches {}", one.key(), one.watches())).collect::<Vec<_>>();
        return Err(Refusal::NotTaken { to: to.clone(), namespace: namespace.to_owned(), why: why.join("; ") }.into());
    };
    if taker.ready < 1 {
        let (controller, replicas) = (taker.key(), taker.replicas);
        return Err(Refusal::NotRunning { to: to.clone(), controller, replicas }.into());
    }
    Ok(())
}

/// The label of the variant, and what add-model was given.
async fn relabel(session: &Session, variant: &VariantAutoscaling, to: &Instance) -> Result<Edit, session::Error> {
    let resource = ApiResource::erase::<VariantAutoscaling>(&());
    let mut edit = Edit::of(session, resource, &variant.name_any()).await?;
    label(&mut edit, to);
    let path = ["metadata", "annotations", REMEMBERED];
    let kept = edit.get(&path);
    let settings: Option<Value> = kept.as_str().and_then(|text| serde_json::from_str(text).ok());
    if let Some(mut settings) = settings.filter(|it| it.pointer("/wva/controllerInstance").is_some()) {
        settings["wva"]["controllerInstance"] = json!(to.id().unwrap_or_default());
        edit.set(&path, Value::String(settings.to_string()));
    }
    Ok(edit)
}

/// Labels an object for an instance.
fn label(edit: &mut Edit, to: &Instance) {
    edit.set(&["metadata", "labels", labels::CONTROLLER_INSTANCE], to.id().map_or(Value::Null, Value::from));
}

/// The Service and ServiceMonitor of the variant's release, which say whose they are.
async fn others(session: &Session, variant: &VariantAutoscaling, to: &Instance) -> Result<Vec<Edit>, session::Error> {
    let Some(release) = variants::release(&variant.metadata) else { return Ok(Vec::new()) };
    let mut edits = Vec::new();
    for (group, version, kind, plural) in OTHERS {
        let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
        let api: Api<DynamicObject> = Api::namespaced_with(session.client.clone(), &session.namespace, &resource);
        let of_release = ListParams::default().labels(&format!("{RELEASE_LABEL}={release}"));
        let found = match session.ask(format!("list {plural}"), api.list(&of_release)).await {
            Ok(list) => list.items,
            // Nothing depends on these labels but who cleans up: what may not be seen stays.
            Err(session::Error::NotFound { .. } | session::Error::Forbidden { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        for mut edit in found.into_iter().map(|object| Edit::new(resource.clone(), object)).filter(Edit::is_of_chart) {
            label(&mut edit, to);
            edits.push(edit);
        }
    }
    Ok(edits)
}

fn refuse_helms<'a>(edits: impl Iterator<Item = &'a Edit>, to: &Instance, namespace: &str) -> Result<(), Refusal> {
    let Some((edit, release)) = edit::of_helm(edits) else { return Ok(()) };
    let (object, release) = (edit.name(), release.to_owned());
    let id = to.id().unwrap_or_default();
    let command = format!(
        "helm upgrade {release} ./charts/workload-variant-autoscaler -n {namespace} --reuse-values --set-string \
         wva.controllerInstance={id}"
    );
    Err(Refusal::OfHelm { object, release, command })
}
