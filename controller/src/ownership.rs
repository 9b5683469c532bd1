//! Who decides for what: which [`variants`] are this instance's, what happens when two controllers write to one
//! ([`conflict`]), which of an instance's processes leads ([`leader`]), and how one hands over to the next ([`handover`]).

pub mod conflict;
pub mod handover;
pub mod leader;
pub mod variants;
