//! Looks at several releases side by side: does one take, select or scale what belongs to another, and do the labels
//! agree that tie a controller to its variants?
//!
//! The objects may be rendered or come from a cluster (`kubectl get … -o yaml`); nothing here talks to one.
//!
//! ```
//! use chart_render::check::{self, Installed};
//!
//! let variant = |release: &str| {
//!     let text = format!("kind: VariantAutoscaling\nmetadata: {{name: {release}, namespace: ns}}\n\
//!                         spec: {{scaleTargetRef: {{name: llama-decode}}}}\n");
//!     Installed::read(release, &text)
//! };
//! let report = check::check(&[variant("a")?, variant("b")?].concat());
//! assert_eq!(report.findings[0].rule, check::Rule::Target);
//! # Ok::<(), check::Unreadable>(())
//! ```

mod belonging;
mod identity;
mod input;
mod instances;
mod objects;
mod selectors;
mod targets;

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use serde_json::Value as Json;

pub use input::Unreadable;

/// The objects of one release.
#[derive(Clone, Debug, PartialEq)]
pub struct Installed {
    /// What the release is called in findings.
    pub name: String,
    /// Its objects.
    pub objects: Vec<Json>,
}

/// What kind of mistake was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// One object in two releases: the second install is refused, or takes the object over.
    Identity,
    /// A selector reaches into another release.
    Selector,
    /// Two autoscalers or variants on one target, or an autoscaler and its variant on different ones.
    Target,
    /// The instance ids of a controller, its variants and their autoscalers disagree.
    Instance,
    /// An autoscaler asks for a metric that no variant has.
    Metric,
    /// A variant without a controller, or with more than one.
    Owner,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// What kind of mistake.
    pub rule: Rule,
    /// The objects concerned.
    pub objects: Vec<Reference>,
    /// What is wrong and what to do, in a sentence.
    pub message: String,
}

/// An object and the release it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Reference {
    /// Name of the release.
    pub release: String,
    /// Kind of the object.
    pub kind: String,
    /// Namespace of the object, empty when it has none.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
}

/// What a look at several releases found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How many releases were compared.
    pub releases: usize,
    /// How many objects they hold.
    pub objects: usize,
    /// The mistakes, sorted.
    pub findings: Vec<Finding>,
}

/// Compares releases, each with itself and with all others.
pub fn check(releases: &[Installed]) -> Report {
    let objects = objects::gather(releases);
    let mut findings = identity::findings(&objects);
    findings.extend(selectors::findings(&objects));
    findings.extend(targets::findings(&objects));
    findings.extend(instances::findings(&objects));
    // Of objects that are in two releases, all else that is wrong between those follows.
    let same = |finding: &&Finding| finding.rule == Rule::Identity;
    let taken: BTreeSet<Reference> = findings.iter().filter(same).flat_map(|finding| finding.objects.clone()).collect();
    findings.retain(|finding| same(&finding) || !finding.objects.iter().all(|object| taken.contains(object)));
    findings.sort();
    findings.dedup();
    Report { releases: releases.len(), objects: objects.len(), findings }
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

impl Rule {
    /// The rule in one word, as reports print it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Selector => "selector",
            Self::Target => "target",
            Self::Instance => "instance",
            Self::Metric => "metric",
            Self::Owner => "owner",
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { release, kind, namespace, name } = self;
        match namespace.as_str() {
            "" => write!(formatter, "{release}: {kind} {name}"),
            namespace => write!(formatter, "{release}: {kind} {namespace}/{name}"),
        }
    }
}

impl fmt::Display for Report {
    /// A line for each finding, and the objects concerned below it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { rule, objects, message } in &self.findings {
            writeln!(formatter, "{:<9} {message}", rule.word())?;
            objects.iter().try_for_each(|object| writeln!(formatter, "          {object}"))?;
        }
        let Self { releases, objects, findings } = self;
        let findings = match findings.len() {
            0 => "nothing wrong".to_owned(),
            1 => "1 finding".to_owned(),
            count => format!("{count} findings"),
        };
        let counted = |count: &usize, what: &str| format!("{count} {what}{}", if *count == 1 { "" } else { "s" });
        writeln!(formatter, "{}, {}: {findings}", counted(releases, "release"), counted(objects, "object"))
    }
}
