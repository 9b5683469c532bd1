//! `cost`: what variants cost per hour and month, at the size they have and at the size decided, what they have cost, and what
//! the cheapest mix would cost that serves as much.

mod capacity;
mod mix;
mod prices;
mod spent;
mod text;
mod view;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use wva_engine::{History, VariantKey};

pub use capacity::Capacities;
pub use mix::{Offer, cheapest};
pub use prices::Prices;
pub use text::print;
pub use view::{CostView, MixView, ModelCost, VariantCost};

use crate::commands::status::{self, Filter, StatusView};
use crate::connection::Connection;
use crate::output::console::Console;
use crate::output::watch::WatchArgs;
use crate::readers::controllers::{self, Controller};
use crate::readers::debug_state::{self, LastCycle};
use crate::readers::recorded::{self, Question, Recorded};
use crate::session::Session;
use crate::{Error, Verdict, duration};

/// Flags of `cost`.
#[derive(Args, Clone, Debug, Default)]
pub struct CostArgs {
    /// Only this variant; the NAME given to add-model will do.
    #[arg(value_name = "NAME", conflicts_with_all = ["all_namespaces", "model"])]
    pub name: Option<String>,
    /// All namespaces.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Only variants of this model.
    #[arg(long, value_name = "ID")]
    pub model: Option<String>,
    /// Also what was spent in this time, e.g. 24h, as far as controllers know it.
    #[arg(long, value_name = "TIME", value_parser = duration::look_back)]
    pub since: Option<Duration>,
    /// Prices instead of `variantCost`: a YAML file with lines `ACCELERATOR: PRICE`, the price of one GPU for an hour.
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,
    /// Looking again and again.
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// Everything the answer is made of.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// The variants, as `status` shows them.
    pub status: StatusView,
    /// The last cycle of each controller that could be asked.
    pub cycles: Vec<LastCycle>,
    /// Decisions of the time that was asked for; `None` when none was.
    pub histories: Option<Vec<History>>,
    /// What Prometheus recorded of the time before these.
    pub recorded: Vec<Recorded>,
    /// Why a part is missing.
    pub notes: Vec<String>,
}

/// Time that nobody needs to be asked about: a controller looks at a new variant within it.
const UNKNOWN: SignedDuration = SignedDuration::from_secs(20);

impl Gathered {
    /// Whether controllers do not know all of the time since `from`, in which a variant was there.
    fn lacks(&self, from: Timestamp) -> bool {
        self.status.variants.iter().any(|variant| {
            let key = VariantKey { namespace: variant.namespace.clone(), name: variant.name.clone() };
            let history = self.histories.iter().flatten().find_map(|history| history.of(&key));
            let first = history.and_then(|history| Some(history.decisions.front()?.at)).unwrap_or(self.status.as_of);
            let there = variant.created_at.map_or(from, |created| created.max(from));
            first.duration_since(there) > UNKNOWN
        })
    }
}

/// Carries out `cost`.
///
/// # Errors
/// When the variants cannot be listed, or the price list cannot be used.
pub async fn run(flags: &Connection, args: &CostArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let prices = args.prices.as_ref().map(Prices::read).transpose()?;
    let session = Session::open(flags).await?;
    let namespace = (!args.all_namespaces).then(|| session.namespace.clone());
    let filter = Filter { name: args.name.clone(), model: args.model.clone(), ..Filter::default() };
    let again = async |console: &mut Console<'_>| {
        let mut gathered = Box::pin(gather(&session, namespace.as_deref(), &filter, args.since.is_some())).await?;
        let now = gathered.status.as_of;
        let since = args.since.and_then(|since| Some(now - SignedDuration::try_from(since).ok()?));
        if let Some(from) = since.filter(|from| gathered.lacks(*from)) {
            look_up(&session, namespace.as_deref(), from, &mut gathered).await;
        }
        let view = CostView::build(&gathered, prices.as_ref(), since);
        print(&view, console)?;
        Ok(if view.unread.is_empty() { Verdict::Fine } else { Verdict::Unknown })
    };
    args.watch.repeat(console, again).await
}

/// Asks Prometheus for the time that controllers do not know.
async fn look_up(session: &Session, namespace: Option<&str>, from: Timestamp, gathered: &mut Gathered) {
    let to = gathered.status.as_of;
    let controllers = controllers::list(session).await.unwrap_or_default();
    let deciding = controllers.iter().filter(|one| decides(one, &gathered.status));
    let (recorded, failed) = recorded::fetch(session, deciding, Question { namespace, name: None, from, to }).await;
    gathered.recorded = recorded;
    let said = |why| format!("what was spent before the controllers' own memory is not known: {why}");
    gathered.notes.extend(failed.into_iter().map(said));
}

/// Reads everything, `histories` of the controllers if wanted.
pub(crate) async fn gather(
    session: &Session,
    namespace: Option<&str>,
    filter: &Filter,
    histories: bool,
) -> Result<Gathered, Error> {
    let status = Box::pin(status::look(session, namespace, filter)).await?;
    let mut notes = Vec::new();
    let controllers = match controllers::list(session).await {
        Ok(all) => all,
        Err(error) => {
            notes.push(format!("what replicas can take is not known: {error}"));
            Vec::new()
        }
    };
    let asked: Vec<&Controller> = controllers.iter().filter(|one| one.ready > 0 && decides(one, &status)).collect();
    let ask = |controller: &'_ Controller| {
        let controller = controller.clone();
        async move {
            let state = debug_state::fetch(session, &controller).await;
            let state = state.and_then(|text| debug_state::parse(&controller.key(), &text));
            let history = if histories {
                let text = debug_state::fetch_history(session, &controller, None).await;
                Some(text.and_then(|text| debug_state::parse_history(&controller.key(), &text)))
            } else {
                None
            };
            (state, history)
        }
    };
    let (mut cycles, mut known) = (Vec::new(), Vec::new());
    for (state, history) in join_all(asked.into_iter().map(ask)).await {
        match state {
            Ok(state) => cycles.extend(state.last_cycle),
            Err(error) => notes.push(format!("what replicas can take is not known: {error}")),
        }
        match history {
            Some(Ok(history)) => known.push(history),
            Some(Err(error)) => notes.push(format!("what was spent is not known: {error}")),
            None => {}
        }
    }
    Ok(Gathered { status, cycles, histories: histories.then_some(known), recorded: Vec::new(), notes })
}

/// Whether a controller decides for one of the variants.
fn decides(controller: &Controller, status: &StatusView) -> bool {
    let id = controller.scope.instance.id();
    let watches =
        |namespace: &String| controller.scope.namespaces.is_empty() || controller.scope.namespaces.contains(namespace);
    let mut variants = status.variants.iter();
    variants.any(|one| (controller.scope.manage_all || one.instance.as_deref() == id) && watches(&one.namespace))
}

/// Variants by namespace and name.
type ByVariant<'a, T> = HashMap<(&'a str, &'a str), T>;

/// Begin of the time that was asked for.
type Since = Option<Timestamp>;
