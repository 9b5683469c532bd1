//! `render` and `values`: the chart that is part of this program, as text.

mod commented;

pub(crate) use commented::whole;

use std::path::PathBuf;

use chart_render::cli::{Kind, ProfileFlags};
use chart_render::{Chart, Options, Release, Selection, Values};
use clap::Args;
use serde_json::Value;

use crate::commands::add_model::release_name;
use crate::connection::Connection;
use crate::output::Format;
use crate::output::console::Console;
use crate::writers::install;
use crate::{Error, Verdict};

/// Flags of `render`.
#[derive(Args, Clone, Debug, Default)]
pub struct RenderArgs {
    /// Name of the release.
    #[arg(value_name = "NAME", value_parser = release_name)]
    pub name: String,
    /// Print the custom resource definition too.
    #[arg(long)]
    pub include_crds: bool,
    /// Only what these templates render to, e.g. templates/model/hpa.yaml (repeatable).
    #[arg(long, value_name = "TEMPLATE")]
    pub show_only: Vec<String>,
    /// Values over the chart's defaults.
    #[command(flatten)]
    pub given: GivenValues,
}

/// Flags of `values`.
#[derive(Args, Clone, Debug, Default)]
pub struct ValuesArgs {
    /// Values over the chart's defaults.
    #[command(flatten)]
    pub given: GivenValues,
}

/// Values from a profile, from files and from the command line, each over the one before.
#[derive(Args, Clone, Debug, Default)]
pub struct GivenValues {
    /// Set a value of the chart, as helm does (repeatable).
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Read values of the chart from a file, as helm does (repeatable).
    #[arg(short = 'f', long, value_name = "FILE")]
    pub values: Vec<PathBuf>,
    /// Begin with the values of a usual install; the flags below fill it in.
    #[arg(long, value_enum, help_heading = "Profile")]
    pub profile: Option<Kind>,
    /// What fills in a profile.
    #[command(flatten, next_help_heading = "Profile")]
    pub flags: ProfileFlags,
}

impl GivenValues {
    /// The profile's values file, if one was asked for.
    fn of_profile(&self) -> Result<Option<String>, Error> {
        let text = self.profile.map(|kind| self.flags.values(kind)).transpose();
        Ok(text.map_err(install::Error::from)?)
    }

    fn read(&self) -> Result<Values, Error> {
        Ok(install::values(self.of_profile()?.as_deref(), &self.values, &self.set)?)
    }
}

/// Carries out `render`: what `helm template NAME <chart> -n NAMESPACE` prints. Needs no cluster.
///
/// # Errors
/// When the chart does not render with these values.
pub fn run(flags: &Connection, args: &RenderArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let values = args.given.read()?;
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

/// Carries out `values`: the chart's values with what is given laid over them; of a profile alone, the file to install
/// with. Needs no cluster.
///
/// # Errors
/// When a file or setting cannot be read, or the chart would refuse the values of the profile.
pub fn values(args: &ValuesArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let alone = args.given.values.is_empty() && args.given.set.is_empty();
    if let (Some(kind), Format::Yaml | Format::Table | Format::Wide) = (args.given.profile, console.format)
        && alone
    {
        let text = args.given.flags.checked(kind).map_err(|refused| install::Error::Refused { refused })?;
        console.data(&text)?;
        return Ok(Verdict::Fine);
    }
    let given = args.given.read()?;
    let chart = install::chart()?;
    let mut tree = chart.values().clone();
    install::overlay(&mut tree, Value::Object(given.tree().clone()));
    match console.format {
        Format::Json => console.json(&commented::whole(Value::Object(tree)))?,
        Format::Name => console.lines(tree.keys().cloned())?,
        Format::Yaml | Format::Table | Format::Wide => {
            let text = defaults().and_then(|text| commented::with(&text, given.tree()));
            // Whatever was written into the text must read back as what was asked for.
            let same = |text: &String| {
                serde_saphyr::from_str::<Value>(text)
                    .is_ok_and(|read| commented::whole(read) == commented::whole(Value::Object(tree.clone())))
            };
            match text.filter(same) {
                Some(text) => console.data(&text)?,
                None => console.yaml(&commented::whole(Value::Object(tree)))?,
            }
        }
    }
    Ok(Verdict::Fine)
}

/// The text of the chart's `values.yaml`.
fn defaults() -> Option<String> {
    let (_, bytes) = Chart::embedded_files().find(|(name, _)| *name == "values.yaml")?;
    String::from_utf8(bytes.to_vec()).ok()
}
