//! Who this controller is. Selector, lease, field manager and labels all follow from [`Instance`]
//! and from nothing else, which is what keeps two controllers in one cluster apart.

use std::collections::BTreeMap;
use std::fmt;

use crate::{labels, metrics, mutation};

/// Lease name of the controller without an id, and suffix of all others.
const BASE_LEASE_NAME: &str = "72dd1cf1.llm-d.ai";
/// Field manager of the controller without an id, and prefix of all others.
const BASE_FIELD_MANAGER: &str = "wva-controller";
/// Longest Kubernetes label value.
const MAX_LABEL_VALUE: usize = 63;

/// Identity of one controller: an id, or the one controller without an id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Instance(Option<String>);

/// The text is no valid instance id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "controller instance {id:?} is not a valid Kubernetes label value: {why}; use at most 63 letters, digits, '-', '_' \
     or '.', beginning and ending with a letter or digit"
)]
pub struct InvalidInstance {
    id: String,
    why: &'static str,
}

impl Instance {
    /// Reads an id. Empty text means the controller without an id.
    ///
    /// # Errors
    /// When the text is not a valid Kubernetes label value.
    pub fn parse(id: &str) -> Result<Self, InvalidInstance> {
        let invalid = |why| Err(InvalidInstance { id: id.to_owned(), why });
        if id.is_empty() {
            return Ok(Self(None));
        }
        if id.len() > MAX_LABEL_VALUE {
            return invalid("it is longer than 63 characters");
        }
        if !id.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
            return invalid("it holds a character that is not allowed");
        }
        if !(id.starts_with(|c: char| c.is_ascii_alphanumeric()) && id.ends_with(|c: char| c.is_ascii_alphanumeric())) {
            return invalid("it does not begin and end with a letter or digit");
        }
        Ok(Self(Some(id.to_owned())))
    }

    /// The instance whose objects carry these labels.
    pub fn of_labels(labels: &BTreeMap<String, String>) -> Self {
        Self(labels.get(labels::CONTROLLER_INSTANCE).filter(|id| !id.is_empty()).cloned())
    }

    /// The id, or `None` for the controller without one.
    pub fn id(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The instance that writes under this field manager; `None` when it is none of ours.
    pub fn of_field_manager(manager: &str) -> Option<Self> {
        let id = manager.strip_prefix(BASE_FIELD_MANAGER)?;
        if id.is_empty() {
            return Some(Self(None));
        }
        id.strip_prefix('/').and_then(|id| Self::parse(id).ok()).filter(|instance| instance.0.is_some())
    }

    /// Label selector for every watch and list of variants, evaluated by the API server.
    pub fn selector(&self) -> String {
        match &self.0 {
            Some(id) => format!("{}={id}", labels::CONTROLLER_INSTANCE),
            None => format!("!{}", labels::CONTROLLER_INSTANCE),
        }
    }

    /// The label every object of this instance carries; empty without an id.
    pub fn labels(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|id| (labels::CONTROLLER_INSTANCE.to_owned(), id.clone())).collect()
    }

    /// The constant label of every metric this instance publishes; `None` without an id.
    pub fn metric_label(&self) -> Option<(&'static str, &str)> {
        if mutation::is("metric-label") {
            return None;
        }
        self.0.as_deref().map(|id| (metrics::LABEL_CONTROLLER_INSTANCE, id))
    }

    /// Name of the Lease; `explicit` (`LEADER_ELECTION_ID`) wins when it is not empty.
    ///
    /// A Lease name must be a DNS subdomain, which a label value need not be: upper case is lowered and
    /// `_` becomes `-`, and an id so changed gets a hash of the original, so that `Team_A` and `team-a`
    /// do not share a Lease.
    pub fn lease_name(&self, explicit: Option<&str>) -> String {
        if let Some(name) = explicit.filter(|name| !name.is_empty()) {
            return name.to_owned();
        }
        let Some(id) = self.0.as_ref().filter(|_| !mutation::is("lease")) else { return BASE_LEASE_NAME.to_owned() };
        let lowered: String = id.chars().map(|c| if c == '_' { '-' } else { c.to_ascii_lowercase() }).collect();
        // "a..b" and "a.-b" are label values, but every dot-separated part of a DNS name must begin and end
        // with a letter or digit.
        let dns: Vec<&str> = lowered.split('.').map(|part| part.trim_matches('-')).filter(|p| !p.is_empty()).collect();
        let dns = dns.join(".");
        if dns == *id {
            format!("{dns}.{BASE_LEASE_NAME}")
        } else {
            format!("{dns}-{:08x}.{BASE_LEASE_NAME}", fnv1a(id))
        }
    }

    /// Field manager of every write of this instance.
    pub fn field_manager(&self) -> String {
        match &self.0 {
            Some(id) if !mutation::is("field-manager") => format!("{BASE_FIELD_MANAGER}/{id}"),
            _ => BASE_FIELD_MANAGER.to_owned(),
        }
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id().unwrap_or("(no instance id)"))
    }
}

