//! `set`: cost and model of a variant, and the limits of who follows its number, changed where they stand.

mod text;

use clap::Args;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::ResourceExt as _;
use kube::api::ApiResource;
use serde::Serialize;
use serde_json::{Map, Value, json};
use wva_api::VariantAutoscaling;

use crate::commands::add_model::{DryRun, REMEMBERED, cost};
use crate::connection::Connection;
use crate::output::console::Console;
use crate::readers::followers::{self, Follower};
use crate::readers::variants;
use crate::session::Session;
use crate::writers::edit::{self, Edit, FieldChange};
use crate::writers::install::overlay;
use crate::{Error, Verdict, session};

/// Flags of `set`.
#[derive(Args, Clone, Debug, Default)]
#[command(group = clap::ArgGroup::new("what").args(["max", "min", "cost", "model_id"]).required(true).multiple(true))]
pub struct SetArgs {
    /// The variant; the NAME given to add-model will do.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Most replicas, of the HPA or `ScaledObject` that follows the variant.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max: Option<u32>,
    /// Fewest replicas, of the same.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=100_000))]
    pub min: Option<u32>,
    /// Cost of one replica per hour, relative to other variants of the model.
    #[arg(long, value_name = "NUMBER", value_parser = cost)]
    pub cost: Option<String>,
    /// Model id as the servers report it.
    #[arg(long, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub model_id: Option<String>,
    /// Change the objects although helm, or somebody else, manages these fields.
    #[arg(long)]
    pub force_conflicts: bool,
    /// Only show what would change: client shows it, server also has the API server check it.
    #[arg(long, value_enum, value_name = "WHERE")]
    pub dry_run: Option<DryRun>,
}

/// What became of one object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SetView {
    /// `kind.group/name`.
    pub object: String,
    /// Its fields that changed, or would; none when all were so already.
    pub changes: Vec<FieldChange>,
}

/// Why nothing is set.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Nothing follows the number, so there are no limits to set.
    #[error("nothing follows the number of {0}: there is no HPA and no ScaledObject of its target")]
    NoFollower(String),
    /// Several follow it.
    #[error("several autoscalers scale the target of {name}: {}", .followers.join(", "))]
    SeveralFollowers {
        /// The variant.
        name: String,
        /// Who they are.
        followers: Vec<String>,
    },
    /// The followers could not be listed.
    #[error("could not find out who follows the number of {name}: {source}")]
    FollowersUnread {
        /// The variant.
        name: String,
        /// Why not.
        source: session::Error,
    },
    /// The lower limit would be above the upper one.
    #[error("--{flag} {given} contradicts the {other} of {other_limit} that {object} has")]
    EmptyRange {
        /// The flag that was given.
        flag: &'static str,
        /// Its value.
        given: u64,
        /// The other limit's name.
        other: &'static str,
        /// The other limit.
        other_limit: u64,
        /// The object with both.
        object: String,
    },
    /// helm keeps track of the object, and would set its own values again.
    #[error("{object} belongs to the helm release {release}, whose next upgrade would set its own value again")]
    OfHelm {
        /// The object.
        object: String,
        /// The release.
        release: String,
        /// The command that changes the release.
        command: String,
    },
}

impl Refusal {
    /// The way out.
    pub fn hint(&self) -> String {
        match self {
            Self::NoFollower(name) => format!("`kubectl wva doctor {name}` says what makes one"),
            Self::SeveralFollowers { name, .. } | Self::FollowersUnread { name, .. } => {
                format!("`kubectl wva doctor {name}` says more; --cost and --model-id can be set without")
            }
            Self::EmptyRange { .. } => "give --min and --max together".to_owned(),
            Self::OfHelm { command, .. } => {
                format!("{command}, or --force-conflicts to change only what is in the cluster")
            }
        }
    }
}

/// Carries out `set`.
///
/// # Errors
/// When there is no such variant, nobody follows it, or the API server refuses a change. The API server checks all changes
/// before the first is written.
pub async fn run(flags: &Connection, args: &SetArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let session = Session::open(flags).await?;
    let listed = variants::list(&session, Some(&session.namespace)).await?;
    let variant = variants::named(&listed, &args.name, &session.namespace)?;
    let edits = edits(&session, args, variant).await?;
    if !args.force_conflicts {
        refuse_helms(&edits, args, variants::release(&variant.metadata), &session.namespace)?;
    }
    for rival in edits.iter().flat_map(Edit::rivals) {
        console.note(&format!("note: {rival} applies this field too and may set it back: change it there as well"))?;
    }
    if args.dry_run != Some(DryRun::Client) {
        for edit in &edits {
            edit.send(&session, true, args.force_conflicts).await?;
        }
    }
    if args.dry_run.is_none() {
        for edit in &edits {
            edit.send(&session, false, args.force_conflicts).await?;
        }
    }
    let views: Vec<SetView> =
        edits.iter().map(|edit| SetView { object: edit.name(), changes: edit.changes().to_vec() }).collect();
    text::print(&views, args.dry_run, console)?;
    Ok(Verdict::Fine)
}

