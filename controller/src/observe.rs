//! What a decision is made of. [`snapshot`] puts together what the cluster says ([`pods`] of each variant, [`limits`] of what
//! follows their numbers), what [`prometheus`] says of their load, and what waits at each [`gateway`] ([`demand`]).

pub mod demand;
pub mod gateway;
pub mod limits;
pub mod members;
pub mod pods;
pub mod prometheus;
pub mod snapshot;
