//! `uninstall`: takes the objects of a release away, and helm's record of it. Definitions stay, and with them the
//! variants.

use jiff::Timestamp;
use serde_json::Value;

use super::args::UninstallArgs;
use super::cluster::Served;
use super::outcome::Outcome;
use super::record::{Record, Status};
use super::store::Store;
use super::{Refusal, objects};
use crate::connection::Connection;
use crate::output::console::{Console, counted};
use crate::readers::{controllers, variants};
use crate::session::Session;
use crate::writers::apply;
use crate::{Error, Verdict};

/// The name of the project's chart.
const CHART: &str = "workload-variant-autoscaler";

/// The last revision of a release of our chart.
pub(super) fn last<'a>(session: &Session, name: &str, history: &'a [Record]) -> Result<&'a Record, Refusal> {
    let (name, namespace) = (name.to_owned(), session.namespace.clone());
    let Some(last) = history.last() else { return Err(Refusal::NoSuchRelease { name, namespace }) };
    match last.chart() {
        CHART => Ok(last),
        chart => Err(Refusal::OtherChart { name, namespace, chart: chart.to_owned() }),
    }
}

/// Carries out `uninstall`.
///
/// # Errors
/// When there is no such release, or a request fails; what was deleted before stays deleted, and the command can be
/// repeated.
pub async fn run(flags: &Connection, args: &UninstallArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let session = Session::open(flags).await?;
    let store = Store::new(&session, &args.name);
    let history = store.history().await?;
    let mut record = last(&session, &args.name, &history)?.clone();
    let served = Served::ask(&session).await?;
    if args.dry_run.is_none() {
        record.set(Status::Uninstalling, "Deletion in progress (or silently failed)");
        record.mark_deleted(Timestamp::now());
        store.update(&record, Timestamp::now()).await?;
    }
    // A revision that failed half-way may have left objects that the one before does not have.
    let mut installed = record.objects();
    for older in
        history.iter().rev().skip(1).take_while(|_| !history.last().is_some_and(|last| last.is(Status::Deployed)))
    {
        let more = objects::dropped(older.objects(), &installed, &session.namespace);
        installed.extend(more);
    }
    let deleted = objects::delete(&session, &served, &installed, &args.name, args.dry_run).await?;
    let mut status = "would be uninstalled".to_owned();
    if args.dry_run.is_none() {
        record.set(Status::Uninstalled, "Uninstallation complete");
        status = record.status().to_owned();
        if args.keep_history {
            store.update(&record, Timestamp::now()).await?;
        } else {
            for revision in &history {
                store.delete(revision).await?;
            }
        }
    }
    let mut applied = apply::rendered_only(&deleted.iter().collect::<Vec<&Value>>())?;
    for one in &mut applied {
        one.outcome = apply::Outcome::Deleted;
    }
    let outcome = Outcome {
        release: args.name.clone(),
        namespace: session.namespace.clone(),
        revision: record.revision(),
        status,
        objects: applied,
        notes: String::new(),
    };
    outcome.print(args.dry_run, console)?;
    if args.dry_run.is_none() {
        orphans(&session, console).await?;
    }
    Ok(Verdict::Fine)
}

/// Says how many variants have no controller any more, as far as it may be known.
async fn orphans(session: &Session, console: &mut Console<'_>) -> Result<(), Error> {
    let (Ok(controllers), Ok(variants)) = (controllers::list(session).await, variants::list(session, None).await)
    else {
        return Ok(());
    };
    let taken = |metadata: &kube::api::ObjectMeta| {
        let (labels, namespace) = (metadata.labels.clone().unwrap_or_default(), metadata.namespace.clone());
        let namespace = namespace.unwrap_or_default();
        controllers.iter().any(|controller| controller.takes(&labels, &namespace, None))
    };
    match variants.iter().filter(|variant| !taken(variants::metadata(variant))).count() {
        0 => Ok(()),
        count => console.note(&format!(
            "note: {} without a controller now: their targets keep the replicas they have; `kubectl wva list-models -A` \
             shows them",
            counted(count, "variant")
        )),
    }
}
