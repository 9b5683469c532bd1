//! What has been concluded so far, for the checks to read and add to.

use std::collections::{BTreeMap, BTreeSet};

use wva_api::VariantAutoscaling;

use super::finding::{Cause, Finding, Findings};
use super::view::{CheckView, DoctorView, Outcome};
use super::{Facts, Installed};
use crate::commands::pause;

/// What has been concluded so far.
pub(super) struct Examination<'a> {
    pub(super) facts: &'a Facts,
    /// Controllers that take a variant to judge, `namespace/name`.
    pub(super) owners: BTreeSet<String>,
    /// Controllers that do not work.
    pub(super) unhealthy: BTreeSet<String>,
    findings: Findings,
    unknown: BTreeMap<Cause, BTreeSet<String>>,
    starting: Vec<String>,
}

/// A variant that a controller takes, as far as can be told.
#[derive(Clone, Copy)]
pub(super) struct Managed<'a> {
    pub(super) variant: &'a VariantAutoscaling,
    /// The controller; `None` when controllers could not be listed.
    pub(super) owner: Option<&'a Installed>,
}

impl Managed<'_> {
    /// Namespace of the variant.
    pub(super) fn namespace(&self) -> &str {
        self.variant.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// Name of the variant.
    pub(super) fn name(&self) -> &str {
        self.variant.metadata.name.as_deref().unwrap_or_default()
    }

    /// `namespace/name`.
    pub(super) fn key(&self) -> String {
        format!("{}/{}", self.namespace(), self.name())
    }
}

impl<'a> Examination<'a> {
    /// Nothing concluded yet.
    pub(super) fn new(facts: &'a Facts) -> Self {
        Self {
            facts,
            owners: BTreeSet::new(),
            unhealthy: BTreeSet::new(),
            findings: Findings::default(),
            unknown: BTreeMap::new(),
            starting: Vec::new(),
        }
    }

    /// The controllers to judge: those of the variants to judge; all, when it is about the whole cluster or there are
    /// no such variants. Of variants that nobody takes none: those of others are others' business.
    pub(super) fn controllers(&self) -> Vec<&'a Installed> {
        let whole = self.facts.namespace.is_none() && self.facts.name.is_none();
        let all = whole || (self.owners.is_empty() && self.facts.chosen().next().is_none());
        let chosen = |one: &&Installed| all || self.owners.contains(&one.controller.key());
        self.facts.controllers.iter().flatten().filter(chosen).collect()
    }

    /// Whether what lies in a namespace is to be judged: it is looked at, or home of a controller to judge.
    pub(super) fn concerns(&self, namespace: &str) -> bool {
        self.facts.namespace.as_deref().is_none_or(|looked_at| looked_at == namespace)
            || self.controllers().iter().any(|one| one.controller.namespace == namespace)
    }

    /// Takes a finding down.
    pub(super) fn found(&mut self, finding: Finding) {
        self.findings.add(finding);
    }

    /// Takes down what is not right yet, and need not be so early.
    pub(super) fn starting(&mut self, what: String) {
        if !self.starting.contains(&what) {
            self.starting.push(what);
        }
    }

    /// Takes down that causes could not be looked for.
    pub(super) fn unknown(&mut self, causes: &[Cause], why: &str) {
        for cause in causes {
            self.unknown.entry(*cause).or_default().insert(why.to_owned());
        }
    }

    /// What there is to say.
    pub(super) fn into_view(self) -> DoctorView {
        let Self { facts, owners: _, unhealthy: _, findings, unknown, starting } = self;
        let findings = findings.into_sorted();
        let outcome = |cause: Cause| {
            if findings.iter().any(|finding| finding.cause == cause) {
                return (Outcome::Found, None);
            }
            match unknown.get(&cause) {
                Some(why) => (Outcome::Unknown, Some(why.iter().cloned().collect::<Vec<_>>().join("; "))),
                None => (Outcome::Fine, None),
            }
        };
        let checks = Cause::ALL.into_iter().map(|cause| {
            let (outcome, why) = outcome(cause);
            CheckView { cause, checked: cause.checked(), outcome, why }
        });
        DoctorView {
            as_of: facts.now,
            namespace: facts.namespace.clone(),
            variants: facts.chosen().count(),
            controllers: facts.controllers.as_ref().ok().map(|all| all.len() + facts.broken.len()),
            checks: checks.collect(),
            findings,
            starting,
            paused: facts.chosen().filter_map(|variant| pause::told(variant, facts.now)).collect(),
        }
    }
}
