//! The checks, one file for each thing that can be wrong.

pub(super) mod config;
pub(super) mod controller;
pub(super) mod costs;
pub(super) mod follower;
pub(super) mod instance_label;
pub(super) mod keda;
pub(super) mod leader_series;
pub(super) mod metrics;
pub(super) mod monitors;
pub(super) mod news;
pub(super) mod owner;
pub(super) mod reading;
pub(super) mod servers;
pub(super) mod target;
