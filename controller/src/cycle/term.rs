//! One term of leadership.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use tokio::time::Instant;
use wva_engine::Memory;

use crate::cluster::index::ObjectKey;
use crate::observe::members::Members;
use crate::ownership::conflict::Conflicts;
use crate::report::reporter::Reporter;

/// What belongs to one term of leadership, and goes with it: what was known then may be out of date in the next one.
#[derive(Debug)]
pub(super) struct Term {
    pub(super) begun: Instant,
    pub(super) memory: Memory,
    pub(super) reporter: Reporter,
    /// Variants of other instances that this controller takes, as far as they have been logged.
    pub(super) adopted: BTreeSet<ObjectKey>,
    pub(super) conflicts: Conflicts,
    /// Pods of the variants, those that have just gone among them.
    pub(super) members: Members,
}

impl Term {
    /// A term that begins now.
    pub(super) fn new(reporter: Reporter, lease: SignedDuration) -> Self {
        Self {
            begun: Instant::now(),
            memory: Memory::default(),
            reporter,
            adopted: BTreeSet::new(),
            conflicts: Conflicts::new(lease),
            members: Members::default(),
        }
    }
}
