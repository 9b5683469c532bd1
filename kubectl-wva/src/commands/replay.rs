//! `replay`: a dumped decision taken again by the engine, with other thresholds if asked.

use std::borrow::Cow;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use wva_engine::settings::PerModel;
use wva_engine::{Plan, Settings, Target, Thresholds, decide};

use crate::output::Format;
use crate::output::console::{Console, counted};
use crate::output::table;
use crate::output::table::{Cell, Column};
use crate::readers::debug_state::{self, LastCycle};
use crate::{Error, Verdict};

/// Flags of `replay`.
#[derive(Args, Clone, Debug, Default)]
pub struct ReplayArgs {
    /// What /debug/state of a controller answered, as `explain --save` writes it, the zip of `report`, or - for standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Only variants of this model.
    #[arg(long, value_name = "ID")]
    pub model: Option<String>,
    /// Thresholds to decide with instead of the recorded ones.
    #[command(flatten)]
    pub thresholds: ThresholdArgs,
}

/// Thresholds given on the command line; each replaces the recorded one, for all models.
#[derive(Args, Clone, Copy, Debug, Default, PartialEq)]
pub struct ThresholdArgs {
    /// A replica is saturated when it uses this share of its KV cache (0 to 1).
    #[arg(long, value_name = "SHARE")]
    pub kv_cache_threshold: Option<f64>,
    /// A replica is saturated when this many requests wait.
    #[arg(long, value_name = "N")]
    pub queue_length_threshold: Option<f64>,
    /// Grow when the average spare share of the KV cache falls below this.
    #[arg(long, value_name = "SHARE")]
    pub kv_spare_trigger: Option<f64>,
    /// Grow when the average spare queue length falls below this.
    #[arg(long, value_name = "N")]
    pub queue_spare_trigger: Option<f64>,
}

/// What was decided, and what would have been.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplayView {
    /// When it was decided.
    pub decided_at: Timestamp,
    /// Variants whose number would have been another.
    pub changed: usize,
    /// The variants.
    pub variants: Vec<ReplayedView>,
}

/// One variant.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplayedView {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Its model.
    pub model: String,
    /// Replicas it had.
    pub current: u32,
    /// Replicas decided then; absent when it was not decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided: Option<u32>,
    /// Why, then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Replicas that the engine decides now.
    pub replayed: u32,
    /// Why.
    pub replayed_reason: String,
}

/// Carries out `replay`. Needs no cluster.
///
/// # Errors
/// When the file cannot be read, or holds no decision.
pub fn run(args: &ReplayArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let cycle = read(&args.file)?;
    let view = ReplayView::build(&cycle, &args.thresholds, args.model.as_deref());
    match console.format {
        Format::Json => console.json(&view)?,
        Format::Yaml => console.yaml(&view)?,
        Format::Name => {
            console.lines(view.variants.iter().map(|one| format!("variantautoscaling.llmd.ai/{}", one.name)))?;
        }
        Format::Table | Format::Wide => print(&view, console)?,
    }
    Ok(if view.changed == 0 { Verdict::Fine } else { Verdict::Found })
}

/// The decision in a file: what `/debug/state` answered, or the zip of `report`; `-` is standard input.
pub(crate) fn read(file: &Path) -> Result<LastCycle, Error> {
    let whose = file.display().to_string();
    let failed = |source| Error::File { path: file.to_owned(), source };
    let bytes = if whose == "-" { read_all(std::io::stdin().lock()) } else { std::fs::read(file) };
    let bytes = bytes.map_err(failed)?;
    let text =
        if bytes.starts_with(b"PK") { of_report(&bytes).map_err(failed)? } else { text_of(bytes).map_err(failed)? };
    debug_state::parse(&whose, &text)?
        .last_cycle
        .ok_or_else(|| debug_state::Error::Parse { whose, message: "nothing had been decided yet".to_owned() }.into())
}

fn read_all(mut from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).map(|_| bytes)
}

fn text_of(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is neither a decision state nor a report"))
}

