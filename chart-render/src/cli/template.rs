//! `chart-render template`: what `helm template` prints, without helm and without a cluster.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::mem;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{ArgAction, Args};

use super::Verdict;
use super::chart_argument::{self, Names};
use super::helm_flags::{self, HelmFlags};
use super::value_flags::ValueFlags;
use crate::{Chart, KubeVersion, Options, Release, Rendered, Selection, render};

/// The namespace of a release that is given none, or an empty one.
const DEFAULT_NAMESPACE: &str = "default";

/// Print the manifests of a chart, as `helm template` does.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "one for each switch of helm's command")]
pub(super) struct Template {
    /// Name of the release; with --name-template only the chart is given.
    ///
    /// A chart may also stand alone, as with helm; its release is called release-name.
    #[arg(value_name = "RELEASE", required_unless_present_any = ["name_template"])]
    release: Option<String>,
    /// Directory or .tgz of the chart; with the name of a release alone it is the project's own chart, which is part
    /// of this program.
    #[arg(value_name = "CHART")]
    chart: Option<PathBuf>,
    /// Namespace of the release.
    #[arg(short, long, env = "HELM_NAMESPACE", hide_env_values = true, default_value = DEFAULT_NAMESPACE)]
    namespace: String,
    #[command(flatten)]
    values: ValueFlags,
    /// Name of the release as a template.
    #[arg(long = "name-template", id = "name_template", value_name = "TEMPLATE")]
    name_from: Option<String>,
    /// Show only manifests rendered from these templates.
    #[arg(short, long, value_name = "TEMPLATE")]
    show_only: Vec<String>,
    /// Print the custom resource definitions too.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_parser = helm_flags::switch, action = ArgAction::Set, value_name = "BOOL")]
    include_crds: bool,
    /// Leave hooks out.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_parser = helm_flags::switch, action = ArgAction::Set, value_name = "BOOL")]
    no_hooks: bool,
    /// Leave test hooks out.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_parser = helm_flags::switch, action = ArgAction::Set, value_name = "BOOL")]
    skip_tests: bool,
    /// Take values that the chart's values.schema.json forbids.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_parser = helm_flags::switch, action = ArgAction::Set, value_name = "BOOL")]
    skip_schema_validation: bool,
    /// API versions the cluster has beyond the built-in ones.
    #[arg(short, long, value_delimiter = ',', value_name = "VERSIONS")]
    api_versions: Vec<String>,
    /// Version of the cluster's Kubernetes.
    #[arg(long, value_name = "VERSION")]
    kube_version: Option<String>,
    /// Render as for an upgrade.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_parser = helm_flags::switch, action = ArgAction::Set, value_name = "BOOL")]
    is_upgrade: bool,
    /// Write the manifests into files below this directory instead of printing them.
    #[arg(long, value_name = "DIRECTORY")]
    output_dir: Option<PathBuf>,
    /// Put the name of the release into the paths of --output-dir.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_parser = helm_flags::switch, action = ArgAction::Set, value_name = "BOOL")]
    release_name: bool,
    #[command(flatten)]
    helm: HelmFlags,
}

impl Template {
    pub(super) fn run(self, out: &mut impl Write) -> Result<Verdict> {
        self.helm.refuse()?;
        let names = Names { template: self.name_from.as_deref(), generated: self.helm.generate_name };
        let (name, chart) = chart_argument::resolve(&names, self.release.as_deref(), self.chart.as_deref())?;
        let values = self.values.read()?;
        let chart = match chart {
            Some(path) => chart_argument::load(&path)?,
            None => Chart::embedded()?,
        };
        let namespace = if self.namespace.is_empty() { DEFAULT_NAMESPACE } else { &self.namespace };
        let release = Release { is_upgrade: self.is_upgrade, ..Release::new(name, namespace) };
        let kube_version = self
            .kube_version
            .as_deref()
            .filter(|version| !version.is_empty())
            .map(str::parse::<KubeVersion>)
            .transpose()?
            .unwrap_or_default();
        let options = Options {
            kube_version,
            api_versions: self.api_versions,
            skip_schema_validation: self.skip_schema_validation,
            cluster: None,
        };
        let rendered = render(&chart, values, &release, &options)?;
        let selection = Selection {
            include_crds: self.include_crds,
            no_hooks: self.no_hooks,
            skip_tests: self.skip_tests,
            show_only: self.show_only,
        };
        match self.output_dir {
            None => out.write_all(rendered.to_text(&selection)?.as_bytes())?,
            Some(directory) => {
                let below = if self.release_name { directory.join(&release.name) } else { directory.clone() };
                write_files(&rendered, &selection, &directory, &below, out)?;
            }
        }
        // The process ends with this command, and handing back every string takes longer than printing them.
        mem::forget((chart, rendered));
        Ok(Verdict::Fine)
    }
}

/// One file for each template, as helm lays them out; definitions stay outside the release's folder.
fn write_files(
    rendered: &Rendered,
    selection: &Selection,
    directory: &Path,
    below: &Path,
    out: &mut impl Write,
) -> Result<()> {
    let crds = rendered.crds.iter().filter(|_| selection.include_crds).map(|crd| (directory, &crd.path, &crd.text));
    let manifests = rendered.manifests.iter().chain(rendered.hooks_of(selection));
    let documents = crds.chain(manifests.map(|manifest| (below, &manifest.source, &manifest.text)));
    let mut begun = BTreeSet::new();
    for (folder, name, text) in documents {
        let path = folder.join(name);
        let failed = || format!("write {}", path.display());
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(failed)?;
        }
        let again = !begun.insert(path.clone());
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .append(again)
            .truncate(!again)
            .open(&path)
            .with_context(failed)?;
        write!(file, "---\n# Source: {name}\n{text}\n").with_context(failed)?;
        writeln!(out, "wrote {}", path.display())?;
    }
    writeln!(out)?;
    Ok(())
}
