//! The server over HTTP, in-process, and the program as a process.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails the test that called it")]

mod admin;
mod api;
mod docs;
mod epp;
mod load;
mod metrics;
mod process;
mod support;
