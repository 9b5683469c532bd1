//! The `threshold` analyzer on JSON lines, to compare it with other implementations on any input.
//!
//! Reads one case per line from stdin and writes one line per case to stdout:
//!
//! ```text
//! {"config":{"kvCacheThreshold":0.8,"queueLengthThreshold":5,"kvSpareTrigger":0.1,"queueSpareTrigger":3},
//!  "replicas":[{"pod":"p1","variant":"v1","kv":0.5,"queue":2,"cost":10,"accelerator":"A100"}],
//!  "states":[{"variant":"v1","current":1,"desired":0,"pending":0}]}
//! ```
//!
//! (in one line) gives
//!
//! ```text
//! {"total":1,"nonSaturated":1,"avgSpareKv":0.30000000000000004,"avgSpareQueue":3.0,"shouldScaleUp":false,
//!  "scaleDownSafe":false,"targets":{"v1":1}}
//! ```
//!
//! A line that cannot be read is reported on stderr with its number, the others are answered, and the exit code is 1.

mod lines;

use std::io::{self, BufReader, BufWriter, ErrorKind, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut output = BufWriter::new(io::stdout().lock());
    let outcome = lines::answer_all(BufReader::new(io::stdin().lock()), &mut output, io::stderr())
        .and_then(|clean| output.flush().map(|()| clean));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // Whoever reads the answers has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to be done when stderr is gone too.
            let _ = writeln!(io::stderr(), "threshold: reading cases or writing answers: {error}");
            ExitCode::FAILURE
        }
    }
}
