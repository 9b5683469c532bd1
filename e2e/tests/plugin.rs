//! `kubectl wva` with the real kubectl and helm on the embedded cluster.
//!
//! In clusters of their own: answers are compared word for word, with all that `-A` shows, and kinds are taken away.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "plugin/answers.rs"]
mod answers;
#[path = "plugin/definitions.rs"]
mod definitions;
#[path = "plugin/fixture.rs"]
mod fixture;
#[path = "plugin/fleet.rs"]
mod fleet;
#[path = "plugin/models.rs"]
mod models;
#[path = "plugin/release.rs"]
mod release;
#[path = "plugin/report.rs"]
mod report;
#[path = "plugin/rights.rs"]
mod rights;
