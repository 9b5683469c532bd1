//! `chart-render plan`: installs from a fleet file.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;

use super::{Output, Verdict};
use crate::Chart;
use crate::fleet::{Charts, Fleet, Plan};

/// Plan the releases of a fleet: one for each controller and each variant of a model.
///
/// The format of the fleet file is described in docs/fleet.md. Nothing is written unless all releases get on with one
/// another; the exit code is 1 when they do not.
#[derive(Args)]
pub(super) struct PlanFleet {
    /// The fleet file.
    #[arg(value_name = "FLEET")]
    fleet: PathBuf,
    /// Only check, and print what is wrong.
    #[arg(long)]
    check: bool,
    /// Write values files, manifests, the chart, helmfile.yaml and install.sh below this directory.
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "check")]
    output_dir: Option<PathBuf>,
    /// Write each release as a chart of plain manifests, and install those instead of the project's chart.
    #[arg(long, requires = "output_dir")]
    as_chart: bool,
    /// Directory of the project's chart; without it the chart that is part of this program.
    #[arg(long, value_name = "DIRECTORY")]
    chart: Option<PathBuf>,
    /// How to print the plan.
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

impl PlanFleet {
    pub(super) fn run(self, out: &mut impl Write) -> Result<Verdict> {
        let name = self.fleet.display().to_string();
        let text = fs::read_to_string(&self.fleet).with_context(|| format!("read fleet {name}"))?;
        let chart = self.chart.as_deref().map_or_else(Chart::embedded, Chart::load)?;
        let plan = Fleet::read(&name, &text)?.plan(chart)?;
        if self.check {
            writeln!(out, "{name}: {} releases, nothing wrong", plan.installs.len())?;
            return Ok(Verdict::Fine);
        }
        if let Some(directory) = &self.output_dir {
            let charts = match &self.chart {
                _ if self.as_chart => Charts::Plain,
                None => Charts::Embedded,
                // The script changes into its own directory.
                Some(chart) => Charts::At(std::path::absolute(chart).context("find the chart")?.display().to_string()),
            };
            plan.write(directory, &charts).with_context(|| format!("write the plan to {}", directory.display()))?;
        }
        print(&plan, self.output, out)?;
        Ok(Verdict::Fine)
    }
}

fn print(plan: &Plan, output: Output, out: &mut impl Write) -> Result<()> {
    if output == Output::Json {
        let install = |install: &crate::fleet::Install| {
            json!({
                "release": install.release.name, "namespace": install.release.namespace,
                "instance": install.instance, "needs": install.needs, "scope": install.scope,
                "objects": install.rendered.manifests.len(), "values": format!("values/{}.yaml", install.file_name()),
            })
        };
        let installs: Vec<_> = plan.installs.iter().map(install).collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&json!({ "releases": installs }))?)?;
        return Ok(());
    }
    let mut rows = vec![["RELEASE", "NAMESPACE", "INSTANCE", "OBJECTS", "SCOPE"].map(str::to_owned)];
    rows.extend(plan.installs.iter().map(|install| {
        let instance = if install.instance.is_empty() { "-" } else { &install.instance };
        [
            install.release.name.clone(),
            install.release.namespace.clone(),
            instance.to_owned(),
            install.rendered.manifests.len().to_string(),
            install.scope.clone(),
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..4).map(width).collect();
    for [release, namespace, instance, objects, scope] in &rows {
        let [a, b, c, d] = [widths[0], widths[1], widths[2], widths[3]];
        writeln!(out, "{release:<a$}  {namespace:<b$}  {instance:<c$}  {objects:<d$}  {scope}")?;
    }
    Ok(())
}
