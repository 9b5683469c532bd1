//! `list-models`: the models there are, each with its variants.

use std::collections::BTreeMap;

use clap::Args;
use futures::join;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::ResourceExt as _;
use kube::api::ListParams;
use serde::Serialize;
use wva_api::{Instance, VariantAutoscaling};

use crate::connection::Connection;

use crate::output::Format;
use crate::output::console::Console;
use crate::output::table;
use crate::output::table::{Cell, Column};
use crate::output::watch::WatchArgs;
use crate::readers::{lists, variants};
use crate::session::Session;
use crate::{Error, Verdict};

/// Annotation that helm gives what it installs.
pub const HELM_RELEASE: &str = "meta.helm.sh/release-name";

/// Flags of `list-models`.
#[derive(Args, Clone, Debug, Default)]
pub struct ListModelsArgs {
    /// All namespaces.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Looking again and again.
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// A model in a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelView {
    /// Namespace.
    pub namespace: String,
    /// The model's id.
    pub model: String,
    /// The variants that serve it, cheapest first.
    pub variants: Vec<ModelVariantView>,
}

/// One way of serving a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelVariantView {
    /// Name given to add-model or helm; absent for a variant made otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Name of the variant.
    pub name: String,
    /// What it scales, `kind/name`.
    pub target: String,
    /// Its accelerator: of its label, else as the controller found it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accelerator: Option<String>,
    /// Cost of one replica.
    pub cost: String,
    /// Fewest replicas, of its HPA.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<i32>,
    /// Most replicas, of its HPA.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<i32>,
    /// Instance it belongs to; absent for the controller without an id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// `helm` or `add-model`; absent for a variant made otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub installed_by: Option<&'static str>,
}

/// Carries out `list-models`.
///
/// # Errors
/// When the variants cannot be listed.
pub async fn run(flags: &Connection, args: &ListModelsArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let session = Session::open(flags).await?;
    let namespace = (!args.all_namespaces).then(|| session.namespace.clone());
    let again = async |console: &mut Console<'_>| look(&session, namespace.as_deref(), console).await;
    args.watch.repeat(console, again).await
}

async fn look(session: &Session, namespace: Option<&str>, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let all = ListParams::default();
    let (variants, hpas) = join!(
        variants::list(session, namespace),
        lists::list::<HorizontalPodAutoscaler>(session, namespace, "list HPAs", &all),
    );
    let variants = variants?;
    let (hpas, mut verdict) = match hpas {
        Ok(hpas) => (hpas, Verdict::Fine),
        Err(why) => {
            console.note(&format!("warning: bounds unknown: {why}"))?;
            (Vec::new(), Verdict::Unknown)
        }
    };
    let mut readable = Vec::new();
    for guarded in variants {
        match guarded.0 {
            Ok(variant) => readable.push(variant),
            Err(invalid) => {
                let name = invalid.metadata.name.unwrap_or_default();
                console.note(&format!("warning: variant {name} cannot be read: {}", invalid.error))?;
                verdict = Verdict::Unknown;
            }
        }
    }
    let models = build(&readable, &hpas);
    match console.format {
        Format::Json => console.json(&models)?,
        Format::Yaml => console.yaml(&models)?,
        Format::Name => console.lines(models.iter().map(|model| model.model.clone()))?,
        Format::Table | Format::Wide if models.is_empty() => {
            let place = namespace.map_or("the cluster".to_owned(), |name| format!("namespace {name}; -A shows all"));
            console.note(&format!("no models in {place}"))?;
        }
        Format::Table | Format::Wide => {
            let text = text(&models, console);
            console.data(&text)?;
        }
    }
    Ok(verdict)
}

/// Groups variants by namespace and model.
pub fn build(variants: &[VariantAutoscaling], hpas: &[HorizontalPodAutoscaler]) -> Vec<ModelView> {
    let mut models: BTreeMap<(String, String), Vec<&VariantAutoscaling>> = BTreeMap::new();
    for variant in variants {
        let model = variant.spec.model().unwrap_or_default().to_owned();
        models.entry((variant.namespace().unwrap_or_default(), model)).or_default().push(variant);
    }
    let view = |((namespace, model), mut variants): ((String, String), Vec<&VariantAutoscaling>)| {
        variants.sort_by(|a, b| a.spec.cost().total_cmp(&b.spec.cost()).then_with(|| a.name_any().cmp(&b.name_any())));
        let variants = variants.into_iter().map(|variant| of_variant(variant, hpas)).collect();
        ModelView { namespace, model, variants }
    };
    models.into_iter().map(view).collect()
}

fn of_variant(variant: &VariantAutoscaling, hpas: &[HorizontalPodAutoscaler]) -> ModelVariantView {
    let reference = &variant.spec.scale_target_ref;
    let follows = |hpa: &&HorizontalPodAutoscaler| {
        hpa.namespace() == variant.namespace()
            && hpa.spec.as_ref().is_some_and(|spec| {
                spec.scale_target_ref.kind == reference.kind && spec.scale_target_ref.name == reference.name
            })
    };
    let bounds = hpas.iter().find(follows).and_then(|hpa| hpa.spec.as_ref());
    let release = variants::release(&variant.metadata).map(str::to_owned);
    let decided =
        variant.status.as_ref().and_then(|status| status.desired_optimized_alloc.as_ref()?.accelerator.clone());
    let by_helm = variant.annotations().contains_key(HELM_RELEASE);
    ModelVariantView {
        installed_by: if by_helm { Some("helm") } else { release.as_ref().map(|_| "add-model") },
        release,
        name: variant.name_any(),
        target: format!("{}/{}", reference.kind.to_lowercase(), reference.name),
        accelerator: variant.accelerator_label().filter(|label| !label.is_empty()).map(str::to_owned).or(decided),
        cost: variant.spec.variant_cost.clone(),
        min: bounds.map(|spec| spec.min_replicas.unwrap_or(1)),
        max: bounds.map(|spec| spec.max_replicas),
        instance: Instance::of_labels(variant.labels()).id().map(str::to_owned),
    }
}

fn text(models: &[ModelView], console: &Console<'_>) -> String {
    let wide = console.format == Format::Wide;
    let mut columns = vec![
        Column::new("NAMESPACE", 2),
        Column::new("MODEL", 1),
        Column::new("NAME", 0),
        Column::new("TARGET", 6),
        Column::new("ACCELERATOR", 4),
        Column::new("COST", 0),
        Column::new("BOUNDS", 0),
        Column::new("INSTANCE", 3),
    ];
    if wide {
        columns.extend([Column::new("VARIANT", 7), Column::new("INSTALLED BY", 5)]);
    }
    let known = |text: Option<&str>| Cell::new(text.unwrap_or("-"));
    let mut rows = Vec::new();
    for model in models {
        for one in &model.variants {
            let bounds = one.min.zip(one.max).map(|(min, max)| format!("{min}-{max}"));
            let mut cells = vec![
                Cell::new(&model.namespace),
                Cell::new(&model.model),
                Cell::new(one.release.as_ref().unwrap_or(&one.name)),
                Cell::new(&one.target),
                known(one.accelerator.as_deref()),
                Cell::new(&one.cost),
                known(bounds.as_deref()),
                known(one.instance.as_deref()),
            ];
            if wide {
                cells.extend([Cell::new(&one.name), known(one.installed_by)]);
            }
            rows.push(cells);
        }
    }
    table::render(&columns, rows, console.headers, console.width)
}
