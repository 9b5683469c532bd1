//! `chart-render plan` and `chart-render values`: installs from a fleet file, and values from a profile.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::Verdict;
use crate::Chart;
use crate::fleet::{Fleet, Layout, Plan};
use crate::profile::{Model, Profile};

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
    /// Write values files, manifests, helmfile.yaml and install.sh below this directory.
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "check")]
    output_dir: Option<PathBuf>,
    /// Also write each release as a chart of plain manifests, and install those.
    #[arg(long, requires = "output_dir")]
    as_chart: bool,
    /// Directory of the project's chart; without it the chart that is part of this program.
    #[arg(long, value_name = "DIRECTORY")]
    chart: Option<PathBuf>,
    /// How to print the plan.
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
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
            let chart = self.chart.as_deref().unwrap_or(Path::new("charts/workload-variant-autoscaler"));
            // The script changes into its own directory.
            let chart = std::path::absolute(chart).context("find the chart")?.display().to_string();
            let layout = Layout { as_chart: self.as_chart, chart };
            plan.write(directory, &layout).with_context(|| format!("write the plan to {}", directory.display()))?;
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

/// Print the values file of an install.
#[derive(Args)]
pub(super) struct ProfileValues {
    /// What to install.
    #[arg(long, value_enum)]
    profile: Kind,
    /// Id of the controller instance; the same for a controller and its models.
    #[arg(long, default_value = "")]
    instance: String,
    /// Address of Prometheus.
    #[arg(long, value_name = "URL")]
    prometheus: Option<String>,
    /// Namespaces to watch; all when left out.
    #[arg(long, value_delimiter = ',', value_name = "NAMESPACES")]
    watch: Vec<String>,
    /// Name of the variant.
    #[arg(long, value_name = "NAME", default_value = "my-model")]
    model_name: String,
    /// Namespace of the model.
    #[arg(long, value_name = "NAMESPACE", default_value = "llm-d-autoscaler")]
    model_namespace: String,
    /// Id that the model's servers report.
    #[arg(long, value_name = "ID", default_value = "unsloth/Meta-Llama-3.1-8B")]
    model_id: String,
    /// Deployment of the model; <model-name>-decode when left out.
    #[arg(long, value_name = "NAME", default_value = "")]
    deployment: String,
    /// What a replica runs on.
    #[arg(long, default_value = "H100")]
    accelerator: String,
    /// Cost of one replica.
    #[arg(long, default_value = "10")]
    cost: String,
    /// Fewest replicas.
    #[arg(long)]
    min: Option<u32>,
    /// Most replicas.
    #[arg(long, default_value_t = 10)]
    max: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A controller without a model.
    Controller,
    /// A model for a controller that is already there.
    Model,
    /// A controller and a model in one release.
    All,
    /// As all, with short intervals, much log and certificates unchecked.
    Dev,
    /// As all, on OpenShift.
    Openshift,
}

impl ProfileValues {
    pub(super) fn run(self, out: &mut impl Write) -> Result<Verdict> {
        let kind = self.profile;
        let title = match kind {
            Kind::Controller => "A controller without a model.",
            Kind::Model => "A model; its controller is another release.",
            Kind::All => "A controller and a model.",
            Kind::Dev => "A controller and a model, for development.",
            Kind::Openshift => "A controller and a model on OpenShift.",
        };
        let profile = Profile {
            title: title.to_owned(),
            controller: kind != Kind::Model,
            instance: self.instance,
            prometheus: self.prometheus,
            watch: self.watch,
            development: kind == Kind::Dev,
            openshift: kind == Kind::Openshift,
            model: (kind != Kind::Controller).then_some(Model {
                name: self.model_name,
                namespace: self.model_namespace,
                id: self.model_id,
                deployment: self.deployment,
                accelerator: self.accelerator,
                cost: self.cost,
                min: self.min,
                max: self.max,
            }),
        };
        out.write_all(profile.values()?.as_bytes())?;
        Ok(Verdict::Fine)
    }
}
