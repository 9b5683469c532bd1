//! The cluster in memory: an [`index`] of what decisions need, which watches keep ([`watch`] of the kinds that are always
//! there, [`mirror`] of those that may be missing: [`keda`], [`pools`], the [`inventory`] of GPUs), and [`targets`] of other
//! kinds than Deployment, which are read and written through their [`scale`] subresource.

pub(crate) mod gpu;
pub mod index;
pub mod inventory;
pub mod keda;
pub mod mirror;
pub mod pools;
pub mod scale;
pub mod selector;
pub mod targets;
pub mod watch;
