//! `dashboard`: one page in the browser, served on loopback: load, replicas, decisions with their reasons, cost, problems.
//!
//! - `server`: which requests are answered, and how; `answers`: one reading of the cluster for all browsers;
//! - `reader`: reads the cluster as `status`, `history`, `cost` and `doctor` do; `view`: the answer as data; `samples`: what
//!   was read before;
//! - `page`: the page itself, whose style and scripts lie beside it.

mod answers;
mod page;
mod reader;
mod samples;
mod server;
mod view;

use std::net::Ipv4Addr;
use std::process::Stdio;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use tokio::net::TcpListener;

pub use answers::Answer;
pub use samples::{Sample, Samples, Series};
pub use server::{Answers, serve};
pub use view::{DashboardView, ModelThresholds};

use crate::connection::Connection;
use crate::output::Format;
use crate::output::console::Console;
use crate::session::Session;
use crate::{Error, Verdict};
use answers::Cluster;
use reader::Reader;

/// Flags of `dashboard`.
#[derive(Args, Clone, Debug, Default)]
pub struct DashboardArgs {
    /// All namespaces.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Port of 127.0.0.1 to serve the page on; if not given, one that is free.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub port: u16,
    /// Open the page in the browser.
    #[arg(long)]
    pub open: bool,
}

/// Where the page is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServedView {
    /// Address of the page.
    pub url: String,
    /// Namespace that it shows; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Since when it is served.
    pub since: Timestamp,
}

/// Carries out `dashboard`: serves until Ctrl-C.
///
/// # Errors
/// When the variants cannot be listed at the start, or the port cannot be had.
pub async fn run(flags: &Connection, args: &DashboardArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let session = Session::open(flags).await?;
    let namespace = (!args.all_namespaces).then(|| session.namespace.clone());
    let listen = |source| Error::Listen { port: args.port, source };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await.map_err(listen)?;
    let port = listener.local_addr().map_err(listen)?.port();
    let mut reader = Reader::new(&session, namespace.clone());
    // What keeps it from reading anything is said here, not in a page that shows nothing.
    let first = Box::pin(reader.read()).await?;
    let answers = Cluster::new(reader, &first);
    let served = ServedView { url: format!("http://127.0.0.1:{port}/"), namespace, since: Timestamp::now() };
    say(&served, console)?;
    if args.open
        && let Err(why) = open(&served.url)
    {
        console.note(&format!("note: no browser could be opened ({why}): open {} yourself", served.url))?;
    }
    tokio::select! {
        never = serve(listener, &answers) => match never {},
        _ = tokio::signal::ctrl_c() => Ok(Verdict::Fine),
    }
}

fn say(served: &ServedView, console: &mut Console<'_>) -> Result<(), Error> {
    match console.format {
        Format::Json => console.json(served)?,
        Format::Yaml => console.yaml(served)?,
        Format::Name => console.lines([served.url.clone()])?,
        Format::Table | Format::Wide => {
            let what =
                served.namespace.as_ref().map_or("all namespaces".to_owned(), |name| format!("namespace {name}"));
            console.lines([format!("dashboard of {what}: {}", served.url)])?;
            console.note("Ctrl-C ends it")?;
        }
    }
    console.out.flush().map_err(Error::Output)
}

/// Has the desktop open an address.
fn open(url: &str) -> Result<(), String> {
    let program = match std::env::consts::OS {
        "macos" => "open",
        "windows" => "explorer",
        _ => "xdg-open",
    };
    let started = tokio::process::Command::new(program)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    started.map(|_| ()).map_err(|error| format!("{program}: {error}"))
}
