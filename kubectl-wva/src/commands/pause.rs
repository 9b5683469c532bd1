//! `pause` and `resume`: hold variants at a number of replicas, by annotations that their controller obeys.

mod choose;
mod text;

use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde::Serialize;
use serde_json::{Map, Value, json};
use wva_api::{Pause, pause};

use crate::commands::add_model::DryRun;
use crate::connection::Connection;
use crate::duration;
use crate::output::console::Console;
use crate::readers::variants;
use crate::readers::variants::Guarded;
use crate::session::Session;
use crate::writers::apply::FIELD_MANAGER;
use crate::{Error, Verdict};

pub(crate) use text::told;

/// Which variants are paused or resumed.
#[derive(Args, Clone, Debug, Default)]
pub struct Choice {
    /// The variant; the NAME given to add-model will do.
    #[arg(value_name = "NAME", required_unless_present = "all", conflicts_with = "all")]
    pub name: Option<String>,
    /// All variants of the namespace, or those that --model and --instance leave.
    #[arg(long)]
    pub all: bool,
    /// With --all: only variants of this model.
    #[arg(long, value_name = "ID", requires = "all", conflicts_with = "name")]
    pub model: Option<String>,
    /// With --all: only variants of this controller instance. "" is the one without an id.
    #[arg(long, value_name = "ID", requires = "all", conflicts_with = "name")]
    pub instance: Option<String>,
    /// With --all: in all namespaces.
    #[arg(short = 'A', long, requires = "all", conflicts_with = "name")]
    pub all_namespaces: bool,
    /// Only show what would happen: client lists it, server also has the API server check it.
    #[arg(long, value_enum, value_name = "WHERE")]
    pub dry_run: Option<DryRun>,
}

/// Flags of `pause`.
#[derive(Args, Clone, Debug, Default)]
pub struct PauseArgs {
    /// Which variants.
    #[command(flatten)]
    pub choice: Choice,
    /// Replicas to hold, within the limits of the HPA; without it those that are published.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=100_000))]
    pub at: Option<u32>,
    /// How long, e.g. 2h; without it until `resume`.
    #[arg(long = "for", value_name = "TIME", value_parser = duration::look_back)]
    pub length: Option<Duration>,
    /// Why, for whoever looks at the status.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// Flags of `resume`.
#[derive(Args, Clone, Debug, Default)]
pub struct ResumeArgs {
    /// Which variants.
    #[command(flatten)]
    pub choice: Choice,
}

/// What became of one variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PausedView {
    /// Namespace.
    pub namespace: String,
    /// Name of the variant.
    pub name: String,
    /// The name given to add-model or helm, else its own.
    pub shown: String,
    /// Whether it is paused now.
    pub paused: bool,
    /// Whether that is new: `resume` finds some that were not paused.
    pub changed: bool,
    /// The pause that was asked for; nothing of it where there is none.
    #[serde(flatten)]
    pub pause: Pause,
}

/// Carries out `pause`.
///
/// # Errors
/// When there is no such variant, or one cannot be written; those before it are paused then, and the command can be repeated.
pub async fn run(flags: &Connection, args: &PauseArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let session = Session::open(flags).await?;
    let chosen = choose::variants(&session, &args.choice).await?;
    let until = args.length.and_then(|length| SignedDuration::try_from(length).ok());
    let until = until.and_then(|length| Timestamp::now().checked_add(length).ok());
    let by = who(&session).await;
    let pause = Pause { replicas: args.at, until, by, reason: args.reason.clone() };
    carry_out(&session, &chosen, Some(&pause), &args.choice, console).await
}

/// Carries out `resume`.
///
/// # Errors
/// As [`run`].
pub async fn resume(flags: &Connection, args: &ResumeArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let session = Session::open(flags).await?;
    let chosen = choose::variants(&session, &args.choice).await?;
    carry_out(&session, &chosen, None, &args.choice, console).await
}

/// Pauses the variants, or resumes them where there is no `wanted` pause.
async fn carry_out(
    session: &Session,
    chosen: &[Guarded],
    wanted: Option<&Pause>,
    choice: &Choice,
    console: &mut Console<'_>,
) -> Result<Verdict, Error> {
    let mut views = Vec::new();
    for variant in chosen {
        let view = view(variant, wanted);
        if view.changed && choice.dry_run != Some(DryRun::Client) {
            write(session, &view, wanted, choice.dry_run == Some(DryRun::Server)).await?;
        }
        text::line(&view, choice.dry_run, console)?;
        views.push(view);
    }
    text::finish(&views, choice, console)?;
    Ok(if views.is_empty() { Verdict::Found } else { Verdict::Fine })
}

async fn write(session: &Session, view: &PausedView, wanted: Option<&Pause>, dry_run: bool) -> Result<(), Error> {
    let api: Api<Guarded> = Api::namespaced(session.client.clone(), &view.namespace);
    let params = PatchParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let annotations: Map<String, Value> = match wanted {
        // What an earlier pause said and this one does not is taken away.
        Some(pause) => pause.written().into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect(),
        None => pause::ANNOTATIONS.iter().map(|name| ((*name).to_owned(), Value::Null)).collect(),
    };
    let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
    let doing = format!("annotate variant {} in namespace {}", view.name, view.namespace);
    session.ask(doing, api.patch(&view.name, &params, &patch)).await?;
    Ok(())
}

fn view(variant: &Guarded, wanted: Option<&Pause>) -> PausedView {
    let metadata = variants::metadata(variant);
    let annotations = metadata.annotations.clone().unwrap_or_default();
    PausedView {
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
        shown: variants::shown(metadata).to_owned(),
        paused: wanted.is_some(),
        changed: wanted.is_some() || pause::ANNOTATIONS.iter().any(|name| annotations.contains_key(*name)),
        pause: wanted.cloned().unwrap_or_default(),
    }
}

/// The name by which the API server knows the user; `None` where it does not say.
async fn who(session: &Session) -> Option<String> {
    let api: Api<SelfSubjectReview> = Api::all(session.client.clone());
    let review = session.ask("ask who I am", api.create(&PostParams::default(), &SelfSubjectReview::default())).await;
    review.ok()?.status?.user_info?.username
}
