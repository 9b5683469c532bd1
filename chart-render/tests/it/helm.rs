//! Real helm: the program named by `HELM`, else `helm` on the path. Tests that need it fail without it.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Output};

/// The directory of the project's chart.
pub(crate) fn chart() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../charts/workload-variant-autoscaler")
}

/// The directory of a chart written for these tests.
pub(crate) fn test_chart(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/charts").join(name)
}

/// Runs helm.
pub(crate) fn helm(arguments: &[String]) -> Output {
    helm_command().args(arguments).output().expect("run helm: `make test` provides it, or set HELM to its path")
}

/// Helm, yet to be told what to do.
pub(crate) fn helm_command() -> Command {
    Command::new(env::var_os("HELM").unwrap_or_else(|| "helm".into()))
}

/// Runs this crate's program.
pub(crate) fn chart_render(arguments: &[String]) -> Output {
    chart_render_command().args(arguments).output().expect("run chart-render")
}

/// This crate's program, yet to be told what to do.
pub(crate) fn chart_render_command() -> Command {
    Command::new(assert_cmd::cargo::cargo_bin!("chart-render"))
}
