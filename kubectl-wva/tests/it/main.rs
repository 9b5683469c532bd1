//! The plugin seen from outside: plans and views made from objects of a cluster, and the binary as a shell sees it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod add_model;
mod cli;
mod connection;
mod cost;
mod dashboard;
mod doctor;
mod fake_api;
mod helm_parity;
mod history;
mod k9s;
mod krew;
mod logs;
mod move_variant;
mod names;
mod objects;
mod pause;
mod screens;
mod set;
mod simulate;
mod status;
mod terminal;
mod top;
mod watch;
