//! What a controller decided, from its `/debug/state` and `/debug/history`: through the API server to a port of its leader's pod.

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use serde::{Deserialize, Serialize};
use wva_api::config_keys;
use wva_engine::{History, Memory, Plan, Settings, Snapshot, VariantKey};

use crate::readers::controllers::{self, Controller};
use crate::readers::{forward, lists, pods};
use crate::session::{self, Session};

/// Port of the probes when the Deployment does not say.
const PROBE_PORT: u16 = 8081;
/// Path of the last decision.
pub(crate) const STATE: &str = "/debug/state";
/// Path of the decisions before.
const HISTORY: &str = "/debug/history";

/// What `/debug/state` holds.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DebugState {
    /// The last cycle; absent before the first.
    pub last_cycle: Option<LastCycle>,
}

/// Everything the last decision was made of and led to.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct LastCycle {
    /// When it was decided.
    pub at: Timestamp,
    /// How it was decided.
    #[serde(default)]
    pub settings: Settings,
    /// What was observed.
    pub snapshot: Snapshot,
    /// Memory before the decision.
    #[serde(default)]
    pub before: Memory,
    /// The decision.
    pub plan: Plan,
}

/// The state could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No pod that could be asked.
    #[error("no pod of controller {0} leads")]
    NoLeader(String),
    /// The cluster could not be asked, or refused.
    #[error(transparent)]
    Session(#[from] session::Error),
    /// The pod could not be asked.
    #[error("could not ask pod {pod} for {path}: {message}")]
    Ask {
        /// The pod.
        pod: String,
        /// What it was asked for.
        path: &'static str,
        /// Why not.
        message: String,
    },
    /// The controller is of a version that keeps no history.
    #[error("the controller of pod {pod} keeps no history: it is older than this program")]
    Older {
        /// The pod.
        pod: String,
        /// Its namespace.
        namespace: String,
    },
    /// The answer, or the file, is not understood.
    #[error("could not understand the decision state of {whose}: {message}")]
    Parse {
        /// A pod or a file.
        whose: String,
        /// What is wrong.
        message: String,
    },
}

impl Error {
    /// What to do next, if we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoLeader(_) => Some("`kubectl wva doctor` says why".to_owned()),
            Self::Session(session::Error::Forbidden { .. }) => Some(
                "reading decisions needs the right to create pods/portforward in the controller's namespace".to_owned(),
            ),
            Self::Session(error) => error.hint(),
            Self::Parse { .. } => {
                Some("it must be what /debug/state answers: kubectl wva explain NAME --save FILE writes one".to_owned())
            }
            Self::Older { namespace, .. } => Some(format!("kubectl wva upgrade -n {namespace}")),
            Self::Ask { .. } => None,
        }
    }
}

/// Asks the leader of a controller for its last decision, and gives its answer as text.
///
/// # Errors
/// When there is no leader, or it cannot be asked.
pub async fn fetch(session: &Session, controller: &Controller) -> Result<String, Error> {
    ask(session, controller, STATE, STATE).await
}

/// Asks the leader of a controller for the decisions it keeps of a variant, or of all, and gives its answer as text.
///
/// # Errors
/// As [`fetch`], and when the controller keeps none.
pub async fn fetch_history(
    session: &Session,
    controller: &Controller,
    variant: Option<&VariantKey>,
) -> Result<String, Error> {
    // Names of objects need no escape in a query.
    let whose = variant
        .map_or_else(String::new, |VariantKey { namespace, name }| format!("?namespace={namespace}&name={name}"));
    let namespace = controller.namespace.clone();
    ask(session, controller, HISTORY, &format!("{HISTORY}{whose}")).await.map_err(|error| match error {
        Error::Ask { pod, message, .. } if message.starts_with("404") => Error::Older { pod, namespace },
        error => error,
    })
}

async fn ask(session: &Session, controller: &Controller, what: &'static str, path: &str) -> Result<String, Error> {
    let leader = leader(session, controller, what).await?;
    let question = forward::Question {
        namespace: &controller.namespace,
        pod: &leader,
        port: port(controller, config_keys::HEALTH_PROBE_BIND_ADDRESS).unwrap_or(PROBE_PORT),
        path,
        secure: None,
    };
    forward::ask(session, question).await.map_err(|error| match error {
        forward::Error::Session(error) => Error::Session(error),
        forward::Error::Ask { pod, message, .. } => Error::Ask { pod, path: what, message },
    })
}

/// Reads what `/debug/state` answered; `whose` names the pod or file in an error.
///
/// # Errors
/// When it is something else.
pub fn parse(whose: &str, text: &str) -> Result<DebugState, Error> {
    serde_json::from_str(text).map_err(|error| Error::Parse { whose: whose.to_owned(), message: error.to_string() })
}

/// Reads what `/debug/history` answered; `whose` names the pod in an error.
///
/// # Errors
/// When it is something else.
pub fn parse_history(whose: &str, text: &str) -> Result<History, Error> {
    /// What `/debug/history` holds.
    #[derive(Deserialize)]
    struct Answer {
        history: History,
    }
    let answer: Result<Answer, _> = serde_json::from_str(text);
    answer
        .map(|answer| answer.history)
        .map_err(|error| Error::Parse { whose: whose.to_owned(), message: error.to_string() })
}

/// The pod of a controller that decides.
///
/// # Errors
/// When none does, or it cannot be found out.
pub async fn leader_of(session: &Session, controller: &Controller) -> Result<String, Error> {
    leader(session, controller, "its log").await
}

/// The pod that decides: the holder of the Lease, or the only one that is ready.
async fn leader(session: &Session, controller: &Controller, what: &'static str) -> Result<String, Error> {
    let none = || Error::NoLeader(controller.key());
    let found = controllers::pods_of(session, controller).await.map_err(|message| Error::Ask {
        pod: controller.key(),
        path: what,
        message,
    })?;
    let lease: Option<Lease> = match lists::get(session, &controller.namespace, &controller.lease_name()).await {
        Ok(lease) => lease,
        // With one replica it is plain who leads.
        Err(session::Error::Forbidden { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let holder = lease.and_then(|lease| lease.spec?.holder_identity).unwrap_or_default();
    let holds = |pod: &&Pod| !holder.is_empty() && holder.starts_with(&pod.name_any());
    let pod = found.iter().find(holds).or_else(|| found.iter().find(|pod| pods::is_ready(pod))).ok_or_else(none)?;
    Ok(pod.name_any())
}

/// The port of an address that the Deployment gives literally.
pub(crate) fn port(controller: &Controller, key: &str) -> Option<u16> {
    controller.literal(key)?.rsplit_once(':')?.1.parse().ok()
}
