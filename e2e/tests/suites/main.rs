//! What is true of every cluster: tests of isolated instances that share the cluster of the run, whatever provider it
//! comes from, and run at once.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cost;
mod isolation;
mod neighbours;
mod scaling;
mod smoke;
mod storm;
