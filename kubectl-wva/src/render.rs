//! `render` and `values`: the chart that is part of this program, as text.

use std::path::PathBuf;

use chart_render::{Options, Release, Selection, Values};
use clap::Args;
use serde_json::Value;

use crate::add_model::release_name;
use crate::cli::{Connection, Format};
use crate::console::Console;
use crate::{Error, Verdict, install};

/// Flags of `render`.
#[derive(Args, Clone, Debug, Default)]
pub struct RenderArgs {
    /// Name of the release.
    #[arg(value_name = "NAME", value_parser = release_name)]
    pub name: String,
    /// Set a value of the chart, as helm does (repeatable).
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Read values of the chart from a file, as helm does (repeatable).
    #[arg(short = 'f', long, value_name = "FILE")]
    pub values: Vec<PathBuf>,
    /// Print the custom resource definition too.
    #[arg(long)]
    pub include_crds: bool,
    /// Only what these templates render to, e.g. templates/model/hpa.yaml (repeatable).
    #[arg(short, long, value_name = "TEMPLATE")]
    pub show_only: Vec<String>,
}

/// Flags of `values`.
#[derive(Args, Clone, Debug, Default)]
pub struct ValuesArgs {
    /// Set a value of the chart, as helm does (repeatable).
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Read values of the chart from a file, as helm does (repeatable).
    #[arg(short = 'f', long, value_name = "FILE")]
    pub values: Vec<PathBuf>,
}

/// Carries out `render`: what `helm template NAME <chart> -n NAMESPACE` prints. Needs no cluster.
///
/// # Errors
/// When the chart does not render with these values.
pub fn run(flags: &Connection, args: &RenderArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let values = install::values(&args.values, &args.set)?;
    let namespace = flags.namespace.clone().unwrap_or_else(|| "default".to_owned());
    let failed = |error: chart_render::Error| install::Error::Render(Box::new(error));
    let release = Release::new(&args.name, &namespace);
    let rendered = chart_render::render(&install::chart()?, values, &release, &Options::default()).map_err(failed)?;
    match console.format {
        Format::Json => {
            let items: Vec<&Value> = rendered.manifests.iter().map(|manifest| &manifest.object).collect();
            console.json(&serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items}))?;
        }
        Format::Name => console.lines(rendered.manifests.iter().map(|manifest| {
            let name = manifest.object["metadata"]["name"].as_str().unwrap_or_default();
            format!("{}/{name}", manifest.kind().to_lowercase())
        }))?,
        Format::Yaml | Format::Table | Format::Wide => {
            let selection = Selection {
                include_crds: args.include_crds,
                show_only: args.show_only.clone(),
                ..Selection::default()
            };
            console.data(&rendered.to_text(&selection).map_err(install::Error::from)?)?;
        }
    }
    Ok(Verdict::Fine)
}

/// Carries out `values`: the chart's values with what is given laid over them. Needs no cluster.
///
/// # Errors
/// When a file or setting cannot be read.
pub fn values(args: &ValuesArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let given: Values = install::values(&args.values, &args.set)?;
    let chart = install::chart()?;
    let mut tree = chart.values().clone();
    install::overlay(&mut tree, Value::Object(given.tree().clone()));
    match console.format {
        Format::Json => console.json(&tree)?,
        Format::Name => console.lines(tree.keys().cloned())?,
        Format::Yaml | Format::Table | Format::Wide => console.yaml(&tree)?,
    }
    Ok(Verdict::Fine)
}
