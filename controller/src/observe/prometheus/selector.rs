//! Which series the queries ask for: those of the namespaces to watch, that the configured matchers select.

use std::collections::BTreeSet;

use crate::config::Matchers;

/// The labels that pods' namespaces are found under, the usual one first. See [`super::series`].
pub(super) const NAMESPACE: &str = "namespace";

/// What stands in the braces of every query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector(Vec<String>);

impl Selector {
    /// Restricted to `namespaces` unless these are empty, and by the matchers that were configured.
    ///
    /// A series that names its namespace by another label has none called `namespace`; it is let through, and counts only
    /// if its pod is known.
    pub fn new(namespaces: &BTreeSet<String>, extra: &Matchers) -> Self {
        let mut matchers = Vec::new();
        if !namespaces.is_empty() {
            // Names of namespaces hold only letters, digits and dashes, so nothing needs escaping in the pattern.
            let names: Vec<&str> = namespaces.iter().map(String::as_str).collect();
            matchers.push(format!("{NAMESPACE}=~\"{}|\"", names.join("|")));
        }
        matchers.extend(extra.iter().map(ToOwned::to_owned));
        Self(matchers)
    }

    /// A metric's series.
    pub fn of(&self, metric: &str) -> String {
        self.with(metric, &[])
    }

    /// A metric's series that some more matchers select.
    pub fn with(&self, metric: &str, more: &[&str]) -> String {
        let all: Vec<&str> = self.0.iter().map(String::as_str).chain(more.iter().copied()).collect();
        if all.is_empty() { metric.to_owned() } else { format!("{metric}{{{}}}", all.join(",")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_and_extra_matchers_stand_in_one_pair_of_braces() {
        let namespaces = ["team-a", "team-b"].map(str::to_owned).into();
        let extra = Matchers::parse(r#"{cluster="east", env=~'prod|x,y'}"#).unwrap();
        let none = Matchers::default();
        let of = |namespaces: &BTreeSet<String>, extra: &Matchers| Selector::new(namespaces, extra).of("m");
        assert_eq!(of(&BTreeSet::new(), &none), "m");
        assert_eq!(of(&namespaces, &none), r#"m{namespace=~"team-a|team-b|"}"#);
        assert_eq!(of(&namespaces, &extra), r#"m{namespace=~"team-a|team-b|",cluster="east",env=~'prod|x,y'}"#);
    }
}
