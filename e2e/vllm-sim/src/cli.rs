//! The command line: vLLM's flags, and a few of our own.

mod args;
mod vllm_flags;

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches};

pub use self::args::Args;
use crate::config::{Config, MODEL_CONTEXT};
use crate::engine::{LoadFactor, Settings};

/// Why a command line that parses makes no server.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// Neither the positional model nor `--model`.
    #[error("no model given; pass one: vllm-sim serve MODEL, or --model MODEL")]
    NoModel,
    /// Both, and they differ.
    #[error("two models given: `{positional}` and --model `{flag}`; pass one")]
    TwoModels {
        /// The positional one.
        positional: String,
        /// The one of the flag.
        flag: String,
    },
    /// Not an address.
    #[error("--host {host} is not an IP address; pass one, for example 0.0.0.0")]
    Host {
        /// What was given.
        host: String,
    },
    /// `BIND_HOST` is set and is not an address.
    #[error("the environment variable BIND_HOST is `{value}`, not an IP address; set it to the pod's address")]
    BindHost {
        /// What was given.
        value: String,
    },
    /// A number out of its range.
    #[error("--{flag} {value} is out of range; it must be {range}")]
    OutOfRange {
        /// The flag.
        flag: &'static str,
        /// What was given.
        value: String,
        /// What it takes.
        range: &'static str,
    },
    /// The weights take all of the GPU's memory.
    #[error(
        "no memory left for the KV cache on {gpus} GPU(s) at --gpu-memory-utilization {utilization}; raise it, or give \
         the number of blocks with --num-gpu-blocks"
    )]
    NoKvCache {
        /// GPUs in tensor parallel.
        gpus: u32,
        /// The fraction of their memory in use.
        utilization: f64,
    },
    /// One request of the longest kind would not fit.
    #[error(
        "--max-model-len {max_model_len} is larger than the {capacity} tokens that the KV cache holds; lower it, or \
         give more blocks with --num-gpu-blocks"
    )]
    ContextExceedsCache {
        /// The context length asked for.
        max_model_len: u32,
        /// Tokens in the cache.
        capacity: u32,
    },
}

/// A command line that was read.
#[derive(Debug)]
pub struct Parsed {
    /// The flags.
    pub args: Args,
    /// vLLM flags that have no effect here, as given.
    pub ignored: Vec<String>,
}

/// Reads a command line, the program's name first. vLLM's flags without effect here are set aside; a flag that
/// neither side knows is an error that says how to pass it, or set aside with `--allow-unknown-flags`.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Parsed, clap::Error> {
    let (mut args, mut ignored) = vllm_flags::split(args.into_iter().collect());
    let mut first_unknown = None;
    loop {
        let error = match Args::command().try_get_matches_from(&args) {
            Ok(matches) => {
                let args = Args::from_arg_matches(&matches)?;
                return match first_unknown {
                    Some(error) if !args.allow_unknown_flags => Err(error),
                    _ => Ok(Parsed { args, ignored }),
                };
            }
            Err(error) => error,
        };
        // Whether unknown flags are allowed is known once the rest of the line has been read.
        let Some(flag) = vllm_flags::unknown_flag(&error) else { return Err(error) };
        let Some(removed) = vllm_flags::remove(&mut args, &flag) else { return Err(error) };
        ignored.push(removed);
        first_unknown.get_or_insert_with(|| unknown_flag_error(&flag, &error));
    }
}

fn unknown_flag_error(flag: &str, error: &clap::Error) -> clap::Error {
    let similar = match error.get(ContextKind::SuggestedArg) {
        Some(ContextValue::String(similar)) => format!("\n  tip: a similar flag exists: '{similar}'"),
        _ => String::new(),
    };
    let message = format!(
        "unexpected flag '{flag}': vllm-sim does not know it\n{similar}\n  tip: if your vLLM takes it, pass \
         --allow-unknown-flags too; '{flag}' is then ignored with a warning\n\nFor more information, try '--help'.\n"
    );
    clap::Error::raw(ErrorKind::UnknownArgument, message)
}

