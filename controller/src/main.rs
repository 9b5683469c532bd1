//! Entry point.

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    wva_controller::entry::main().unwrap_or_else(|error| {
        // One line that says what to do; a backtrace of a stripped binary tells nobody anything. Nothing is left to
        // tell when standard error is closed.
        let _unread = writeln!(std::io::stderr(), "Error: {}", wva_controller::api_error::with_causes(error.as_ref()));
        ExitCode::FAILURE
    })
}
