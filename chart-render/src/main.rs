//! Renders Helm charts without helm.

use std::process::ExitCode;

fn main() -> ExitCode {
    chart_render::cli::run()
}
