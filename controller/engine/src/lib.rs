//! The decision core of the Workload Variant Autoscaler.
//!
//! One pure function, [`decide()`]: it takes what was observed ([`Snapshot`]), what earlier decisions left behind
//! ([`Memory`]), how to decide ([`Settings`]) and the time, and answers with a [`Plan`]. It reads no clock, no
//! environment, no file and no network; the caller carries out the plan.
//!
//! - [`snapshot`]: what was observed, every reading with its age; absence is a value, never zero;
//! - [`settings`]: thresholds and bounds, already validated;
//! - [`threshold`]: the default analyzer, KV-cache and queue thresholds;
//! - [`saturation`]: the other one, which counts tokens; [`vllm`] reads what servers are started with;
//! - [`proactive`]: replicas for the rate at which requests arrive, before any is saturated; [`queueing`] says how many
//!   a replica can take within its promises;
//! - [`limiter`]: dividing free GPUs; [`accelerator`]: which names mean the same GPU;
//! - [`decide`](mod@decide): the frame around the analyzers: missing data, transitions, bounds, zero, GPUs;
//! - [`plan`]: targets with their reasons, as data;
//! - [`quiet`]: loads up to which no model grows;
//! - [`memory`]: what one decision leaves for the next; [`history`]: what people may ask later;
//! - `fixtures`: snapshots written as sentences, for tests (feature `fixtures`).

pub mod accelerator;
pub mod decide;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;
pub mod history;
pub mod limiter;
pub mod memory;
mod note;
mod number;
pub mod plan;
pub mod proactive;
pub mod queueing;
pub mod quiet;
mod reason;
pub mod saturation;
mod serde_pairs;
pub mod settings;
pub mod snapshot;
pub mod threshold;
pub mod vllm;

pub use decide::{decide, wake};
pub use history::History;
pub use memory::Memory;
pub use plan::{Action, Plan, Reason, Target};
pub use quiet::QuietLimits;
pub use settings::{Settings, Thresholds};
pub use snapshot::{ModelKey, Snapshot, VariantKey};
