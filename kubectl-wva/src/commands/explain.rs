//! `explain`: the chain from the servers to the replicas of one variant, with the numbers of the last decision and what
//! would change it.

mod chain;
mod gather;
mod idle;
mod text;
mod what_if;

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

pub use chain::{ExplainView, Link, LinkView, PodView, State};
pub use gather::Found;
pub use text::print;
pub use what_if::{WhatIf, what_if};

use crate::connection::Connection;
use crate::output::console::Console;
use crate::output::watch::WatchArgs;
use crate::session::Session;
use crate::{Error, Verdict};

/// Flags of `explain`.
#[derive(Args, Clone, Debug, Default)]
pub struct ExplainArgs {
    /// The variant; the NAME given to add-model will do.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Also write the controller's decision state to a file, for `replay`.
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Looking again and again.
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// Carries out `explain`. Without the right to forward a port to the controller it says so and explains what status and
/// HPA tell.
///
/// # Errors
/// When there is no such variant, or it cannot be read.
pub async fn run(flags: &Connection, args: &ExplainArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let session = Session::open(flags).await?;
    let again = async |console: &mut Console<'_>| {
        let found = Box::pin(gather::gather(&session, &args.name)).await?;
        if let (Some(path), Ok(text)) = (&args.save, &found.state) {
            std::fs::write(path, text).map_err(|source| Error::File { path: path.clone(), source })?;
            console.note(&format!("saved {}", path.display()))?;
        }
        let view = ExplainView::build(&found, Timestamp::now());
        print(&view, console)?;
        Ok(view.verdict())
    };
    args.watch.repeat(console, again).await
}
