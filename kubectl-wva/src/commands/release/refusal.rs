//! Why a release is not touched, and what to do instead.

/// Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `install` of a release that there is.
    #[error("release {name:?} is in namespace {namespace} already (revision {revision}, {status})")]
    Exists {
        /// Name of the release.
        name: String,
        /// Its namespace.
        namespace: String,
        /// Its last revision.
        revision: u32,
        /// What became of that, in helm's word.
        status: String,
    },
    /// There is no such release.
    #[error("there is no release {name:?} in namespace {namespace}")]
    NoSuchRelease {
        /// Name asked for.
        name: String,
        /// Its namespace.
        namespace: String,
    },
    /// The release is of another chart.
    #[error("release {name:?} in namespace {namespace} is of the chart {chart:?}")]
    OtherChart {
        /// Name of the release.
        name: String,
        /// Its namespace.
        namespace: String,
        /// Its chart.
        chart: String,
    },
    /// Somebody is at it, or was interrupted.
    #[error("revision {revision} of release {name:?} in namespace {namespace} is {status}")]
    Pending {
        /// Name of the release.
        name: String,
        /// Its namespace.
        namespace: String,
        /// Its last revision.
        revision: u32,
        /// What became of that, in helm's word.
        status: String,
    },
    /// helm 3 made it: its fields belong to client-side applies.
    #[error("release {name:?} in namespace {namespace} was applied client-side, as helm 3 does")]
    ClientSide {
        /// Name of the release.
        name: String,
        /// Its namespace.
        namespace: String,
    },
    /// An object of the chart is there and belongs to somebody else.
    #[error("{object} exists already and does not belong to release {name:?} in namespace {namespace}")]
    Foreign {
        /// The object, `kind/name`.
        object: String,
        /// Name of the release.
        name: String,
        /// Its namespace.
        namespace: String,
    },
}

impl Refusal {
    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::Exists { name, namespace, status, .. } if status.starts_with("pending") => {
                format!("if nobody is at it: kubectl wva uninstall {name} -n {namespace}, then repeat")
            }
            Self::Exists { name, namespace, .. } => format!("kubectl wva upgrade {name} -n {namespace}"),
            Self::NoSuchRelease { .. } => "`kubectl wva instances` shows all controllers with their namespaces, \
                                           `kubectl wva install` makes one"
                .to_owned(),
            Self::OtherChart { name, namespace, .. } => format!("helm status {name} -n {namespace}"),
            Self::Pending { name, namespace, .. } => format!(
                "wait for whoever is at it; if nobody is, `helm rollback {name} -n {namespace}` goes back to the \
                 revision before"
            ),
            Self::ClientSide { name, namespace } => format!(
                "`helm upgrade {name} ./charts/workload-variant-autoscaler -n {namespace} --reset-then-reuse-values \
                 --server-side=true` of helm 4 makes it a server-side one; `kubectl wva migrate plan` shows what else an earlier release needs"
            ),
            Self::Foreign { name, namespace, .. } => format!(
                "choose another name for the release, or have helm take the object over: helm upgrade -i {name} \
                 ./charts/workload-variant-autoscaler -n {namespace} --take-ownership"
            ),
        }
    }
}
