//! Everything that stops a command: one sentence saying what we were doing, and where it helps, one hint.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use anstyle::{AnsiColor, Style};

use crate::commands::add_model::Refusal;
use crate::readers::variants::Guarded;
use crate::readers::{debug_state, variants};
use crate::writers::{apply, install};
use crate::{session, suggest};

/// Why a command could not do its work. Exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cluster could not be asked, or refused.
    #[error(transparent)]
    Session(#[from] session::Error),
    /// Adding the model would not give what was asked for.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nothing is simulated.
    #[error(transparent)]
    Simulate(#[from] crate::commands::simulate::Refusal),
    /// Nothing is set.
    #[error(transparent)]
    Set(#[from] crate::commands::set::Refusal),
    /// Nothing is moved.
    #[error(transparent)]
    Move(#[from] crate::commands::move_variant::Refusal),
    /// The chart could not be rendered.
    #[error(transparent)]
    Install(#[from] install::Error),
    /// The objects could not be applied.
    #[error(transparent)]
    Apply(#[from] apply::Error),
    /// There is no such variant.
    #[error("there is no variant {name:?} in {place}")]
    NoSuchVariant {
        /// The name asked for.
        name: String,
        /// Where we looked, e.g. `namespace models`.
        place: String,
        /// Names there are.
        known: Vec<String>,
    },
    /// Nobody decides for the variant.
    #[error("nobody decides for {name}: {why}")]
    Orphaned {
        /// The variant.
        name: String,
        /// Why.
        why: String,
    },
    /// There is no controller at all.
    #[error("there is no controller in the cluster")]
    NoController,
    /// There are several controllers, and none was named.
    #[error("there are several controllers: {}", named(known))]
    SeveralControllers {
        /// Their instance ids.
        known: Vec<String>,
    },
    /// No controller has this instance id, and no variant carries it.
    #[error("there is no controller instance {id:?}")]
    NoSuchInstance {
        /// The id asked for.
        id: String,
        /// Ids there are.
        known: Vec<String>,
    },
    /// No model of this name was added.
    #[error("there is no model {name:?} in namespace {namespace}")]
    NoSuchModel {
        /// The name asked for.
        name: String,
        /// The namespace.
        namespace: String,
        /// Names there are.
        known: Vec<String>,
    },
    /// No variant serves the model asked for.
    #[error("no variant in {place} serves the model {model:?}")]
    NotServed {
        /// The model asked for.
        model: String,
        /// Where we looked, e.g. `namespace models`.
        place: String,
        /// Models there are.
        known: Vec<String>,
    },
    /// The model was installed by helm, which would not know that it is gone.
    #[error("the model belongs to the helm release {release:?} in namespace {namespace}")]
    OfHelm {
        /// The release.
        release: String,
        /// Its namespace.
        namespace: String,
    },
    /// The decision state of a controller.
    #[error(transparent)]
    DebugState(#[from] debug_state::Error),
    /// A person is to agree to what `doctor --fix` does, and none is there.
    #[error("could not ask before each command: standard input is no terminal")]
    NobodyToAsk,
    /// A release is left as it is.
    #[error(transparent)]
    Release(#[from] crate::commands::release::Refusal),
    /// A migration stopped.
    #[error(transparent)]
    Migrate(#[from] crate::commands::migrate::Failure),
    /// A file named on the command line.
    #[error("could not use the file {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The page cannot be served.
    #[error("could not listen on 127.0.0.1:{port}: {source}")]
    Listen {
        /// The port asked for; 0 for any.
        port: u16,
        /// Why not.
        source: io::Error,
    },
    /// An instance id given on the command line.
    #[error(transparent)]
    Instance(#[from] wva_api::InvalidInstance),
    /// The answer could not be written as JSON or YAML.
    #[error("could not encode the answer: {0}")]
    Encode(String),
    /// The answer could not be written out.
    #[error("could not write the answer: {0}")]
    Output(#[source] io::Error),
    /// The program could not start.
    #[error("could not start: {0}")]
    Runtime(#[source] io::Error),
}

impl Error {
    /// What to do next, if we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Session(error) => error.hint(),
            Self::Refused(refusal) => Some(refusal.hint()),
            Self::Simulate(refusal) => Some(refusal.hint()),
            Self::Set(refusal) => Some(refusal.hint()),
            Self::Move(refusal) => Some(refusal.hint()),
            Self::Install(error) => error.hint(),
            Self::Apply(error) => error.hint(),
            Self::NoSuchVariant { name, known, .. } => {
                let meant = suggest::hint(name, known.iter().map(String::as_str));
                Some(format!("{meant}`kubectl wva status -A` shows all variants"))
            }
            Self::NoSuchInstance { id, known } => {
                let meant = suggest::hint(id, known.iter().map(String::as_str));
                Some(format!("{meant}`kubectl wva instances` shows all of them"))
            }
            Self::Orphaned { name, .. } => Some(format!("`kubectl wva doctor {name}` says what fixes it")),
            Self::NoController => {
                Some("install one first: kubectl wva install -n wva-system --create-namespace".to_owned())
            }
            Self::SeveralControllers { .. } => {
                Some("choose one with --instance ID (\"\" is the one without an id), or name a variant".to_owned())
            }
            Self::NoSuchModel { name, namespace, known } => {
                let meant = suggest::hint(name, known.iter().map(String::as_str));
                Some(format!("{meant}`kubectl wva list-models -n {namespace}` shows them"))
            }
            Self::NotServed { model, known, .. } => {
                let meant = suggest::hint(model, known.iter().map(String::as_str));
                Some(format!("{meant}`kubectl wva list-models -A` shows all models"))
            }
            Self::OfHelm { release, namespace } => Some(format!("helm uninstall {release} -n {namespace}")),
            Self::DebugState(error) => error.hint(),
            Self::NobodyToAsk => Some("`--yes` carries the commands out without asking; nothing was done".to_owned()),
            Self::Release(refusal) => Some(refusal.hint()),
            Self::Migrate(failure) => failure.hint(),
            Self::Listen { .. } => {
                Some("choose another with --port N, or leave it out for one that is free".to_owned())
            }
            Self::File { .. } | Self::Instance(_) | Self::Encode(_) | Self::Output(_) | Self::Runtime(_) => None,
        }
    }

    /// There is no variant of this name in the namespace, or `None`: anywhere.
    pub(crate) fn no_such_variant(name: &str, namespace: Option<&str>, variants: &[Guarded]) -> Self {
        let known = variants.iter().map(|variant| variants::shown(variants::metadata(variant)).to_owned()).collect();
        Self::NoSuchVariant { name: name.to_owned(), place: place(namespace), known }
    }

    /// No variant of the namespace, or of any where there is `None`, serves the model.
    pub(crate) fn not_served(model: &str, namespace: Option<&str>, variants: &[Guarded]) -> Self {
        let readable = variants.iter().filter_map(|variant| variant.0.as_ref().ok());
        let known: BTreeSet<String> = readable.filter_map(|variant| variant.spec.model().map(str::to_owned)).collect();
        Self::NotServed { model: model.to_owned(), place: place(namespace), known: known.into_iter().collect() }
    }

    /// The lines for standard error, styled.
    pub fn report(&self) -> String {
        let (red, cyan, plain) = (AnsiColor::Red.on_default().bold(), AnsiColor::Cyan.on_default(), Style::new());
        let hint = self.hint().map(|hint| format!("{cyan}hint:{cyan:#} {plain}{hint}{plain:#}\n")).unwrap_or_default();
        format!("{red}error:{red:#} {self}\n{hint}")
    }
}

/// A namespace, or all of them, for a sentence.
fn place(namespace: Option<&str>) -> String {
    namespace.map_or("the cluster".to_owned(), |namespace| format!("namespace {namespace}"))
}

/// Instance ids for a sentence; one without an id is so called.
fn named(ids: &[String]) -> String {
    let names = ids.iter().map(|id| if id.is_empty() { "the one without an id" } else { id.as_str() });
    names.collect::<Vec<_>>().join(", ")
}
