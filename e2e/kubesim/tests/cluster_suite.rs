//! A whole cluster with real processes: what a user of the embedded cluster sees of its workloads.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "cluster_suite/aggregation.rs"]
mod aggregation;
#[path = "cluster_suite/autoscaling.rs"]
mod autoscaling;
#[path = "cluster_suite/binary.rs"]
mod binary;
#[path = "support/cluster.rs"]
mod cluster;
#[path = "cluster_suite/daemon_sets.rs"]
mod daemon_sets;
#[path = "cluster_suite/deletion.rs"]
mod deletion;
#[path = "cluster_suite/deployments.rs"]
mod deployments;
#[path = "cluster_suite/fixture.rs"]
mod fixture;
#[path = "cluster_suite/pods.rs"]
mod pods;
#[path = "cluster_suite/resource_metrics.rs"]
mod resource_metrics;
#[path = "cluster_suite/services.rs"]
mod services;
#[path = "cluster_suite/stateful_sets.rs"]
mod stateful_sets;
