//! A discrete-event simulation of model servers and of those who scale them, in virtual time: hours in seconds.
//!
//! Pure: no clock, no network, no threads; the same scenario, policy and seed give the same outcome to the last digit.
//!
//! - [`scenario`]: a load, the variants that serve it, and the delays between them;
//! - [`load`]: requests that arrive, whatever the servers do: made up, or from a trace;
//! - [`server`], [`fleet`]: replicas, with the scheduler of `vllm-engine`, their starts and ends, and who brings requests to
//!   them;
//! - [`monitoring`]: what scrapes find, and what Prometheus makes of it;
//! - [`policy`]: who scales: WVA's real engine with its followers, its rivals, and lines to compare with;
//! - [`mod@run`], [`outcome`]: one run and what came of it; [`capacity`]: what one replica takes;
//! - [`mod@observed`]: a scenario of a model as a controller observed it;
//! - [`compare`], [`matrix`]: several policies on the same requests; [`report`]: tables, one page, drawings.

pub mod capacity;
#[cfg(feature = "cli")]
pub mod cli;
pub mod compare;
pub mod fleet;
pub mod ledger;
pub mod load;
pub mod matrix;
pub mod monitoring;
mod number;
pub mod observed;
pub mod outcome;
pub mod policy;
pub mod report;
pub mod run;
pub mod scenario;
pub mod server;

pub use self::outcome::Outcome;
pub use self::policy::Policy;
pub use self::run::run;
pub use self::scenario::Scenario;
