//! Entry point.

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    wva_controller::entry::main()
}
