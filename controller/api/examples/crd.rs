//! Writes the CRD to standard output: `cargo run -q -p wva-api --example crd`.

use std::io::Write as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    std::io::stdout().write_all(wva_api::crd::crd_yaml()?.as_bytes())?;
    Ok(())
}
