//! What the agent knows of each container of a pod; the status reported to the cluster follows from it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::process::Exit;

/// One container at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    pub(super) state: State,
    /// How the run before the current one ended.
    pub(super) last: Option<Ended>,
    pub(super) restarts: i32,
    pub(super) started: bool,
    pub(super) ready: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Waiting {
        reason: &'static str,
        message: Option<String>,
    },
    Running {
        since: Timestamp,
        id: String,
    },
    /// Ended, and not going to run again unless a restart follows.
    Ended(Ended),
}

/// A run that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) exit: Exit,
    pub(super) reason: &'static str,
    pub(super) message: Option<String>,
    pub(super) started: Timestamp,
    pub(super) finished: Timestamp,
    pub(super) id: String,
}

impl Default for View {
    fn default() -> Self {
        Self::waiting("ContainerCreating")
    }
}

impl View {
    pub(super) fn waiting(reason: &'static str) -> Self {
        let state = State::Waiting { reason, message: None };
        Self { state, last: None, restarts: 0, started: false, ready: false }
    }

    pub(super) fn ended(&self) -> Option<&Ended> {
        match &self.state {
            State::Ended(ended) => Some(ended),
            State::Waiting { .. } | State::Running { .. } => None,
        }
    }
}

/// All containers of a pod by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Board {
    pub(super) init: BTreeMap<String, View>,
    pub(super) main: BTreeMap<String, View>,
}
