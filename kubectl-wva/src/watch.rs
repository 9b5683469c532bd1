//! `--watch`: an answer printed again and again.

use std::time::Duration;

use clap::Args;

use crate::console::Console;
use crate::{Error, Verdict, duration};

/// Flags for looking again and again.
#[derive(Args, Clone, Debug, Default)]
pub struct WatchArgs {
    /// Print again and again, until interrupted.
    #[arg(short, long)]
    pub watch: bool,
    /// Pause between two looks with --watch.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration::parse)]
    pub interval: Duration,
}

impl WatchArgs {
    /// Looks once; with `--watch` for ever. What fails at the first look ends the command; later it is only said, since
    /// a cluster that is away for a moment is what a person who watches wants to see through.
    ///
    /// # Errors
    /// When the first look fails, or the answer cannot be written.
    pub async fn repeat(
        &self,
        console: &mut Console<'_>,
        mut look: impl AsyncFnMut(&mut Console<'_>) -> Result<Verdict, Error>,
    ) -> Result<Verdict, Error> {
        if !self.watch {
            return look(console).await;
        }
        clear(console)?;
        look(console).await?;
        loop {
            console.out.flush().map_err(Error::Output)?;
            tokio::time::sleep(self.interval).await;
            clear(console)?;
            match look(console).await {
                Ok(_) => {}
                Err(error @ Error::Output(_)) => return Err(error),
                Err(error) => console.note(error.report().trim_end())?,
            }
        }
    }
}

/// Home, and clear to the end: what was printed before makes room without flicker.
fn clear(console: &mut Console<'_>) -> Result<(), Error> {
    if console.width.is_some() {
        console.data("\x1b[H\x1b[J")?;
        // What is said beside the answer goes another way to the same terminal.
        console.out.flush().map_err(Error::Output)?;
    }
    Ok(())
}
