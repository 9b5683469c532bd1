//! `upgrade`: the release brought to the chart in this program, with what was given before and what is given now.

use chart_render::{Release, Values};
use serde_json::Value;

use super::args::UpgradeArgs;
use super::cluster::{self, Served};
use super::install::{self, Revision};
use super::record::{Record, Status};
use super::store::Store;
use super::{Refusal, uninstall};
use crate::connection::Connection;
use crate::output::console::Console;
use crate::session::Session;
use crate::writers::install as rendering;
use crate::{Error, Verdict};

/// Carries out `upgrade`.
///
/// # Errors
/// When there is no such release, somebody is at it, or the chart or the API server refuses it; nothing is written then.
pub async fn run(flags: &Connection, args: &UpgradeArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let session = Session::open(flags).await?;
    let store = Store::new(&session, &args.name);
    let history = store.history().await?;
    let (last, current) = standing(&session, &args.name, &history)?;
    let mut config = current.config();
    if args.reset_values {
        config.clone_from(args.given.of_install()?.tree());
    } else {
        rendering::overlay(&mut config, Value::Object(args.given.of_upgrade()?.tree().clone()));
    }
    let chart = rendering::chart()?;
    if args.crds && args.how.dry_run.is_none() {
        install::define(&session, &chart, true, console).await?;
    }
    let served = Served::ask(&session).await?;
    let release =
        Release { is_upgrade: true, revision: last.revision() + 1, ..Release::new(&args.name, &session.namespace) };
    let values = Values::from_json(config.clone());
    let rendered = cluster::render(&session, &served, chart.clone(), values, release.clone()).await?;
    let revision = Revision { session: &session, store, served, chart, release, config, rendered };
    let (outcome, verdict) = revision.carry_out(&args.how, &history, Some(current.clone()), console).await?;
    outcome.print(args.how.dry_run, console)?;
    Ok(verdict)
}

/// The last revision, and the one in force.
fn standing<'a>(session: &Session, name: &str, history: &'a [Record]) -> Result<(&'a Record, &'a Record), Error> {
    let last = uninstall::last(session, name, history)?;
    let namespace = session.namespace.clone();
    if last.status().starts_with("pending") || last.is(Status::Uninstalling) {
        let (revision, status) = (last.revision(), last.status().to_owned());
        return Err(Refusal::Pending { name: name.to_owned(), namespace, revision, status }.into());
    }
    if last.is(Status::Uninstalled) {
        return Err(Refusal::NoSuchRelease { name: name.to_owned(), namespace }.into());
    }
    let current = history.iter().rev().find(|record| record.is(Status::Deployed)).unwrap_or(last);
    if !current.is_server_side() {
        return Err(Refusal::ClientSide { name: name.to_owned(), namespace }.into());
    }
    Ok((last, current))
}
