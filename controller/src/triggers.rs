//! What wakes a cycle before its interval ends: a replica that comes near its limits ([`saturation`]), a request that waits
//! at a [`gateway`] for a model that is [`asleep`]. Changes of the cluster do so too, from the watches.

pub mod asleep;
pub mod gateway;
pub mod saturation;
