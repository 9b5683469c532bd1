//! `status`: a verdict for each controller instance, then its variants.

mod gather;
mod loads;
mod problem;
mod text;
mod tree;
mod view;

use clap::Args;
use jiff::Timestamp;
use wva_api::Instance;

pub use gather::Gathered;
pub use loads::Loads;
pub use problem::{Problem, ProblemKind};
pub(crate) use text::load_cell;
pub use text::{table, verdicts};
pub use tree::print as print_tree;
pub use view::{
    ConditionView, ControllerView, Filter, HpaView, InstanceView, Level, LoadView, PodLoad, ReplicasView, StatusView,
    TargetView, Unread, VariantView,
};

use crate::connection::Connection;

use crate::output::Format;
use crate::output::console::Console;
use crate::output::watch::WatchArgs;
use crate::readers::variants;
use crate::session::Session;
use crate::{Error, Verdict};

/// Flags of `status`.
#[derive(Args, Clone, Debug, Default)]
pub struct StatusArgs {
    /// Only this variant; the NAME given to add-model will do.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// All namespaces.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Only variants of this controller instance. "" is the one without an id.
    #[arg(long, value_name = "ID")]
    pub instance: Option<String>,
    /// Only variants of this model.
    #[arg(long, value_name = "ID")]
    pub model: Option<String>,
    /// Show each model with its variants and their pods, as a tree.
    #[arg(long)]
    pub tree: bool,
    /// Looking again and again.
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// Carries out `status`.
///
/// # Errors
/// When the variants cannot be listed, or the one asked for does not exist.
pub async fn run(flags: &Connection, args: &StatusArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let session = Session::open(flags).await?;
    let filter = Filter {
        name: args.name.clone(),
        instance: args.instance.as_deref().map(Instance::parse).transpose()?,
        model: args.model.clone(),
    };
    let namespace = (!args.all_namespaces).then(|| session.namespace.clone());
    let again = async |console: &mut Console<'_>| {
        let view = look(&session, namespace.as_deref(), &filter).await?;
        match (args.tree, console.format) {
            (true, Format::Table | Format::Wide) => print_tree(&view, namespace.as_deref(), console)?,
            _ => print(&view, namespace.as_deref(), console)?,
        }
        Ok(view.verdict())
    };
    args.watch.repeat(console, again).await
}

pub(crate) async fn look(session: &Session, namespace: Option<&str>, filter: &Filter) -> Result<StatusView, Error> {
    let gathered = gather::gather(session, namespace).await?;
    if let (Some(wanted), Ok(controllers)) = (&filter.instance, &gathered.controllers) {
        let ids = controllers.iter().map(|one| one.scope.instance.clone());
        let labelled = gathered
            .variants
            .iter()
            .map(|variant| Instance::of_labels(&variants::metadata(variant).labels.clone().unwrap_or_default()));
        let known: std::collections::BTreeSet<Instance> = ids.chain(labelled).collect();
        if !known.contains(wanted) {
            let known = known.iter().filter_map(|one| one.id().map(str::to_owned)).collect();
            return Err(Error::NoSuchInstance { id: wanted.id().unwrap_or_default().to_owned(), known });
        }
    }
    let view = StatusView::build(&gathered, filter, namespace.is_none(), Timestamp::now());
    let serves = |variant: &variants::Guarded, model: &String| {
        variant.0.as_ref().is_ok_and(|variant| variant.spec.model() == Some(model.as_str()))
    };
    match (&filter.name, &filter.model) {
        (Some(name), _) if view.variants.is_empty() => Err(Error::no_such_variant(name, namespace, &gathered.variants)),
        (_, Some(model)) if !gathered.variants.iter().any(|variant| serves(variant, model)) => {
            Err(Error::not_served(model, namespace, &gathered.variants))
        }
        _ => Ok(view),
    }
}

/// Prints a view; `namespace` is the one it is about, `None` for all.
///
/// # Errors
/// When it cannot be written.
pub fn print(view: &StatusView, namespace: Option<&str>, console: &mut Console<'_>) -> Result<(), Error> {
    beside(view, console)?;
    match console.format {
        Format::Json => console.json(view),
        Format::Yaml => console.yaml(view),
        Format::Name => {
            console.lines(view.variants.iter().map(|variant| format!("variantautoscaling.llmd.ai/{}", variant.name)))
        }
        Format::Table | Format::Wide => {
            console.prose(verdicts(view))?;
            if view.variants.is_empty() {
                return nothing(namespace, console);
            }
            let wide = console.format == Format::Wide;
            let text = table(view, namespace.is_none(), wide, console.headers, console.width);
            console.data(&format!("\n{text}"))
        }
    }
}

/// Prints what is missing of a view beside it.
fn beside(view: &StatusView, console: &mut Console<'_>) -> Result<(), Error> {
    for note in &view.notes {
        console.note(&format!("note: {note}"))?;
    }
    view.unread
        .iter()
        .try_for_each(|unread| console.note(&format!("warning: {} unknown: {}", unread.what, unread.error)))
}

/// Says that there are no variants.
fn nothing(namespace: Option<&str>, console: &mut Console<'_>) -> Result<(), Error> {
    let place = namespace.map_or("the cluster".to_owned(), |name| format!("namespace {name}; -A shows all"));
    console.note(&format!("no variants to show in {place}"))
}
