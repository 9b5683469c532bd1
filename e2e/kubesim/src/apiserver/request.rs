//! From method, path and query to what is asked of which object.

use std::collections::HashMap;

use axum::http::{Method, Uri};

/// What a client asks, before the server knows whether such a resource exists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) plural: String,
    /// Empty for cluster-scoped objects and for requests across all namespaces.
    pub(super) namespace: String,
    /// Empty for collections.
    pub(super) name: String,
    /// Empty for the object itself.
    pub(super) subresource: String,
    /// What follows the subresource, as proxies need it.
    pub(super) rest: String,
    /// The older way to ask for a watch: `/api/v1/watch/…`.
    pub(super) watch: bool,
}

/// Query parameters, decoded; repeated ones keep the last value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query(HashMap<String, String>);

impl Query {
    pub(super) fn parse(uri: &Uri) -> Self {
        let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (percent_decode(key, true), percent_decode(value, true))
                })
                .collect(),
        )
    }

    /// The value, when it is given and not empty.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// All parameters, in no order.
    pub(super) fn pairs(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        matches!(self.get(key), Some("true" | "1" | "True" | "TRUE" | "t"))
    }

    pub(super) fn number(&self, key: &str) -> Option<u64> {
        self.get(key)?.parse().ok()
    }

    pub(super) fn dry_run(&self) -> bool {
        self.get("dryRun") == Some("All")
    }
}

impl Target {
    /// `None` for paths outside `/api/<version>/…` and `/apis/<group>/<version>/…`.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let parts: Vec<String> =
            path.split('/').filter(|part| !part.is_empty()).map(|part| percent_decode(part, false)).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (watch, rest) = match rest {
            ["watch", rest @ ..] if !rest.is_empty() => (true, rest),
            rest => (false, rest),
        };
        let (namespace, rest) = match rest {
            [] => return None,
            // A namespace's own subresources share the shape of a namespaced collection.
            ["namespaces", _, "status" | "finalize"] => ("", rest),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let at = |index: usize| rest.get(index).copied().unwrap_or_default().to_owned();
        Some(Self {
            group: group.to_owned(),
            version: version.to_owned(),
            plural: at(0),
            namespace: namespace.to_owned(),
            name: at(1),
            subresource: at(2),
            rest: rest.get(3..).unwrap_or_default().join("/"),
            watch,
        })
    }

    /// The verb as RBAC and discovery name it.
    pub(super) fn verb(&self, method: &Method, query: &Query) -> &'static str {
        let collection = self.name.is_empty();
        match *method {
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE if collection => "deletecollection",
            Method::DELETE => "delete",
            _ if self.watch || collection && query.flag("watch") => "watch",
            _ if collection => "list",
            _ => "get",
        }
    }
}

/// `plus_is_space` holds in queries only.
pub(super) fn percent_decode(text: &str, plus_is_space: bool) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let mut ahead = bytes.clone();
                let digits = (ahead.next().and_then(hex), ahead.next().and_then(hex));
                if let (Some(high), Some(low)) = digits {
                    out.push(high << 4 | low);
                    bytes = ahead;
                } else {
                    out.push(byte);
                }
            }
            b'+' if plus_is_space => out.push(b' '),
            byte => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::cluster_object("/api/v1/namespaces/a", "", "namespaces", "", "a", "")]
    #[case::namespaced_list("/api/v1/namespaces/a/pods", "", "pods", "a", "", "")]
    #[case::across_namespaces("/api/v1/pods", "", "pods", "", "", "")]
    #[case::namespace_status("/api/v1/namespaces/a/status", "", "namespaces", "", "a", "status")]
    #[case::group("/apis/apps/v1/namespaces/a/deployments/d/scale", "apps", "deployments", "a", "d", "scale")]
    fn paths_name_their_target(
        #[case] path: &str,
        #[case] group: &str,
        #[case] plural: &str,
        #[case] namespace: &str,
        #[case] name: &str,
        #[case] subresource: &str,
    ) {
        let target = Target::parse(path).expect("a resource path");
        let got = (&*target.group, &*target.plural, &*target.namespace, &*target.name, &*target.subresource);
        assert_eq!(got, (group, plural, namespace, name, subresource));
    }

    #[test]
    fn the_rest_of_a_proxied_path_is_kept() {
        let target = Target::parse("/api/v1/namespaces/a/services/http:s:80/proxy/v1/models").expect("a resource path");
        assert_eq!((&*target.name, &*target.rest), ("http:s:80", "v1/models"));
    }

    #[test]
    fn an_empty_first_parameter_is_ignored() {
        let uri: Uri = "/api/v1/pods?&watch=true&labelSelector=a%3Db%2Cc+in+%28d%29".parse().expect("uri");
        let query = Query::parse(&uri);
        assert!(query.flag("watch"));
        assert_eq!(query.get("labelSelector"), Some("a=b,c in (d)"));
    }
}
