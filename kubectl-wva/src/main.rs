//! Entry point of `kubectl wva`.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anstream::AutoStream;
use clap::Parser as _;
use kubectl_wva::cli::Cli;
use kubectl_wva::console::Console;
use kubectl_wva::{Error, Verdict, run};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match execute(&cli) {
        Ok(verdict) => ExitCode::from(verdict.code()),
        // Whoever reads our output has seen enough.
        Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to tell when standard error is closed too.
            let _ = write!(AutoStream::new(io::stderr(), cli.output.color.into()), "{}", error.report());
            ExitCode::from(Verdict::Unknown.code())
        }
    }
}

fn execute(cli: &Cli) -> Result<Verdict, Error> {
    // One process-wide choice, made before anything opens a connection. It fails only when already made.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Runtime)?;
    let color = cli.output.color.into();
    let mut out = AutoStream::new(io::stdout(), color);
    let mut err = AutoStream::new(io::stderr(), color);
    let terminal = io::stdout().is_terminal();
    let mut console = Console {
        out: &mut out,
        err: &mut err,
        format: cli.output.format,
        headers: !cli.output.no_headers,
        width: terminal.then(kubectl_wva::table::terminal_width).flatten(),
    };
    let verdict = runtime.block_on(run(cli, &mut console))?;
    console.out.flush().map_err(Error::Output)?;
    Ok(verdict)
}
