//! What several commands write to the cluster.
//!
//! - [`install`]: the chart rendered, with the user's values;
//! - [`apply`]: objects applied on the server's side;
//! - [`edit`]: single fields of an object changed, and nothing else.

pub mod apply;
pub mod edit;
pub mod install;
