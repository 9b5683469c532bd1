//! What can go wrong between us and the cluster, as sentences.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::time::Duration;

use kube::config::KubeconfigError;

/// A request, or the search for the cluster, failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No kubeconfig where we looked.
    #[error("there is no kubeconfig at {}", .0.display())]
    NoKubeconfig(PathBuf),
    /// A kubeconfig that cannot be used.
    #[error("the kubeconfig cannot be used: {0}")]
    Kubeconfig(#[source] Box<KubeconfigError>),
    /// The kubeconfig names no current context and neither did the command line.
    #[error("the kubeconfig has no current context")]
    NoContext {
        /// Contexts there are.
        contexts: Vec<String>,
    },
    /// What was asked for is not in the kubeconfig.
    #[error("the kubeconfig has no {what} {name:?}")]
    NoSuchEntry {
        /// `context`, `cluster` or `user`: also the flag by which it is chosen.
        what: &'static str,
        /// Its name.
        name: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// A group or UID to act as, without a user.
    #[error("acting as a group or UID needs a user to act as")]
    NobodyToActAs,
    /// No answer.
    #[error("could not {doing}: no answer from {server}: {cause}")]
    Unreachable {
        /// What we were doing.
        doing: String,
        /// Address of the API server.
        server: String,
        /// The innermost cause.
        cause: String,
    },
    /// No answer in time.
    #[error("could not {doing}: {server} did not answer within {after:?}")]
    TimedOut {
        /// What we were doing.
        doing: String,
        /// Address of the API server.
        server: String,
        /// `--request-timeout`.
        after: Duration,
    },
    /// The cluster does not know who we are.
    #[error("could not {doing}: {server} does not accept the credentials of this context")]
    Unauthorized {
        /// What we were doing.
        doing: String,
        /// Address of the API server.
        server: String,
    },
    /// We may not.
    #[error("could not {doing}: {message}")]
    Forbidden {
        /// What we were doing.
        doing: String,
        /// What the API server says.
        message: String,
    },
    /// There is no such object, or no such kind of object.
    #[error("could not {doing}: {message}")]
    NotFound {
        /// What we were doing.
        doing: String,
        /// What the API server says.
        message: String,
    },
    /// The namespace to work in does not exist.
    #[error("there is no namespace {name:?}")]
    NoNamespace {
        /// Its name.
        name: String,
        /// Namespaces there are.
        known: Vec<String>,
    },
    /// The cluster has no `VariantAutoscaling`.
    #[error("the cluster at {server} does not know VariantAutoscaling (llmd.ai/v1alpha1)")]
    NoCrd {
        /// Address of the API server.
        server: String,
    },
    /// The cluster has an early form of `VariantAutoscaling`.
    #[error("the cluster at {server} has an old definition of VariantAutoscaling, without {}", missing.join(" and "))]
    OldCrd {
        /// Address of the API server.
        server: String,
        /// Fields it lacks.
        missing: Vec<String>,
    },
    /// Another field manager owns a field.
    #[error("could not {doing}: {message}")]
    Conflict {
        /// What we were doing.
        doing: String,
        /// What the API server says.
        message: String,
    },
    /// Whoever is to answer this part of the API does not.
    #[error("could not {doing}: {message}")]
    Unavailable {
        /// What we were doing.
        doing: String,
        /// What the API server says.
        message: String,
    },
    /// Any other refusal.
    #[error("could not {doing}: {message}")]
    Other {
        /// What we were doing.
        doing: String,
        /// What the API server or the client says.
        message: String,
    },
}

impl Error {
    /// Puts a failed request into words.
    pub(crate) fn of_request(doing: String, server: &str, error: kube::Error) -> Self {
        let server = server.to_owned();
        match error {
            kube::Error::Api(status) => {
                let message = status.message.trim().trim_end_matches('.').to_owned();
                match status.code {
                    401 => Self::Unauthorized { doing, server },
                    403 => Self::Forbidden { doing, message },
                    404 => Self::NotFound { doing, message },
                    409 => Self::Conflict { doing, message: one_line(&message) },
                    502..=504 => Self::Unavailable { doing, message: one_line(&message) },
                    _ => Self::Other { doing, message: one_line(&message) },
                }
            }
            error @ (kube::Error::HyperError(_) | kube::Error::Service(_)) => {
                Self::Unreachable { doing, server, cause: innermost(&error) }
            }
            error => Self::Other { doing, message: one_line(&error.to_string()) },
        }
    }

    /// Puts an unusable kubeconfig into words.
    pub(super) fn of_kubeconfig(error: KubeconfigError) -> Self {
        match error {
            KubeconfigError::ReadConfig(source, path) if source.kind() == std::io::ErrorKind::NotFound => {
                Self::NoKubeconfig(path)
            }
            error => Self::Kubeconfig(Box::new(error)),
        }
    }

    /// What to do next, if we know.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoKubeconfig(_) => "name one with --kubeconfig FILE or the variable KUBECONFIG".to_owned(),
            Self::Kubeconfig(_) => "`kubectl config view` shows what kubectl makes of it".to_owned(),
            Self::NoContext { contexts } if contexts.is_empty() => {
                "it has no contexts at all; is it the right file?".to_owned()
            }
            Self::NoContext { contexts } => format!("choose one with --context: {}", contexts.join(", ")),
            Self::NoSuchEntry { what, known, .. } if known.is_empty() => {
                format!("it has no {what}s at all; is it the right file?")
            }
            Self::NoSuchEntry { what, known, .. } => format!("choose one with --{what}: {}", known.join(", ")),
            Self::NobodyToActAs => "name the user with --as".to_owned(),
            Self::Unreachable { cause, .. } if cause.contains("certificate") => {
                "name a file with the authority that vouches for the server (--certificate-authority), or the name in \
                 its certificate (--tls-server-name)"
                    .to_owned()
            }
            Self::Unreachable { .. } | Self::TimedOut { .. } => {
                "is the cluster running, and is this the right --context? `kubectl cluster-info` asks the same server"
                    .to_owned()
            }
            Self::Unauthorized { .. } => "log in again, or choose another --context".to_owned(),
            Self::Forbidden { .. } => "ask for the rights, or work in a namespace where you have them (-n)".to_owned(),
            Self::NoNamespace { name, known } => {
                let meant = crate::suggest::hint(name, known.iter().map(String::as_str));
                format!("{meant}Name another one with -n, or create it: kubectl create namespace {name}")
            }
            Self::NoCrd { .. } => {
                "install a controller, which brings it: kubectl wva install -n wva-system --create-namespace".to_owned()
            }
            Self::OldCrd { .. } => "helm leaves definitions as they are; upgrade it with: kubectl apply --server-side \
                                    --force-conflicts -f charts/workload-variant-autoscaler/crds"
                .to_owned(),
            Self::Conflict { .. } => "--force-conflicts takes these fields over from their present owner".to_owned(),
            Self::NotFound { .. } | Self::Unavailable { .. } | Self::Other { .. } => return None,
        };
        Some(hint)
    }
}

/// The cause at the end of the chain: the layers above it only say that something went wrong.
fn innermost(error: &kube::Error) -> String {
    let mut cause: &dyn StdError = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    one_line(&cause.to_string())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