/// 32-bit FNV-1a. The name must be the same in every build, which the standard library's hasher does not promise.
fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn an_id_reaches_selector_lease_field_manager_and_labels() {
        let team_a = Instance::parse("team-a").unwrap();
        assert_eq!(team_a.selector(), "wva.llmd.ai/controller-instance=team-a");
        assert_eq!(team_a.lease_name(None), "team-a.72dd1cf1.llm-d.ai");
        assert_eq!(team_a.field_manager(), "wva-controller/team-a");
        assert_eq!(team_a.metric_label(), Some(("controller_instance", "team-a")));
        assert_eq!(Instance::of_labels(&team_a.labels()), team_a);
        assert_eq!(Instance::of_field_manager(&team_a.field_manager()), Some(team_a));
    }

    #[test]
    fn without_an_id_only_unlabelled_variants_are_selected_and_no_label_is_set() {
        let plain = Instance::parse("").unwrap();
        assert_eq!(plain.selector(), "!wva.llmd.ai/controller-instance");
        assert_eq!(plain.lease_name(None), "72dd1cf1.llm-d.ai");
        assert_eq!(plain.field_manager(), "wva-controller");
        assert_eq!(Instance::of_field_manager("wva-controller"), Some(plain.clone()));
        for other in ["kubectl", "wva-controller/", "wva-controllers", ""] {
            assert_eq!(Instance::of_field_manager(other), None);
        }
        assert_eq!(plain.metric_label(), None);
        assert!(plain.labels().is_empty());
    }

    #[test]
    fn an_explicit_lease_name_wins() {
        assert_eq!(Instance::parse("team-a").unwrap().lease_name(Some("mine")), "mine");
        assert_eq!(Instance::default().lease_name(Some("")), "72dd1cf1.llm-d.ai");
    }

    #[rstest]
    #[case::space("team a")]
    #[case::slash("team/a")]
    #[case::leading_dash("-a")]
    #[case::trailing_dot("a.")]
    #[case::unicode("tëam")]
    #[case::too_long(&"x".repeat(64))]
    fn what_is_no_label_value_is_refused_with_the_text(#[case] id: &str) {
        let error = Instance::parse(id).unwrap_err();
        assert!(error.to_string().contains(&format!("{id:?}")), "{error}");
    }

    #[rstest]
    #[case("Team_A", "team-a")]
    #[case("a..b", "a.b")]
    #[case("a.-b", "a.b")]
    fn ids_that_differ_only_in_what_dns_forbids_get_different_leases(#[case] odd: &str, #[case] plain: &str) {
        let odd = Instance::parse(odd).unwrap().lease_name(None);
        assert_ne!(odd, Instance::parse(plain).unwrap().lease_name(None));
        assert!(odd.split('.').all(|part| !part.is_empty() && !part.starts_with('-') && !part.ends_with('-')), "{odd}");
        assert_eq!(odd, odd.to_lowercase());
    }
}
