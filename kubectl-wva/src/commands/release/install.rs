//! `install`: the controller, from the chart in this program, as `helm install` does it.

use chart_render::{Chart, Release, Rendered};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use serde_json::{Map, Value};

use super::args::{HowArgs, InstallArgs};
use super::cluster::{self, Served};
use super::outcome::Outcome;
use super::record::{Record, Status};
use super::store::Store;
use super::{FIELD_MANAGER, Refusal, objects, wait};
use crate::connection::Connection;
use crate::output::console::Console;
use crate::session::{self, Session};
use crate::writers::apply::{self, Applied};
use crate::writers::install as rendering;
use crate::{Error, Verdict};

/// Carries out `install`.
///
/// # Errors
/// When the release exists, or the chart or the API server refuses it; nothing is written then but, if asked for, the
/// namespace, and the definition of `VariantAutoscaling`, which both stay.
pub async fn run(flags: &Connection, args: &InstallArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let values = args.given.of_install()?;
    let session = Session::open(flags).await?;
    let store = Store::new(&session, &args.name);
    if !args.create_namespace {
        session.require_namespace(&session.namespace).await?;
    }
    let history = store.history().await?;
    if let Some(last) = history.last() {
        return Err(Refusal::Exists {
            name: args.name.clone(),
            namespace: session.namespace.clone(),
            revision: last.revision(),
            status: last.status().to_owned(),
        }
        .into());
    }
    let chart = rendering::chart()?;
    if args.how.dry_run.is_none() {
        define(&session, &chart, false, console).await?;
    }
    let served = Served::ask(&session).await?;
    let release = Release::new(&args.name, &session.namespace);
    let config = values.tree().clone();
    let rendered = cluster::render(&session, &served, chart.clone(), values, release.clone()).await?;
    if args.create_namespace && args.how.dry_run.is_none() {
        make_namespace(&session).await?;
    }
    let revision = Revision { session: &session, store, served, chart, release, config, rendered };
    let (outcome, verdict) = revision.carry_out(&args.how, &history, None, console).await?;
    outcome.print(args.how.dry_run, console)?;
    Ok(verdict)
}

/// A revision about to be made.
pub(super) struct Revision<'a> {
    pub(super) session: &'a Session,
    pub(super) store: Store<'a>,
    pub(super) served: Served,
    pub(super) chart: Chart,
    pub(super) release: Release,
    pub(super) config: Map<String, Value>,
    pub(super) rendered: Rendered,
}

impl Revision<'_> {
    /// Applies the objects and records it: pending first, then deployed, or failed with the reason. `before` is the
    /// revision in force, whose objects that are no more are deleted.
    pub(super) async fn carry_out(
        self,
        how: &HowArgs,
        history: &[Record],
        before: Option<Record>,
        console: &mut Console<'_>,
    ) -> Result<(Outcome, Verdict), Error> {
        let Self { session, store, served, chart, release, config, rendered } = self;
        let mut objects: Vec<Value> =
            rendered.manifests.iter().map(|manifest| manifest.object.clone()).filter(Value::is_object).collect();
        objects::mark(&mut objects, &release.name, &release.namespace);
        let outcome = |status: &str, applied: Vec<Applied>| Outcome {
            release: release.name.clone(),
            namespace: release.namespace.clone(),
            revision: release.revision,
            status: status.to_owned(),
            objects: applied,
            notes: rendered.notes.clone(),
        };
        if let Some(dry_run) = how.dry_run {
            let force = how.force_conflicts;
            let applied = objects::rehearse(session, &objects, &release.name, dry_run, force).await?;
            return Ok((outcome("would be deployed", applied), Verdict::Fine));
        }
        let run = objects::prepare(session, &objects, &release.name, how.force_conflicts).await?;
        // What the API server would refuse is found before the first object is written.
        run.rehearse().await?;
        let now = Timestamp::now();
        let first = before.as_ref().and_then(Record::first_deployed);
        let mut record = Record::new(&release, &chart, &config, &rendered, first, now);
        store.create(&record, history, now).await?;
        let done = async {
            let applied = run.perform().await?;
            if let Some(before) = &before {
                let gone = objects::dropped(before.objects(), &objects, &release.namespace);
                objects::delete(session, &served, &gone, &release.name, None).await?;
            }
            Ok::<_, Error>(applied)
        };
        let applied = match done.await {
            Ok(applied) => applied,
            Err(error) => {
                record.set(Status::Failed, &format!("Release {:?} failed: {error}", release.name));
                store.update(&record, Timestamp::now()).await?;
                return Err(error);
            }
        };
        if how.wait
            && let Err(why) = wait::rolled_out(session, &objects, how.timeout).await
        {
            record.set(Status::Failed, &format!("Release {:?} failed: {why}", release.name));
            store.update(&record, Timestamp::now()).await?;
            console.note(&format!("{why}; `kubectl wva doctor -n {}` says why", release.namespace))?;
            return Ok((outcome(record.status(), applied), Verdict::Found));
        }
        if let Some(mut before) = before {
            before.supersede();
            store.update(&before, Timestamp::now()).await?;
        }
        let done = if release.is_upgrade { "Upgrade complete" } else { "Install complete" };
        record.set(Status::Deployed, done);
        store.update(&record, Timestamp::now()).await?;
        Ok((outcome(record.status(), applied), Verdict::Fine))
    }
}

/// Applies the chart's definitions and waits until they are served; unless told to renew them, only those that are not
/// there, as helm does.
pub(super) async fn define(
    session: &Session,
    chart: &Chart,
    renew: bool,
    console: &mut Console<'_>,
) -> Result<(), Error> {
    for file in chart.crds() {
        let definition: Value = serde_saphyr::from_str(&file.text).map_err(|error| {
            let doing = format!("read {} of the chart", file.path);
            session::Error::Other { doing, message: error.to_string() }
        })?;
        let run = apply::Run::prepare(session, &[&definition], renew).await?.by(FIELD_MANAGER);
        if !renew && run.standing().next().is_some() {
            continue;
        }
        for applied in run.perform().await? {
            console.note(&format!("{}/{} {}", applied.kind, applied.name, applied.outcome.word()))?;
            wait::established(session, &applied.name).await?;
        }
    }
    Ok(())
}

/// Makes the namespace of the release as helm does, unless it is there.
async fn make_namespace(session: &Session) -> Result<(), Error> {
    let name = session.namespace.clone();
    let api: Api<Namespace> = Api::all(session.client.clone());
    let labels = [("name".to_owned(), name.clone())].into();
    let metadata = ObjectMeta { name: Some(name.clone()), labels: Some(labels), ..ObjectMeta::default() };
    let namespace = Namespace { metadata, ..Namespace::default() };
    let doing = format!("make namespace {name}");
    match session.ask(doing, api.create(&PostParams::default(), &namespace)).await {
        Ok(_) | Err(session::Error::Conflict { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
