//! The part of vLLM's command line that clap must not see: the `serve` word, underscores in flags, and flags without
//! an effect here.

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// vLLM flags without an effect here that take a value.
const IGNORED_WITH_VALUE: [&str; 32] = [
    "--attention-backend",
    "--chat-template",
    "--compilation-config",
    "--config-format",
    "--cpu-offload-gb",
    "--data-parallel-size",
    "--distributed-executor-backend",
    "--download-dir",
    "--dtype",
    "--generation-config",
    "--hf-overrides",
    "--kv-cache-dtype",
    "--kv-transfer-config",
    "--limit-mm-per-prompt",
    "--load-format",
    "--max-log-len",
    "--max-logprobs",
    "--max-lora-rank",
    "--max-loras",
    "--override-generation-config",
    "--pipeline-parallel-size",
    "--quantization",
    "--reasoning-parser",
    "--revision",
    "--root-path",
    "--scheduling-policy",
    "--swap-space",
    "--tokenizer",
    "--tokenizer-mode",
    "--tool-call-parser",
    "--uvicorn-log-level",
    "--lora-modules",
];

/// vLLM flags without an effect here that are switches.
const IGNORED_SWITCHES: [&str; 20] = [
    "--async-scheduling",
    "--disable-custom-all-reduce",
    "--disable-hybrid-kv-cache-manager",
    "--disable-log-requests",
    "--disable-log-stats",
    "--disable-sliding-window",
    "--disable-uvicorn-access-log",
    "--enable-auto-tool-choice",
    "--enable-chunked-prefill",
    "--enable-expert-parallel",
    "--enable-log-requests",
    "--enable-lora",
    "--enable-prompt-tokens-details",
    "--enable-sleep-mode",
    "--enforce-eager",
    "--no-enable-chunked-prefill",
    "--no-enable-log-requests",
    "--no-enforce-eager",
    "--no-trust-remote-code",
    "--trust-remote-code",
];

/// Separates a command line into what clap reads and what has no effect.
pub(super) fn split(args: Vec<OsString>) -> (Vec<OsString>, Vec<String>) {
    let mut kept = Vec::with_capacity(args.len());
    let mut ignored = Vec::new();
    let mut args = args.into_iter().enumerate().peekable();
    while let Some((index, arg)) = args.next() {
        if index == 1 && arg == "serve" {
            continue;
        }
        let Some(arg) = arg.to_str().map(with_dashes) else {
            kept.push(arg);
            continue;
        };
        let (flag, value) = arg.split_once('=').map_or((arg.as_str(), None), |(flag, value)| (flag, Some(value)));
        if IGNORED_SWITCHES.contains(&flag) {
            ignored.push(arg);
        } else if !IGNORED_WITH_VALUE.contains(&flag) {
            kept.push(arg.into());
        } else if value.is_some() {
            ignored.push(arg);
        } else {
            let value = args.next_if(|(_, next)| !is_flag(next)).map(|(_, value)| value);
            let value = value.map(|value| format!(" {}", value.to_string_lossy())).unwrap_or_default();
            ignored.push(format!("{arg}{value}"));
        }
    }
    (kept, ignored)
}

/// vLLM takes `--max_num_seqs` for `--max-num-seqs`.
fn with_dashes(arg: &str) -> String {
    if !arg.starts_with("--") {
        return arg.to_owned();
    }
    match arg.split_once('=') {
        Some((flag, value)) => format!("{}={value}", flag.replace('_', "-")),
        None => arg.replace('_', "-"),
    }
}

fn is_flag(arg: &OsStr) -> bool {
    arg.to_str().is_some_and(|arg| arg.starts_with('-') && arg.parse::<f64>().is_err())
}

/// The flag that clap did not know, when that is what the error is about.
pub(super) fn unknown_flag(error: &clap::Error) -> Option<String> {
    match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(ContextValue::String(flag))) => Some(flag.clone()),
        _ => None,
    }
}

/// Takes the flag out of the line, with the value that follows it, if one does.
pub(super) fn remove(args: &mut Vec<OsString>, flag: &str) -> Option<String> {
    let matches = |arg: &OsString| arg.to_str().is_some_and(|arg| arg.split('=').next() == flag.split('=').next());
    let index = args.iter().position(matches)?;
    let removed = args.remove(index);
    let mut text = removed.to_string_lossy().into_owned();
    let has_value = !text.contains('=') && args.get(index).is_some_and(|next| !is_flag(next));
    if has_value {
        text = format!("{text} {}", args.remove(index).to_string_lossy());
    }
    Some(text)
}
