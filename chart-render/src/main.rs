//! Renders Helm charts without helm.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
