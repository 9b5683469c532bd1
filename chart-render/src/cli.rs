//! The command line: the part of `helm template` that needs no cluster.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use chart_render::{Chart, KubeVersion, Options, Release, Selection, Values, render};
use clap::{Args, Parser, Subcommand};

/// Render Helm charts in Rust.
#[derive(Parser)]
#[command(name = "chart-render", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the manifests of a chart, as `helm template` does.
    Template(Template),
}

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "one for each switch of helm's command")]
struct Template {
    /// Name of the release.
    release: String,
    /// Directory of the chart; without it the project's own chart, which is part of this program.
    chart: Option<PathBuf>,
    /// Namespace of the release.
    #[arg(short, long, default_value = "default")]
    namespace: String,
    /// Values file, `-` for the standard input; may be given several times, the last one wins.
    #[arg(short = 'f', long = "values", value_name = "FILE")]
    values: Vec<PathBuf>,
    /// Values on the command line: key1=val1,key2=val2.
    #[arg(long, value_name = "SETTINGS")]
    set: Vec<String>,
    /// Values that stay strings.
    #[arg(long, value_name = "SETTINGS")]
    set_string: Vec<String>,
    /// Values read from files: key1=path1,key2=path2.
    #[arg(long, value_name = "SETTINGS")]
    set_file: Vec<String>,
    /// JSON values: key1=json1,key2=json2, or one JSON object.
    #[arg(long, value_name = "SETTINGS")]
    set_json: Vec<String>,
    /// Show only manifests rendered from these templates.
    #[arg(short, long, value_name = "TEMPLATE")]
    show_only: Vec<String>,
    /// Print the custom resource definitions too.
    #[arg(long)]
    include_crds: bool,
    /// Leave hooks out.
    #[arg(long)]
    no_hooks: bool,
    /// Leave test hooks out.
    #[arg(long)]
    skip_tests: bool,
    /// API versions the cluster has beyond the built-in ones.
    #[arg(short, long, value_delimiter = ',', value_name = "VERSIONS")]
    api_versions: Vec<String>,
    /// Version of the cluster's Kubernetes.
    #[arg(long, value_name = "VERSION")]
    kube_version: Option<String>,
    /// Render as for an upgrade.
    #[arg(long)]
    is_upgrade: bool,
}

/// Runs the program; the exit code is 1 when the chart does not render.
pub(crate) fn run() -> ExitCode {
    let Command::Template(template) = Cli::parse().command;
    let text = match template.run() {
        Ok(text) => text,
        Err(error) => {
            // Nothing is left to do when the standard error is closed as well.
            let _ = writeln!(std::io::stderr(), "Error: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

impl Template {
    fn run(self) -> Result<String> {
        let values = self.read_values()?;
        let chart = match &self.chart {
            Some(directory) => Chart::load(directory)?,
            None => Chart::embedded()?,
        };
        let release = Release { is_upgrade: self.is_upgrade, ..Release::new(self.release, self.namespace) };
        let kube_version = self.kube_version.as_deref().map(str::parse::<KubeVersion>).transpose()?.unwrap_or_default();
        let options = Options { kube_version, api_versions: self.api_versions };
        let rendered = render(&chart, values, &release, &options)?;
        let selection = Selection {
            include_crds: self.include_crds,
            no_hooks: self.no_hooks,
            skip_tests: self.skip_tests,
            show_only: self.show_only,
        };
        Ok(rendered.to_text(&selection)?)
    }

    /// All files first, then each sort of setting, whatever their order on the command line: helm's rule.
    fn read_values(&self) -> Result<Values> {
        let mut values = Values::new();
        for path in &self.values {
            let text = if path.as_os_str() == "-" {
                std::io::read_to_string(std::io::stdin())
            } else {
                fs::read_to_string(path)
            };
            let text = text.with_context(|| format!("read values file {}", path.display()))?;
            values.merge_yaml(&path.display().to_string(), &text)?;
        }
        for input in &self.set_json {
            values.set_json(input)?;
        }
        for input in &self.set {
            values.set(input)?;
        }
        for input in &self.set_string {
            values.set_string(input)?;
        }
        for input in &self.set_file {
            values.set_file(input, &|path| fs::read_to_string(path))?;
        }
        Ok(values)
    }
}
