//! What is true of every cluster: tests of isolated instances that share the cluster of the run, whatever provider it
//! comes from, and run at once.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod causes;
#[path = "../clinic/mod.rs"]
mod clinic;
mod cost;
mod dashboards;
mod doctor;
mod hybrid;
mod isolation;
mod lifecycle;
mod neighbours;
mod plugin;
mod retention;
mod scaling;
mod smoke;
mod storm;
mod user;
mod versions;
mod waiting;

use wva_e2e::instances::Wva;
use wva_e2e::providers::PodAccess;

/// Whether load from this machine gets to the pods; if not, it is said what is skipped.
fn reaches_pods(wva: &Wva<'_>) -> bool {
    let facts = wva.environment().facts();
    let direct = facts.pods == PodAccess::Direct;
    if !direct {
        anstream::println!("SKIPPED: load from this machine does not get to the pods of {}", facts.provider);
    }
    direct
}
