//! The command line of `chart-render`.

mod chart_argument;
mod check;
mod helm_flags;
mod plan;
mod profile;
mod template;
mod value_flags;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

pub use profile::{Kind, ProfileFlags, Refused};

/// Render Helm charts in Rust, and plan installs of the Workload Variant Autoscaler.
#[derive(Parser)]
#[command(name = "chart-render", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Template(Box<template::Template>),
    Check(check::Check),
    Plan(plan::PlanFleet),
    Values(Box<profile::ProfileValues>),
}

/// What a command that ran to its end has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// All is well.
    Fine,
    /// The command did its work and found something wrong.
    Finding,
}

/// How a command prints what it found.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
}

/// The definition of the command line, from which its documentation is written.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the program. The exit code is 0, 1 for a finding or a chart that does not render, and 2 for wrong usage or,
/// with `check`, for input that cannot be read.
pub fn run() -> ExitCode {
    let mut out = Vec::new();
    let (result, failure) = match Cli::parse().command {
        Command::Template(template) => (template.run(&mut out), 1),
        Command::Check(check) => (check.run(&mut out), 2),
        Command::Plan(plan) => (plan.run(&mut out), 1),
        Command::Values(values) => (values.run(&mut out), 1),
    };
    let written = io::stdout().lock().write_all(&out);
    if let Err(error) = result {
        // Nothing is left to do when the standard error is closed as well.
        let _ = writeln!(io::stderr(), "Error: {error:#}");
        return ExitCode::from(failure);
    }
    match (written, result) {
        (Err(error), _) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        (_, Ok(Verdict::Finding)) => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}
