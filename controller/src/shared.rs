//! State that several tasks look at.
//!
//! Who takes several of its locks takes them in this order: the index, pools, readings of pickers, what of them is wanted,
//! GPUs, variants that are left alone, the last cycle. None is held across an await, and the index only for as long as it takes
//! to copy from it what is needed.

use std::sync::{Mutex, MutexGuard};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use wva_engine::{Memory, Plan, Settings, Snapshot};

use crate::cluster::index::Index;
use crate::cluster::inventory::GpuInventory;
use crate::ledger::Ledger;
use crate::lock::lock;
use crate::observe::gateway::Gateway;
use crate::ownership::conflict::Refusals;
use crate::pulse::Pulse;
use crate::readiness::Readiness;
use crate::trouble::Troubles;

/// Shared by the watches, the cycle, the status writer and the server.
#[derive(Debug, Default)]
pub struct Shared {
    index: Mutex<Index>,
    last_cycle: Mutex<Option<LastCycle>>,
    refused: Mutex<Refusals>,
    /// What is known of gateways.
    pub gateway: Gateway,
    /// What is known of GPUs.
    pub gpu_inventory: GpuInventory,
    /// Wakes the cycle before its interval ends.
    pub wake: Notify,
    /// Told when variants change, and with them what is a target.
    pub targets: Notify,
    /// First lists of the watches; nothing is decided on an index that is half filled.
    pub lists: Readiness,
    /// First answers of what the controller depends on besides.
    pub answers: Readiness,
    /// Whether the cycle still beats.
    pub pulse: Pulse,
    /// What was said last of each variant.
    pub ledger: Ledger,
    /// What does not work at the moment.
    pub troubles: Troubles,
}

/// Everything the last decision was made of and led to; enough to take it again elsewhere.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LastCycle {
    /// When it was decided.
    pub at: Timestamp,
    /// How it was decided.
    pub settings: Settings,
    /// What was observed.
    pub snapshot: Snapshot,
    /// Memory before the decision: with the three above, what led to it.
    pub before: Memory,
    /// Memory after the decision.
    pub memory: Memory,
    /// The decision.
    pub plan: Plan,
}

impl Shared {
    /// The index. Held for the length of a computation, never across an await.
    pub fn index(&self) -> MutexGuard<'_, Index> {
        lock(&self.index)
    }

    /// Variants that the cycle leaves alone because of another instance.
    pub fn refused(&self) -> MutexGuard<'_, Refusals> {
        lock(&self.refused)
    }

    /// The last cycle; `None` before the first.
    pub fn last_cycle(&self) -> MutexGuard<'_, Option<LastCycle>> {
        lock(&self.last_cycle)
    }
}
