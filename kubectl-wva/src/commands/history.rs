//! `history`: what was decided of a variant lately, and why, as the controller's leader keeps it.

mod chart;
mod text;
mod view;

use std::time::Duration;

use clap::Args;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

pub use chart::chart;
pub use text::print;
pub use view::{ChangeView, HistoryView, RECORDED};

use crate::connection::Connection;
use crate::output::console::Console;
use crate::output::watch::WatchArgs;
use crate::readers::recorded::{self, Question};
use crate::readers::{controllers, debug_state, variants};
use crate::session::Session;
use crate::{Error, Verdict, duration};

/// Flags of `history`.
#[derive(Args, Clone, Debug)]
pub struct HistoryArgs {
    /// The variant; the NAME given to add-model will do.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// How far to look back, e.g. 1h.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration::look_back)]
    pub since: Duration,
    /// Draw replicas and load over time instead of the table.
    #[arg(long)]
    pub chart: bool,
    /// Looking again and again.
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// Carries out `history`.
///
/// # Errors
/// When there is no such variant, nobody decides for it, or its controller's leader cannot be asked.
pub async fn run(flags: &Connection, args: &HistoryArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let session = Session::open(flags).await?;
    let again = async |console: &mut Console<'_>| {
        let listed = variants::list(&session, Some(&session.namespace)).await?;
        let variant = variants::named(&listed, &args.name, &session.namespace)?;
        let controller = controllers::of_variant(&session, variant).await?;
        let key = wva_engine::VariantKey { namespace: session.namespace.clone(), name: variant.name_any() };
        let text = debug_state::fetch_history(&session, &controller, Some(&key)).await?;
        let history = debug_state::parse_history(&controller.key(), &text)?;
        let now = Timestamp::now();
        let from = now - SignedDuration::try_from(args.since).unwrap_or(SignedDuration::MAX);
        let mut view = HistoryView::build(variant, history.of(&key), from, now);
        view.call_by_known_names(&listed);
        let created = variant.metadata.creation_timestamp.as_ref().map(|time| time.0);
        if let Some(to) = view.unknown_until(created) {
            let question = Question { namespace: Some(&key.namespace), name: Some(&key.name), from, to };
            let (recorded, failed) = recorded::fetch(&session, [&controller], question).await;
            let cost = variant.spec.variant_cost.parse().unwrap_or_default();
            for recorded in &recorded {
                view.add_recorded(recorded, cost);
            }
            view.unrecorded = failed.into_iter().collect();
        }
        print(&view, args.chart, &TimeZone::system(), console)?;
        Ok(Verdict::Fine)
    };
    args.watch.repeat(console, again).await
}
