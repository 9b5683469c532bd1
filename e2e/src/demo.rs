//! The guided tour: two isolated controllers in one cluster, load on one of them, every claim checked at the end.
//!
//! - [`scene`]: what is installed;
//! - [`observe`]: one look at all variants;
//! - [`record`]: the looks over time, and the moves in them;
//! - [`claims`]: what must be true of the record;
//! - [`screen`]: a live table on a terminal, plain lines otherwise;
//! - [`picture`]: the closing chart, as text and as SVG.

pub mod claims;
pub mod observe;
pub mod picture;
pub mod record;
pub mod scene;
pub mod screen;

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use self::claims::Claim;
use self::observe::Observer;
use self::record::{Move, Record};
use self::scene::{CHEAP, DEAR, LOADED_TEAM, Scene};
use self::screen::Screen;
use crate::environment::{Environment, Settings};

/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long growing, and shrinking, may each take.
const PHASE_LIMIT: Duration = Duration::from_secs(75);
/// How long to watch once everything is settled, so that a late move would still be seen.
const QUIET: Duration = Duration::from_secs(3);

/// What the demo needs to know.
#[derive(Clone, Debug)]
pub struct Demo {
    /// Where it leaves its report and logs.
    pub dir: PathBuf,
}

/// The demo ended without a verdict.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The environment.
    #[error(transparent)]
    Environment(#[from] crate::environment::Error),
    /// The installs.
    #[error(transparent)]
    Scene(#[from] scene::Error),
    /// A look.
    #[error(transparent)]
    Observe(#[from] observe::Error),
    /// Output.
    #[error("writing {}: {source}", path.display())]
    Write {
        /// The file, or the terminal.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Runs the demo to its end and says whether every claim holds; `None` when `stop` completed first. The environment
/// is stopped in any case.
///
/// # Errors
/// When something cannot be started or watched.
pub async fn run(demo: &Demo, screen: &mut Screen, stop: impl Future<Output = ()>) -> Result<Option<bool>, Error> {
    let mut stop = pin!(stop);
    let started = Instant::now();
    screen.headline("Starting an embedded cluster with emulated A100 and H100 nodes");
    let settings = Settings::quick(&demo.dir);
    let environment = tokio::select! {
        environment = Environment::start(&settings, |step| screen.step(started.elapsed(), step)) => environment?,
        () = &mut stop => return Ok(None),
    };
    let outcome = tokio::select! {
        outcome = tour(demo, &environment, screen, started) => outcome.map(Some),
        () = &mut stop => Ok(None),
    };
    screen.headline("Stopping");
    environment.stop().await;
    outcome
}

async fn tour(demo: &Demo, environment: &Environment, screen: &mut Screen, started: Instant) -> Result<bool, Error> {
    let scene = Scene::install(environment, |step| screen.step(started.elapsed(), step)).await?;
    let observer = Observer::new(environment, &scene);
    let mut record = Record::default();

    screen.headline(&format!("Load on {LOADED_TEAM} only: {}", scene::LOAD_IN_WORDS));
    record.load_started();
    let load = scene.start_load(environment)?;
    watch(&observer, &mut record, screen, |moves| {
        [CHEAP, DEAR].iter().all(|variant| moves.iter().any(|m| m.variant == *variant && m.is_up()))
    })
    .await?;

    screen.headline("The load stops");
    record.load_stopped();
    let load = load.stop().await;
    watch(&observer, &mut record, screen, |moves| {
        [CHEAP, DEAR].iter().all(|variant| moves.iter().any(|m| m.variant == *variant && !m.is_up()))
    })
    .await?;

    let facts = observer.facts().await?;
    let claims = claims::check(&record, &facts, &load);
    report(demo, screen, &record, &claims, &load)?;
    Ok(claims.iter().all(Claim::holds))
}

/// Looks until the loaded team's moves satisfy `done` and nothing has moved for a while, or the time is up: then the
/// claims will say what is missing.
async fn watch(
    observer: &Observer,
    record: &mut Record,
    screen: &mut Screen,
    done: impl Fn(&[Move]) -> bool,
) -> Result<(), Error> {
    let begun = Instant::now();
    let mut settled_since = None;
    while begun.elapsed() < PHASE_LIMIT {
        let rows = observer.look().await?;
        let moved = record.add(rows);
        screen.rows(record);
        if done(record.moves_of_phase(LOADED_TEAM).as_slice()) && moved == 0 {
            let since = *settled_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= QUIET {
                return Ok(());
            }
        } else {
            settled_since = None;
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}

fn report(
    demo: &Demo,
    screen: &mut Screen,
    record: &Record,
    claims: &[Claim],
    load: &scene::LoadReport,
) -> Result<(), Error> {
    let svg = demo.dir.join("demo.svg");
    std::fs::write(&svg, picture::svg(record)).map_err(|source| Error::Write { path: svg.clone(), source })?;
    screen.report(&picture::text(record), &load.to_string(), claims, Path::new(&svg));
    Ok(())
}
