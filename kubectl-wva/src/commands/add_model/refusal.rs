//! Why a model is not added: each a sentence and the way out.

use wva_api::Instance;

/// Adding the model would not give what was asked for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// No model id.
    #[error("the model's id is missing")]
    NoModelId,
    /// `--min` above `--max`.
    #[error("--min {min} is above --max {max}")]
    EmptyRange {
        /// `--min`.
        min: u32,
        /// `--max`.
        max: u32,
    },
    /// `--set` or `--values` change what makes this a model-only install.
    #[error("add-model decides on the value {key} itself (here {ours}), but --set or --values say {given}")]
    Overridden {
        /// The chart value.
        key: &'static str,
        /// What add-model sets.
        ours: String,
        /// What the user gave.
        given: String,
    },
    /// There is no controller.
    #[error("there is no controller in the cluster, so nothing would scale the model")]
    NoController,
    /// More than one instance would take the model.
    #[error("several controllers could scale the model: {}", .0.join("; "))]
    SeveralControllers(Vec<String>),
    /// No controller of the instance, or none at all, would take it.
    #[error("no controller would scale the model in namespace {namespace}: {}", .reasons.join("; "))]
    NotManaged {
        /// Namespace of the model.
        namespace: String,
        /// One for each controller.
        reasons: Vec<String>,
        /// The instance that was probably meant, as the beginning of a hint; empty when none is called alike.
        meant: String,
    },
    /// Controllers cannot be listed and no instance was given.
    #[error("could not find out which controller would scale the model: {0}")]
    ControllersHidden(String),
    /// `--instance` is no valid id.
    #[error(transparent)]
    Instance(#[from] wva_api::InvalidInstance),
    /// The target does not exist.
    #[error("there is no Deployment {target:?} in namespace {namespace}")]
    TargetMissing {
        /// The Deployment.
        target: String,
        /// Namespace of the model.
        namespace: String,
        /// Deployments there are.
        existing: Vec<String>,
    },
    /// Another variant scales the target.
    #[error("Deployment {target:?} is scaled already: the variant {variant:?} names it as its target")]
    TargetTaken {
        /// The Deployment.
        target: String,
        /// The other variant.
        variant: String,
        /// Namespace of both.
        namespace: String,
    },
    /// The variant's name belongs to another install.
    #[error("the variant {variant:?} exists already and belongs to the install {owner:?}")]
    VariantTaken {
        /// The variant.
        variant: String,
        /// Release it carries in its labels.
        owner: String,
    },
    /// The variant belongs to another instance, and nobody said that it is to change hands.
    #[error("the variant {variant:?} exists already and belongs to {}", whose(.owner))]
    OtherInstance {
        /// The variant.
        variant: String,
        /// Instance in its label.
        owner: Instance,
    },
    /// What would be applied is or scales what others have.
    #[error("the model collides with what is there: {}", .0.join("; "))]
    Collides(Vec<String>),
    /// The chart rendered no variant.
    #[error("the chart renders no VariantAutoscaling with these values")]
    NothingToScale,
}

impl Refusal {
    /// The way out.
    pub fn hint(&self) -> String {
        match self {
            Self::NoModelId => {
                "give it as the servers report it in the label model_name: --model-id meta-llama/Llama-3.1-8B"
                    .to_owned()
            }
            Self::EmptyRange { .. } => "swap them, or leave one out".to_owned(),
            Self::Overridden { key, .. } => match *key {
                "llmd.namespace" => "choose the namespace with -n".to_owned(),
                "wva.controllerInstance" => "choose the controller with --instance".to_owned(),
                _ => "for an install with other parts use helm".to_owned(),
            },
            Self::NoController => "install one first: kubectl wva install -n wva-system --create-namespace"
                .to_owned(),
            Self::SeveralControllers(_) => "choose one with --instance ID (\"\" is the one without an id)".to_owned(),
            Self::NotManaged { meant, .. } => {
                format!("{meant}choose another namespace (-n) or --instance, or change what the controller watches")
            }
            Self::ControllersHidden(_) => {
                "name the controller's id yourself: --instance ID (\"\" if it has none)".to_owned()
            }
            Self::Instance(_) => "`kubectl wva status -A` shows the instances there are".to_owned(),
            Self::TargetMissing { existing, .. } if existing.is_empty() => {
                "create it first, or add --create-before-target".to_owned()
            }
            Self::TargetMissing { existing, .. } => {
                format!("name another one with --deployment ({}), or add --create-before-target", some(existing))
            }
            Self::TargetTaken { variant, namespace, .. } => format!(
                "choose another --deployment, or remove the other first: kubectl delete va {variant} -n {namespace}"
            ),
            Self::VariantTaken { owner, .. } => {
                format!("choose another NAME, or change that install: add-model {owner}")
            }
            Self::OtherInstance { owner, .. } => {
                format!(
                    "choose another NAME; to hand it over say so with --instance, to keep it: --instance {:?}",
                    id(owner)
                )
            }
            Self::Collides(_) => "remove what is in the way, or choose another NAME or --deployment; --set hpa.enabled=false \
                                  keeps an autoscaler that is there; --force-conflicts takes over objects, but no target"
                .to_owned(),
            Self::NothingToScale => "leave va.enabled as it is".to_owned(),
        }
    }
}

fn whose(owner: &Instance) -> String {
    match owner.id() {
        Some(id) => format!("instance {id}"),
        None => "the controller without an id".to_owned(),
    }
}

fn id(instance: &Instance) -> &str {
    instance.id().unwrap_or_default()
}

/// The first names of a list, and how many more there are.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}