/// What is to be different of the follower and of the variant, in this order: a number that is published stays within limits
/// that hold already.
async fn edits(session: &Session, args: &SetArgs, variant: &VariantAutoscaling) -> Result<Vec<Edit>, Error> {
    let mut edits = Vec::new();
    if args.min.is_some() || args.max.is_some() {
        edits.push(limits(session, args, variant).await?);
    }
    let resource = ApiResource::erase::<VariantAutoscaling>(&());
    let mut edit = Edit::of(session, resource, &variant.name_any()).await?;
    if let Some(cost) = &args.cost {
        edit.set(&["spec", "variantCost"], json!(cost));
    }
    if let Some(model) = &args.model_id {
        let old_name = edit.get(&["spec", "modelID"]).is_null() && !edit.get(&["spec", "modelId"]).is_null();
        edit.set(&["spec", if old_name { "modelId" } else { "modelID" }], json!(model));
    }
    remember(&mut edit, args);
    edits.push(edit);
    Ok(edits)
}

/// The limits of who follows the number.
async fn limits(session: &Session, args: &SetArgs, variant: &VariantAutoscaling) -> Result<Edit, Error> {
    let name = variants::shown(&variant.metadata).to_owned();
    let found = followers::of_target(session, &variant.spec.scale_target_ref).await;
    let found = found.map_err(|source| Refusal::FollowersUnread { name: name.clone(), source })?;
    let (follower, least, most) = match found.as_slice() {
        [] => return Err(Refusal::NoFollower(name).into()),
        [Follower::Hpa(hpa)] => {
            let resource = ApiResource::erase::<HorizontalPodAutoscaler>(&());
            (Edit::of(session, resource, hpa).await?, ("minReplicas", 1), ("maxReplicas", None))
        }
        [Follower::ScaledObject(object)] => {
            let edit = Edit::of(session, followers::scaled_object(), object).await?;
            // What KEDA takes when nothing is said.
            (edit, ("minReplicaCount", 0), ("maxReplicaCount", Some(100)))
        }
        several => {
            let followers = several.iter().map(ToString::to_string).collect();
            return Err(Refusal::SeveralFollowers { name, followers }.into());
        }
    };
    bounded(follower, args, least, most).map_err(Error::from)
}

/// Sets the limits given, unless they would contradict the one that stays. Each comes with its field, and what holds when
/// the field is missing.
fn bounded(
    mut edit: Edit,
    args: &SetArgs,
    (least, least_usual): (&str, u64),
    (most, most_usual): (&str, Option<u64>),
) -> Result<Edit, Refusal> {
    let live = |field: &str| edit.get(&["spec", field]).as_u64();
    let min = args.min.map(u64::from).or_else(|| live(least)).unwrap_or(least_usual);
    let max = args.max.map(u64::from).or_else(|| live(most)).or(most_usual);
    if let Some(max) = max.filter(|max| min > *max) {
        let (flag, given, other, other_limit) =
            if args.min.is_some() { ("min", min, "maximum", max) } else { ("max", max, "minimum", min) };
        return Err(Refusal::EmptyRange { flag, given, other, other_limit, object: edit.name() });
    }
    if let Some(min) = args.min {
        edit.set(&["spec", least], json!(min));
    }
    if let Some(max) = args.max {
        edit.set(&["spec", most], json!(max));
    }
    Ok(edit)
}

/// Keeps with a variant that add-model made what was set, so that the next add-model keeps it too.
fn remember(edit: &mut Edit, args: &SetArgs) {
    let path = ["metadata", "annotations", REMEMBERED];
    let kept = edit.get(&path);
    let Some(Value::Object(mut settings)) = kept.as_str().and_then(|text| serde_json::from_str(text).ok()) else {
        return;
    };
    overlay(&mut settings, Value::Object(chart_values(args)));
    edit.set(&path, Value::String(Value::Object(settings).to_string()));
}

/// What is set, as values of the chart.
fn chart_values(args: &SetArgs) -> Map<String, Value> {
    let mut values = json!({});
    let mut put = |group: &str, key: &str, value: Option<Value>| {
        if let Some(value) = value {
            values[group][key] = value;
        }
    };
    put("llmd", "modelID", args.model_id.clone().map(Value::from));
    put("va", "variantCost", args.cost.clone().map(Value::from));
    put("hpa", "minReplicas", args.min.map(Value::from));
    put("hpa", "maxReplicas", args.max.map(Value::from));
    values.as_object().cloned().unwrap_or_default()
}

fn refuse_helms(edits: &[Edit], args: &SetArgs, chart_release: Option<&str>, namespace: &str) -> Result<(), Refusal> {
    let Some((edit, release)) = edit::of_helm(edits) else { return Ok(()) };
    let (object, release) = (edit.name(), release.to_owned());
    // Only of the chart's own releases is it known what their values are called.
    let command = if chart_release == Some(release.as_str()) {
        let sets = leaves(&chart_values(args));
        format!("helm upgrade {release} ./charts/workload-variant-autoscaler -n {namespace} --reuse-values{sets}")
    } else {
        format!("change the values of release {release}")
    };
    Err(Refusal::OfHelm { object, release, command })
}

/// Chart values as flags of helm; what is a text stays one.
fn leaves(values: &Map<String, Value>) -> String {
    let flag = |group: &str, key: &str, value: &Value| match value {
        Value::String(text) => format!(" --set-string {group}.{key}={text}"),
        value => format!(" --set {group}.{key}={value}"),
    };
    let of_group = |(group, values): (&String, &Value)| {
        let values = values.as_object().into_iter().flatten();
        values.map(|(key, value)| flag(group, key, value)).collect::<String>()
    };
    values.iter().map(of_group).collect()
}
