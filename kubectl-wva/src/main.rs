//! Entry point of `kubectl wva`.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anstream::AutoStream;
use clap::Parser as _;
use kubectl_wva::cli::Cli;
use kubectl_wva::output::console::Console;
use kubectl_wva::{Error, Verdict, run};

fn main() -> ExitCode {
    if completes() {
        return complete();
    }
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

/// Whether kubectl started this program to complete a command line.
fn completes() -> bool {
    let name = std::env::args_os().next().unwrap_or_default();
    Path::new(&name).file_stem().is_some_and(|stem| stem == kubectl_wva::commands::complete::PROGRAM)
}

fn complete() -> ExitCode {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    let lines = runtime.block_on(kubectl_wva::commands::complete::lines(&words));
    // A shell that has gone away needs no candidates.
    let _ = writeln!(io::stdout(), "{}", lines.join("\n"));
    ExitCode::SUCCESS
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
        width: terminal.then(kubectl_wva::output::table::terminal_width).flatten(),
    };
    let verdict = runtime.block_on(run(cli, &mut console))?;
    console.out.flush().map_err(Error::Output)?;
    Ok(verdict)
}
