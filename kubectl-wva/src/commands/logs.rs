//! `logs`: what the leader of a controller says, of one variant or of all.

mod line;

use std::time::Duration;

use clap::Args;
use futures::{AsyncBufReadExt as _, TryStreamExt as _};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;
use kube::{Api, ResourceExt as _};
use wva_api::Instance;

pub use line::Line;

use crate::connection::Connection;
use crate::output::Format;
use crate::output::console::Console;
use crate::readers::controllers::{self, Controller};
use crate::readers::{debug_state, variants};
use crate::session::Session;
use crate::{Error, Verdict, duration, session};

/// Flags of `logs`.
#[derive(Args, Clone, Debug)]
pub struct LogsArgs {
    /// Only lines of this variant; the NAME given to add-model will do.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// The controller instance; needed only without NAME, when there are several. "" is the one without an id.
    #[arg(long, value_name = "ID", conflicts_with = "name")]
    pub instance: Option<String>,
    /// Go on with what is logged from now on, until Ctrl-C.
    #[arg(short = 'f', long)]
    pub follow: bool,
    /// How far to look back, e.g. 10m.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration::look_back)]
    pub since: Duration,
}

/// Carries out `logs`.
///
/// # Errors
/// When there is no such variant or controller, or its leader's log cannot be read.
pub async fn run(flags: &Connection, args: &LogsArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let session = Session::open(flags).await?;
    let (controller, variant) = whose(&session, args).await?;
    let leader = debug_state::leader_of(&session, &controller).await?;
    let api: Api<Pod> = Api::namespaced(session.client.clone(), &controller.namespace);
    let params = LogParams {
        container: controller.container.as_ref().map(|container| container.name.clone()),
        follow: args.follow,
        since_seconds: i64::try_from(args.since.as_secs().max(1)).ok(),
        ..LogParams::default()
    };
    let doing = format!("read the log of pod {}/{leader}", controller.namespace);
    console.note(&format!("note: log of pod {}/{leader}, which leads", controller.namespace))?;
    let stream = session.ask(doing.clone(), api.log_stream(&leader, &params)).await?;
    let mut lines = stream.lines();
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    let (zone, mut shown) = (TimeZone::system(), 0_usize);
    loop {
        let line = tokio::select! {
            line = lines.try_next() => line,
            _ = &mut interrupted => break,
        };
        let line = line.map_err(|error| session::Error::Other { doing: doing.clone(), message: error.to_string() })?;
        let Some(text) = line else { break };
        let line = Line::parse(&text);
        if variant.as_ref().is_none_or(|(namespace, name)| line.concerns(namespace, name)) {
            shown += 1;
            match console.format {
                Format::Json => console.lines([serde_json::to_string(&line).unwrap_or_default()])?,
                Format::Yaml | Format::Name => console.lines([text])?,
                Format::Table | Format::Wide => {
                    console.prose([line.readable(variant.is_some(), Timestamp::now(), &zone)])?;
                }
            }
            console.out.flush().map_err(Error::Output)?;
        }
    }
    if shown == 0 && !args.follow {
        let of = args.name.as_ref().map_or_else(String::new, |name| format!(" of {name}"));
        console.note(&format!("nothing{of} was logged in this time; `kubectl wva history` shows decisions"))?;
    }
    Ok(Verdict::Fine)
}

/// The controller to listen to, and the variant by namespace and name.
async fn whose(session: &Session, args: &LogsArgs) -> Result<(Controller, Option<(String, String)>), Error> {
    if let Some(name) = &args.name {
        let listed = variants::list(session, Some(&session.namespace)).await?;
        let variant = variants::named(&listed, name, &session.namespace)?;
        let controller = controllers::of_variant(session, variant).await?;
        return Ok((controller, Some((session.namespace.clone(), variant.name_any()))));
    }
    let wanted = args.instance.as_deref().map(Instance::parse).transpose()?;
    let all = controllers::list(session).await?;
    let ids: Vec<String> = all.iter().map(|one| one.scope.instance.id().unwrap_or_default().to_owned()).collect();
    let mut fitting =
        all.into_iter().filter(|one| wanted.as_ref().is_none_or(|instance| one.scope.instance == *instance));
    match (fitting.next(), fitting.next(), wanted) {
        (Some(controller), None, _) | (Some(controller), Some(_), Some(_)) => Ok((controller, None)),
        (None, _, Some(wanted)) => {
            Err(Error::NoSuchInstance { id: wanted.id().unwrap_or_default().to_owned(), known: ids })
        }
        (None, _, None) => Err(Error::NoController),
        (Some(_), Some(_), None) => Err(Error::SeveralControllers { known: ids }),
    }
}
