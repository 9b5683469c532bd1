//! What doctor can find: a cause, where it is, what shows it, and the command that fixes it.

use std::fmt;

use serde::Serialize;

/// Why something does not work, in the order in which doctor looks: whatever stands earlier explains what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Cause {
    /// The namespace carries the exclusion annotation.
    NamespaceExcluded,
    /// No controller takes the instance that the variant is labelled for.
    InstanceMismatch,
    /// The controller watches other namespaces only.
    NamespaceNotWatched,
    /// There is no controller at all.
    NoController,
    /// Two controllers take the same variant: whatever adds up their series counts twice.
    DuplicateSeries,
    /// The workload to scale does not exist.
    TargetMissing,
    /// Two variants name the same workload.
    TargetConflict,
    /// The object cannot be worked with.
    InvalidVariant,
    /// No replica of the controller works.
    ControllerDown,
    /// A roll-out of the controller does not get on, beside pods of the version before.
    RolloutStuck,
    /// Replicas work, but none leads.
    NoLeader,
    /// A ConfigMap lies in a namespace where nobody looks for one.
    NamespaceNotTracked,
    /// A ConfigMap has a name that nobody looks for.
    ConfigMapMisnamed,
    /// A setting cannot be used; the last good one is in force.
    ConfigInvalid,
    /// A setting was changed that only a restart can change.
    ConfigNeedsRestart,
    /// Decisions are paused by configuration.
    OptimizationDisabled,
    /// Decisions are so far apart that changes seem to have no effect.
    OptimizationSlow,
    /// The scheduler finds no place for pods of a target.
    PodsPending,
    /// Pods of a target do not run.
    PodsFailing,
    /// The controller gets no answer from Prometheus.
    PrometheusUnreachable,
    /// Nothing tells Prometheus to scrape.
    ServiceMonitorMissing,
    /// The servers report another model than the variant names.
    ModelNameMismatch,
    /// Prometheus has no metrics of the servers.
    MetricsMissing,
    /// The external metrics API is not there.
    ExternalMetricsAbsent,
    /// Nothing follows the controller's number.
    HpaMissing,
    /// The HPA asks for another series than the one published for the variant.
    HpaSelectorMismatch,
    /// Whoever follows the number makes another one of it.
    HpaTargetMisread,
    /// The published number does not reach the HPA.
    MetricNotServed,
    /// The HPA follows the number later, or less closely, than it could.
    HpaFollowsSlowly,
    /// Each pod of a controller has series of its own, so that a change of leader shows two.
    SeriesPerPod,
    /// The variants of a model cost the same, so that cost decides nothing.
    CostsEqual,
}

impl Cause {
    /// All causes, in order.
    pub const ALL: [Self; 31] = [
        Self::NamespaceExcluded,
        Self::InstanceMismatch,
        Self::NamespaceNotWatched,
        Self::NoController,
        Self::DuplicateSeries,
        Self::TargetMissing,
        Self::TargetConflict,
        Self::InvalidVariant,
        Self::ControllerDown,
        Self::RolloutStuck,
        Self::NoLeader,
        Self::NamespaceNotTracked,
        Self::ConfigMapMisnamed,
        Self::ConfigInvalid,
        Self::ConfigNeedsRestart,
        Self::OptimizationDisabled,
        Self::OptimizationSlow,
        Self::PodsPending,
        Self::PodsFailing,
        Self::PrometheusUnreachable,
        Self::ServiceMonitorMissing,
        Self::ModelNameMismatch,
        Self::MetricsMissing,
        Self::ExternalMetricsAbsent,
        Self::HpaMissing,
        Self::HpaSelectorMismatch,
        Self::HpaTargetMisread,
        Self::MetricNotServed,
        Self::HpaFollowsSlowly,
        Self::SeriesPerPod,
        Self::CostsEqual,
    ];

