//! `--watch`: an answer printed again and again. On a terminal it has a screen of its own, as `less` has, with a clock and a
//! mark at what has changed; the last answer stays when the screen is left.

mod screen;

use std::time::Duration;

use clap::Args;
pub use screen::Screen;

use crate::output::console::Console;
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
        if let Some(width) = console.width {
            return self.on_screen(console, width, look).await;
        }
        look(console).await?;
        loop {
            console.out.flush().map_err(Error::Output)?;
            tokio::time::sleep(self.interval).await;
            match look(console).await {
                Ok(_) => {}
                Err(error @ Error::Output(_)) => return Err(error),
                Err(error) => console.note(error.report().trim_end())?,
            }
        }
    }

    /// The same on a terminal, until Ctrl-C.
    async fn on_screen(
        &self,
        console: &mut Console<'_>,
        width: u16,
        mut look: impl AsyncFnMut(&mut Console<'_>) -> Result<Verdict, Error>,
    ) -> Result<Verdict, Error> {
        let mut screen = Screen::new(width, screen::terminal_height(), self.interval);
        let (mut verdict, first) = Self::frame(console, &screen, &mut look).await?;
        console.data(Screen::ENTER)?;
        console.data(&screen.draw(&first, &clock()))?;
        let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
        loop {
            console.out.flush().map_err(Error::Output)?;
            tokio::select! {
                () = tokio::time::sleep(self.interval) => {}
                _ = &mut interrupted => break,
            }
            let seen = tokio::select! {
                seen = Self::frame(console, &screen, &mut look) => seen,
                _ = &mut interrupted => break,
            };
            match seen {
                Ok((now, text)) => {
                    verdict = now;
                    console.data(&screen.draw(&text, &clock()))?;
                }
                Err(error @ Error::Output(_)) => return Err(error),
                Err(error) => console.data(&screen.trouble(error.report().trim_end(), &clock()))?,
            }
        }
        console.data(&screen.leave())?;
        console.out.flush().map_err(Error::Output)?;
        Ok(verdict)
    }

    /// One answer as text, and what is said beside it above it.
    async fn frame(
        console: &Console<'_>,
        screen: &Screen,
        look: &mut impl AsyncFnMut(&mut Console<'_>) -> Result<Verdict, Error>,
    ) -> Result<(Verdict, String), Error> {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut inner = Console {
            out: &mut out,
            err: &mut err,
            format: console.format,
            headers: console.headers,
            width: Some(screen.inner_width()),
        };
        let verdict = look(&mut inner).await?;
        err.append(&mut out);
        Ok((verdict, String::from_utf8_lossy(&err).into_owned()))
    }
}

fn clock() -> String {
    jiff::Zoned::now().strftime("%T").to_string()
}
