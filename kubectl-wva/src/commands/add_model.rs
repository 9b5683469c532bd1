//! `add-model`: a model-only install of the chart, refused when it would not work.
//!
//! *Facts* are read first, all of them; a *plan* follows from flags and facts alone; the chart is rendered with the
//! plan's values; the result is compared with the facts once more, and only then applied.

mod args;
mod facts;
mod neighbours;
mod plan;
mod refusal;
mod report;
mod wait;

pub use args::{AddModelArgs, DryRun};
pub(crate) use args::{cost, release_name};
pub use facts::{Controllers, Facts};
pub use neighbours::compare;
pub(crate) use plan::kept::ANNOTATION as REMEMBERED;
pub use plan::{Plan, check_rendered, plan};
pub use refusal::Refusal;

use chart_render::Rendered;
use serde_json::Value;

use crate::connection::Connection;
use crate::output::console::Console;
use crate::session::Session;
use crate::writers::apply::{self, Applied};
use crate::writers::install;
use crate::{Error, Verdict};

/// Carries out `add-model`.
///
/// # Errors
/// When the model cannot be added; nothing is written then, unless the API server changes its mind between its own
/// dry run and the real request.
pub async fn run(flags: &Connection, args: &AddModelArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let given = install::values(None, &args.values, &args.set)?;
    let session = Session::open(flags).await?;
    let facts = facts::gather(&session).await?;
    let plan = plan(args, given.tree(), &facts)?;
    for note in &plan.notes {
        console.note(&format!("note: {note}"))?;
    }
    let mut rendered = install::render(&plan.release, &plan.namespace, plan.values.clone())?;
    remember(&plan, &mut rendered);
    let objects: Vec<&Value> = rendered.manifests.iter().map(|manifest| &manifest.object).collect();
    let variant = check_rendered(&plan, &objects, &facts)?;
    for note in compare(&plan, &rendered, neighbours::gather(&session).await?, args.force_conflicts)? {
        console.note(&format!("note: {note}"))?;
    }
    if args.diff {
        let changes = apply::Run::prepare(&session, &objects, args.force_conflicts).await?.diff().await?;
        console.data(&changes)?;
        return Ok(if changes.is_empty() { Verdict::Fine } else { Verdict::Found });
    }
    let applied = carry_out(&session, args, &objects).await?;
    report::print(args, &rendered, &applied, console)?;
    if let Some(note) = report::slow_growth(&objects) {
        console.note(&format!("note: {note}"))?;
    }
    match args.wait.then_some(args.dry_run) {
        Some(None) => wait::until_ready(&session, &plan.namespace, &variant, args.timeout, console).await,
        _ => Ok(Verdict::Fine),
    }
}

/// Keeps with the variant what was given, for the next call.
fn remember(plan: &Plan, rendered: &mut Rendered) {
    let settings = Value::Object(plan.settings.clone()).to_string();
    let variants = rendered.manifests.iter_mut().filter(|manifest| manifest.object["kind"] == "VariantAutoscaling");
    for manifest in variants {
        manifest.object["metadata"]["annotations"][plan::kept::ANNOTATION] = Value::String(settings.clone());
    }
}

async fn carry_out(session: &Session, args: &AddModelArgs, objects: &[&Value]) -> Result<Vec<Applied>, Error> {
    let applied = match args.dry_run {
        Some(DryRun::Client) => apply::rendered_only(objects)?,
        Some(DryRun::Server) => apply::Run::prepare(session, objects, args.force_conflicts).await?.rehearse().await?,
        None => {
            let run = apply::Run::prepare(session, objects, args.force_conflicts).await?;
            // The rehearsal finds what the API server would refuse before the first object is written.
            run.rehearse().await?;
            run.perform().await?
        }
    };
    Ok(applied)
}
