//! Saying what was decided: the [`status`] of each variant, the [`transitions`] that are events, the [`reporter`] that hands
//! both to the tasks that write them ([`status_writer`], [`events`]).

pub mod events;
pub mod reporter;
pub mod status;
pub mod status_writer;
pub mod transitions;
