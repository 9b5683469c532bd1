//! An emulated GPU vLLM server: queue, continuous batching, KV cache, real metrics, live control.
//!
//! A request comes in over HTTP ([`openai`]), becomes a prompt of emulated tokens ([`tokens`]) and is handed to the
//! pure [`engine`], which decides when it runs and when each token of its answer is ready. A [`driver`] moves the
//! engine along the real clock and is asleep while nothing runs. What happened is counted in [`stats`] and written by
//! [`metrics`] the way vLLM's Python client writes it. [`admin`] overrides what `/metrics` says and how the server
//! behaves, at run time. [`server`] ties these to a socket; [`cli`] turns vLLM's flags into a [`Config`], with [`gpu`]
//! supplying the hardware; [`load`] is the other side, a load generator. [`epp`] stands between the two as an inference
//! gateway does: it holds requests while no server is ready.
//!
//! ```no_run
//! # async fn example() -> Result<(), vllm_sim::ServerError> {
//! let server = vllm_sim::Server::start(vllm_sim::Config::new("meta-llama/Llama-3.1-8B")).await?;
//! println!("http://{}/metrics", server.addr());
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```

pub mod admin;
pub mod cli;
pub mod config;
pub mod driver;
pub mod duration;
pub mod epp;
pub mod load;
pub mod metrics;
pub mod openai;
pub mod server;
pub mod stats;
pub mod tokens;

pub use vllm_engine::{self as engine, gpu, rng};

pub use self::config::Config;
pub use self::server::{Server, ServerError};
