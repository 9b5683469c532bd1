//! What a request asks for, in the words of RBAC.

use axum::http::Method;
use serde::{Deserialize, Serialize};

use super::request::{Query, Target};

/// A verb on a resource, or on a path that is no resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Action {
    /// `get`, `list`, `watch`, `create`, …; the lower-case method for paths that are no resource.
    pub verb: String,
    /// API group; empty for the core group and for paths.
    pub group: String,
    /// Plural; empty for paths.
    pub resource: String,
    /// Empty for the object itself.
    pub subresource: String,
    /// Empty for cluster-scoped objects and requests across all namespaces.
    pub namespace: String,
    /// Empty when the request is not about one object.
    pub name: String,
    /// The path, when it is no resource.
    pub path: String,
}

impl Action {
    /// Reads a request. `target` is what [`Target::parse`] makes of the path.
    pub(super) fn of(method: &Method, path: &str, target: Option<&Target>, query: &Query) -> Self {
        let Some(target) = target else {
            return Self { verb: method.as_str().to_lowercase(), path: path.to_owned(), ..Self::default() };
        };
        let verb = target.verb(method, query);
        let mut name = target.name.clone();
        if name.is_empty()
            && matches!(verb, "list" | "watch" | "deletecollection")
            && let Some(selected) = selected_name(query.get("fieldSelector").unwrap_or_default())
        {
            // A collection narrowed to one object can be granted by the object's name.
            selected.clone_into(&mut name);
        }
        // A namespace lies in itself, so that whoever has a role in it may be allowed to see it.
        let own = target.group.is_empty() && target.plural == "namespaces";
        let namespace = if own { name.clone() } else { target.namespace.clone() };
        Self {
            verb: verb.to_owned(),
            group: target.group.clone(),
            resource: target.plural.clone(),
            subresource: target.subresource.clone(),
            namespace,
            name,
            path: String::new(),
        }
    }

    /// Whether this is about a resource, not about a path.
    pub fn is_resource(&self) -> bool {
        self.path.is_empty()
    }

    /// `pods`, or `pods/log` with a subresource.
    pub fn combined_resource(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.clone()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }

    /// Whether the request may change something.
    pub fn writes(&self) -> bool {
        matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection" | "post" | "put")
    }
}

fn selected_name(field_selector: &str) -> Option<&str> {
    field_selector.split(',').find_map(|part| {
        let value = part.trim().strip_prefix("metadata.name=")?;
        Some(value.strip_prefix('=').unwrap_or(value)).filter(|name| !name.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use axum::http::Uri;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::object("/api/v1/namespaces/a/pods/p/log", "get pods/log a/p")]
    #[case::narrowed("/api/v1/namespaces/a/secrets?watch=1&fieldSelector=metadata.name%3Ds", "watch secrets a/s")]
    #[case::namespace("/api/v1/namespaces/a", "get namespaces a/a")]
    #[case::everywhere("/apis/apps/v1/deployments", "list deployments /")]
    #[case::discovery("/apis/apps/v1", "get  /")]
    fn requests_are_named_as_roles_name_them(#[case] uri: &str, #[case] expected: &str) {
        let uri: Uri = uri.parse().expect("uri");
        let action = Action::of(&Method::GET, uri.path(), Target::parse(uri.path()).as_ref(), &Query::parse(&uri));
        let seen = format!("{} {} {}/{}", action.verb, action.combined_resource(), action.namespace, action.name);
        assert_eq!(seen, expected);
        assert_eq!(action.is_resource(), !action.resource.is_empty());
    }
}
