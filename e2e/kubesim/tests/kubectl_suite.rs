//! What unmodified `kubectl` and `helm` do with the embedded cluster: the commands users type, and what they then read.
//!
//! The programs are those in the environment variables `KUBECTL` and `HELM`, or else on the PATH.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "kubectl_suite/apply.rs"]
mod apply;
#[path = "support/cluster.rs"]
mod cluster;
#[path = "kubectl_suite/create.rs"]
mod create;
#[path = "kubectl_suite/custom.rs"]
mod custom;
#[path = "kubectl_suite/deletion.rs"]
mod deletion;
#[path = "kubectl_suite/helm.rs"]
mod helm;
#[path = "kubectl_suite/inspection.rs"]
mod inspection;
#[path = "kubectl_suite/patch.rs"]
mod patch;
#[path = "kubectl_suite/remote_command.rs"]
mod remote_command;
#[path = "kubectl_suite/rollout.rs"]
mod rollout;
#[path = "kubectl_suite/terminal.rs"]
mod terminal;
