//! What every controller and the node agent are made of: watched caches, a work queue, an event recorder and
//! resource quantities.

pub(crate) mod cache;
pub(crate) mod events;
pub(crate) mod failed;
pub(crate) mod key;
pub(crate) mod owner;
pub(crate) mod remote_command;
pub(crate) mod spdy;
pub(crate) mod status;
pub(crate) mod websocket;
pub(crate) mod work_queue;

pub(crate) use hpa::quantity;