/// The decision state in a zip that `report` wrote.
fn of_report(bytes: &[u8]) -> io::Result<String> {
    let mut zip = zip::ZipArchive::new(io::Cursor::new(bytes)).map_err(io::Error::other)?;
    let names: Vec<String> =
        zip.file_names().flatten().map(Cow::into_owned).filter(|name| name.starts_with("decisions/")).collect();
    match names.as_slice() {
        [] => Err(io::Error::other("this report holds no decision state")),
        [one] => text_of(read_all(zip.by_name(one).map_err(io::Error::other)?)?),
        several => Err(io::Error::other(format!(
            "this report holds the states of several controllers; unpack the one that is meant: {}",
            several.join(", ")
        ))),
    }
}

/// Takes a recorded decision again.
pub fn again(cycle: &LastCycle, thresholds: &ThresholdArgs) -> Plan {
    let settings = thresholds.over(&cycle.settings);
    decide(&cycle.snapshot, &mut cycle.before.clone(), &settings, cycle.at)
}

impl ThresholdArgs {
    /// The settings with these thresholds in place of theirs.
    pub(crate) fn over(&self, settings: &Settings) -> Settings {
        let PerModel { default, namespaces, models } = settings.thresholds.clone();
        let change = |given: Thresholds| {
            let Self { kv_cache_threshold, queue_length_threshold, kv_spare_trigger, queue_spare_trigger } = *self;
            Thresholds {
                kv_cache_threshold: kv_cache_threshold.unwrap_or(given.kv_cache_threshold),
                queue_length_threshold: queue_length_threshold.unwrap_or(given.queue_length_threshold),
                kv_spare_trigger: kv_spare_trigger.unwrap_or(given.kv_spare_trigger),
                queue_spare_trigger: queue_spare_trigger.unwrap_or(given.queue_spare_trigger),
            }
        };
        let thresholds = PerModel {
            default: change(default),
            namespaces: namespaces.into_iter().map(|(namespace, given)| (namespace, change(given))).collect(),
            models: models.into_iter().map(|(model, given)| (model, change(given))).collect(),
        };
        Settings { thresholds, ..settings.clone() }
    }
}

impl ReplayView {
    /// Compares the recorded plan with the one of today's engine.
    pub fn build(cycle: &LastCycle, thresholds: &ThresholdArgs, model: Option<&str>) -> Self {
        let plan = again(cycle, thresholds);
        let chosen = plan.targets.iter().filter(|target| model.is_none_or(|model| target.model_id == model));
        let variants: Vec<ReplayedView> = chosen
            .map(|target| {
                let then = cycle.plan.targets.iter().find(|then| then.variant == target.variant);
                ReplayedView {
                    namespace: target.variant.namespace.clone(),
                    name: target.variant.name.clone(),
                    model: target.model_id.clone(),
                    current: target.current,
                    decided: then.map(|then| then.replicas),
                    reason: then.map(Target::explanation),
                    replayed: target.replicas,
                    replayed_reason: target.explanation(),
                }
            })
            .collect();
        let changed = variants.iter().filter(|one| one.decided != Some(one.replayed)).count();
        Self { decided_at: cycle.at, changed, variants }
    }
}

fn print(view: &ReplayView, console: &mut Console<'_>) -> Result<(), Error> {
    let verdict = match view.changed {
        0 => "the same numbers".to_owned(),
        changed => format!("another number for {}", counted(changed, "variant")),
    };
    console.lines([format!("decision of {}: {verdict}", view.decided_at.strftime("%F %TZ")), String::new()])?;
    let columns = [
        Column::new("NAMESPACE", 1),
        Column::new("NAME", 0),
        Column::new("CURRENT", 0),
        Column::new("DECIDED", 0),
        Column::new("REPLAYED", 0),
        Column::or_below("REASON", 2),
    ];
    let rows = view.variants.iter().map(|one| {
        vec![
            Cell::new(&one.namespace),
            Cell::new(&one.name),
            Cell::new(one.current),
            Cell::new(one.decided.map_or("-".to_owned(), |decided| decided.to_string())),
            Cell::new(one.replayed),
            Cell::new(&one.replayed_reason),
        ]
    });
    let text = table::render(&columns, rows.collect(), console.headers, console.width);
    console.data(&text)
}
