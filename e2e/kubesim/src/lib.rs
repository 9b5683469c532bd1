//! A Kubernetes control plane and node agent as local processes, for tests without containers.

pub mod apiserver;
pub mod cluster;
pub mod controllers;
mod machinery;
pub mod node;
