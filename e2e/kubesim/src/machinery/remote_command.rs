//! What API server and node agree on about `exec` and `attach`: `k8s.io/apimachinery/pkg/util/remotecommand`.

use serde_json::{Value, json};

/// The protocols, the newer first: it has a signal by which one end of a stream is closed.
pub(crate) const PROTOCOLS: &[&str] = &["v5.channel.k8s.io", "v4.channel.k8s.io"];

/// The protocol on streams of SPDY.
pub(crate) const STREAM_PROTOCOLS: &[&str] = &["v4.channel.k8s.io"];

pub(crate) const STDIN: u8 = 0;
pub(crate) const STDOUT: u8 = 1;
pub(crate) const STDERR: u8 = 2;
/// The outcome, as a `Status`.
pub(crate) const ERROR: u8 = 3;
/// Sizes of the client's terminal.
pub(crate) const RESIZE: u8 = 4;
/// Followed by the number of the channel that its sender will not write to any more.
pub(crate) const CLOSE: u8 = 255;

/// The `Status` of a command that ended by itself.
pub(crate) fn outcome(command: &[String], code: i32) -> Value {
    if code == 0 {
        return json!({"metadata": {}, "status": "Success"});
    }
    let command = command.join(" ");
    json!({
        "metadata": {},
        "status": "Failure",
        "message": format!(
            "command terminated with non-zero exit code: error executing command [{command}], exit code {code}"
        ),
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}

/// The `Status` of a command that could not be run.
pub(crate) fn failure(why: &str) -> Value {
    json!({
        "metadata": {},
        "status": "Failure",
        "message": format!("Internal error occurred: error executing command in container: {why}"),
        "reason": "InternalError",
        "details": {"causes": [{"message": format!("error executing command in container: {why}")}]},
        "code": 500,
    })
}
