//! `wva-e2e simulate` alone, built in seconds.

use clap::Parser;
use wva_simulator::cli::Simulate;

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    simulate: Simulate,
}

#[expect(clippy::print_stdout, reason = "a program for the terminal")]
fn main() -> Result<(), wva_simulator::cli::Error> {
    print!("{}", Args::parse().simulate.run()?);
    Ok(())
}