impl Args {
    /// Settles every default and checks what depends on several flags. `bind_host` is the value of `BIND_HOST`: it
    /// stands in for a wildcard host, so that several servers can share the ports of one machine.
    pub fn resolve(self, bind_host: Option<&str>) -> Result<Config, ConfigError> {
        let listen = SocketAddr::new(resolve_host(&self.host, bind_host)?, self.port);
        let model = resolve_model(self.model_tag.clone(), self.model.clone())?;
        let served_model_names =
            if self.served_model_name.is_empty() { vec![model.clone()] } else { self.served_model_name.clone() };
        Ok(Config {
            listen,
            engine: self.engine_settings()?,
            model,
            served_model_names,
            gpu_memory_utilization: self.gpu_memory_utilization,
            blocks_overridden: self.num_gpu_blocks.is_some(),
            api_key: self.api_key,
            metrics_compat: self.metrics_compat.into_iter().collect(),
            startup_delay: self.startup_delay.div_f64(self.speed),
            shutdown_grace: self.shutdown_grace,
            output_length: self.output_length,
            default_output_tokens: self.default_output_tokens.max(1),
            seed: self.seed,
        })
    }

    fn engine_settings(&self) -> Result<Settings, ConfigError> {
        self.check_ranges()?;
        let gpus = self.tensor_parallel_size;
        let utilization = self.gpu_memory_utilization;
        let num_gpu_blocks = match self.num_gpu_blocks {
            Some(blocks) => blocks,
            None => self
                .gpu
                .kv_blocks(gpus, utilization, self.block_size)
                .ok_or(ConfigError::NoKvCache { gpus, utilization })?,
        };
        let capacity = num_gpu_blocks.saturating_mul(self.block_size);
        let max_model_len = match self.max_model_len {
            Some(max_model_len) if max_model_len > capacity => {
                return Err(ConfigError::ContextExceedsCache { max_model_len, capacity });
            }
            Some(max_model_len) => max_model_len,
            None => MODEL_CONTEXT.min(capacity),
        };
        Ok(Settings {
            max_num_seqs: self.max_num_seqs,
            max_num_waiting: self.max_num_waiting,
            max_num_batched_tokens: self.max_num_batched_tokens,
            max_model_len,
            num_gpu_blocks,
            block_size: self.block_size,
            prefix_caching: !self.no_enable_prefix_caching,
            iteration_time: self.gpu.iteration_time(gpus).faster(self.speed),
            load_factor: LoadFactor(self.time_factor_under_load),
        })
    }

    fn check_ranges(&self) -> Result<(), ConfigError> {
        let at_least_one = [
            ("max-num-seqs", Some(self.max_num_seqs)),
            ("max-num-batched-tokens", Some(self.max_num_batched_tokens)),
            ("num-gpu-blocks", self.num_gpu_blocks),
            ("block-size", Some(self.block_size)),
            ("max-model-len", self.max_model_len),
            ("tensor-parallel-size", Some(self.tensor_parallel_size)),
        ];
        for (flag, value) in at_least_one {
            if value == Some(0) {
                return Err(ConfigError::OutOfRange { flag, value: "0".to_owned(), range: "at least 1" });
            }
        }
        let fractions = [
            ("gpu-memory-utilization", self.gpu_memory_utilization, 0.0..=1.0, "above 0 and at most 1"),
            ("speed", self.speed, 0.0..=10_000.0, "above 0 and at most 10000"),
        ];
        for (flag, value, range, text) in fractions {
            if !range.contains(&value) || value == 0.0 {
                return Err(ConfigError::OutOfRange { flag, value: value.to_string(), range: text });
            }
        }
        if !(1.0..=1000.0).contains(&self.time_factor_under_load) {
            let value = self.time_factor_under_load.to_string();
            return Err(ConfigError::OutOfRange { flag: "time-factor-under-load", value, range: "from 1 to 1000" });
        }
        Ok(())
    }
}

fn resolve_model(positional: Option<String>, flag: Option<String>) -> Result<String, ConfigError> {
    match (positional, flag) {
        (None, None) => Err(ConfigError::NoModel),
        (Some(positional), Some(flag)) if positional != flag => Err(ConfigError::TwoModels { positional, flag }),
        (Some(model), _) | (None, Some(model)) => Ok(model),
    }
}

fn resolve_host(host: &str, bind_host: Option<&str>) -> Result<IpAddr, ConfigError> {
    let host: IpAddr = match host {
        "localhost" => IpAddr::from([127, 0, 0, 1]),
        _ => host.parse().map_err(|_| ConfigError::Host { host: host.to_owned() })?,
    };
    match bind_host.filter(|value| !value.is_empty()) {
        Some(value) if host.is_unspecified() => {
            value.parse().map_err(|_| ConfigError::BindHost { value: value.to_owned() })
        }
        _ => Ok(host),
    }
}

#[cfg(test)]
mod tests;