    /// The name, as `-o name` and JSON have it.
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    /// What was looked at, in words.
    pub fn checked(self) -> &'static str {
        match self {
            Self::NamespaceExcluded => "namespaces are not excluded",
            Self::InstanceMismatch => "instance labels name a controller",
            Self::NamespaceNotWatched => "controllers watch the namespaces",
            Self::NoController => "there is a controller",
            Self::DuplicateSeries => "one controller takes each variant",
            Self::TargetMissing => "targets exist",
            Self::TargetConflict => "each target has one variant",
            Self::InvalidVariant => "variants are valid",
            Self::ControllerDown => "controllers run",
            Self::RolloutStuck => "roll-outs of controllers get on",
            Self::NoLeader => "controllers have a leader",
            Self::NamespaceNotTracked => "ConfigMaps lie where they are looked for",
            Self::ConfigMapMisnamed => "ConfigMaps have names that are looked for",
            Self::ConfigInvalid => "settings can be used",
            Self::ConfigNeedsRestart => "changed settings are in force",
            Self::OptimizationDisabled => "decisions are not paused",
            Self::OptimizationSlow => "decisions are taken often enough",
            Self::PodsPending => "pods of targets find a node",
            Self::PodsFailing => "pods of targets run",
            Self::PrometheusUnreachable => "Prometheus answers the controllers",
            Self::ServiceMonitorMissing => "Prometheus is told what to scrape",
            Self::ModelNameMismatch => "servers report the models the variants name",
            Self::MetricsMissing => "metrics of the servers arrive",
            Self::ExternalMetricsAbsent => "the external metrics API is there",
            Self::HpaMissing => "an HPA follows each variant",
            Self::HpaSelectorMismatch => "HPAs ask for the series of their variant",
            Self::HpaTargetMisread => "HPAs take the number as it is",
            Self::MetricNotServed => "the published numbers reach the HPAs",
            Self::HpaFollowsSlowly => "HPAs follow the number at once and exactly",
            Self::SeriesPerPod => "a change of leader changes no series",
            Self::CostsEqual => "variants of a model differ in cost",
        }
    }

    /// Whether it keeps something from working, so that the exit code is 1. The others are advice.
    pub fn is_problem(self) -> bool {
        !matches!(self, Self::CostsEqual | Self::HpaFollowsSlowly | Self::SeriesPerPod)
    }
}

/// The object that a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Subject {
    /// Kind, as kubectl names it, e.g. `deployment`.
    pub kind: &'static str,
    /// Namespace; absent for what has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

impl Subject {
    /// An object in a namespace.
    pub fn new(kind: &'static str, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind, namespace: Some(namespace.into()), name: name.into() }
    }

    /// An object of the whole cluster.
    pub fn cluster(kind: &'static str, name: impl Into<String>) -> Self {
        Self { kind, namespace: None, name: name.into() }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// One thing found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Which cause.
    pub cause: Cause,
    /// Where.
    pub subject: Subject,
    /// One sentence.
    pub finding: String,
    /// What shows it.
    pub evidence: Vec<String>,
    /// Commands that fix it; where there are several ways, each is one command. None where only a person can tell what
    /// is right.
    pub fix: Vec<String>,
    /// Commands that change nothing and show more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub look: Vec<String>,
    /// What to think of besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// Variants that suffer from it, `namespace/name`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub affects: Vec<String>,
}

impl Finding {
    /// A finding that affects nothing yet.
    pub fn new(cause: Cause, subject: Subject, finding: impl Into<String>) -> Self {
        let finding = finding.into();
        Self {
            cause,
            subject,
            finding,
            evidence: Vec::new(),
            fix: Vec::new(),
            look: Vec::new(),
            advice: None,
            affects: Vec::new(),
        }
    }

    /// Adds what shows it.
    #[must_use]
    pub fn shown_by(mut self, evidence: impl Into<String>) -> Self {
        self.evidence.push(evidence.into());
        self
    }

    /// Adds a command that fixes it.
    #[must_use]
    pub fn fixed_by(mut self, command: impl Into<String>) -> Self {
        self.fix.push(command.into());
        self
    }

    /// Adds a command that shows more.
    #[must_use]
    pub fn looked_at(mut self, command: impl Into<String>) -> Self {
        self.look.push(command.into());
        self
    }

    /// Sets what to think of besides.
    #[must_use]
    pub fn advised(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Adds a variant that suffers from it.
    #[must_use]
    pub fn affecting(mut self, variant: impl Into<String>) -> Self {
        self.affects.push(variant.into());
        self
    }
}

/// Findings, one for each cause and subject: 50 variants in an excluded namespace are one finding.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    /// Adds a finding, or what it affects to the one there is.
    pub(super) fn add(&mut self, finding: Finding) {
        // One object may have several troubles of these kinds, each with its own remedy.
        let each = matches!(finding.cause, Cause::ConfigInvalid | Cause::PodsPending | Cause::PodsFailing);
        let same = |other: &&mut Finding| {
            other.cause == finding.cause
                && other.subject == finding.subject
                && (!each || other.finding == finding.finding)
        };
        match self.0.iter_mut().find(same) {
            Some(known) => {
                for variant in finding.affects {
                    if !known.affects.contains(&variant) {
                        known.affects.push(variant);
                    }
                }
            }
            None => self.0.push(finding),
        }
    }

    /// All findings, in the order of their causes.
    pub(super) fn into_sorted(mut self) -> Vec<Finding> {
        self.0.sort_by(|a, b| (a.cause, &a.subject).cmp(&(b.cause, &b.subject)));
        self.0
    }
}
