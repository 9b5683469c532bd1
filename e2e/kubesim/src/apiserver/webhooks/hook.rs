//! One webhook of a configuration: whether it is asked, and what becomes of a request when it cannot be.

use std::sync::Arc;

use serde_json::Value;

use super::super::attributes::{Attributes, GROUP};
use super::super::failure::Failure;
use super::super::resource::Resource;
use super::super::state::{Call, State};
use super::super::store::{GroupResource, Store};

/// What webhooks of a configuration may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Mutating,
    Validating,
}

/// One webhook.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hook<'a> {
    pub(super) kind: Kind,
    /// The name of its configuration.
    pub(super) configuration: &'a str,
    /// The version of its configuration.
    pub(super) version: &'a str,
    pub(super) spec: &'a Value,
}

/// All webhooks of a kind, by name of their configuration, and in its order.
pub(super) fn all(store: &Store, kind: Kind) -> Vec<Hook<'_>> {
    let plural = match kind {
        Kind::Mutating => "mutatingwebhookconfigurations",
        Kind::Validating => "validatingwebhookconfigurations",
    };
    let resource = GroupResource::new(GROUP, plural);
    let configurations = store.list(&resource, None);
    configurations
        .flat_map(|(_, configuration)| {
            let text = |field: &str| configuration["metadata"][field].as_str().unwrap_or_default();
            let (name, version) = (text("name"), text("resourceVersion"));
            let webhooks = configuration["webhooks"].as_array().into_iter().flatten();
            webhooks.map(move |spec| Hook { kind, configuration: name, version, spec })
        })
        .collect()
}

impl<'a> Hook<'a> {
    pub(super) fn name(&self) -> &'a str {
        self.spec["name"].as_str().unwrap_or_default()
    }

    pub(super) fn fails_open(&self) -> bool {
        self.spec["failurePolicy"] == "Ignore"
    }

    /// Lets a request pass although the webhook could not be asked, or refuses it, as its `failurePolicy` wants it.
    pub(super) fn excuse(&self, call: &Call, problem: &str, place: &str) -> Result<(), Failure> {
        if !self.fails_open() {
            return Err(Failure::internal_error(&format!("failed calling webhook {:?}: {problem}", self.name())));
        }
        let kind = match self.kind {
            Kind::Mutating => "mutation",
            Kind::Validating => "validating",
        };
        call.annotate(format!("failed-open.{kind}.webhook.admission.k8s.io/{place}"), self.name().to_owned());
        Ok(())
    }
}

impl State {
    /// As which resource a webhook wants to see a request; `None` when it is not asked.
    pub(super) fn invoked(
        &self,
        hook: &Hook<'_>,
        attributes: &Attributes<'_>,
    ) -> Result<Option<Arc<Resource>>, Failure> {
        let rules = || hook.spec["rules"].as_array().into_iter().flatten();
        let call = attributes.call;
        let as_asked = rules().any(|rule| attributes.are_covered(rule, &call.resource));
        let resource = if as_asked {
            Some(Arc::clone(&call.resource))
        } else if hook.spec["matchPolicy"] == "Exact" {
            None
        } else {
            let others: Vec<&Arc<Resource>> = self.catalog.equivalents(&call.resource).collect();
            rules().find_map(|rule| others.iter().find(|other| attributes.are_covered(rule, other)).copied().cloned())
        };
        let Some(resource) = resource.filter(|_| self.selects(hook.spec, attributes)) else { return Ok(None) };
        match self.conditions_hold(hook.spec, attributes) {
            Ok(true) => Ok(Some(resource)),
            Ok(false) => Ok(None),
            Err(_) if hook.fails_open() => Ok(None),
            Err(problem) => {
                Err(Failure::forbidden(&call.resource.group, &call.resource.plural, &attributes.name, &problem))
            }
        }
    }
}
