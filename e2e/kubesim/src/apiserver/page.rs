//! Lists in pages: `limit` and `continue`.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::failure::Failure;
use super::state::Call;
use super::store::{Key, Store};

/// Which part of a list is asked for.
#[derive(Debug)]
pub(super) struct Page {
    limit: Option<usize>,
    after: Option<Key>,
    /// Revision of the first page, which all others show as well.
    revision: u64,
    /// Whether objects are to be shown as they were at that revision.
    exact: bool,
}

/// What a `continue` token says.
#[derive(Debug, Serialize, Deserialize)]
struct Token {
    revision: u64,
    namespace: String,
    name: String,
}

impl Page {
    /// The page a request asks for.
    pub(super) fn asked(call: &Call, store: &Store) -> Result<Self, Failure> {
        let limit = match call.query.get("limit") {
            None => None,
            Some(text) => {
                let invalid = || Failure::bad_request(format!("invalid limit {text:?}: it is a number of objects"));
                let limit = text.parse::<i64>().map_err(|_| invalid())?;
                usize::try_from(limit).ok().filter(|limit| *limit > 0)
            }
        };
        let Some(text) = call.query.get("continue").filter(|text| !text.is_empty()) else {
            let asked = call.query.number("resourceVersion").filter(|asked| *asked > 0);
            let how = call.query.get("resourceVersionMatch");
            // A first page of an older list is one of exactly that list, unless any newer one will do.
            let exact = asked.filter(|_| how == Some("Exact") || how.is_none() && limit.is_some());
            return Ok(match exact {
                Some(revision) if revision < store.compacted() => {
                    return Err(Failure::expired("The resourceVersion for the provided list is too old."));
                }
                Some(revision) => Self { limit, after: None, revision, exact: true },
                None => Self { limit, after: None, revision: store.revision(), exact: false },
            });
        };
        let invalid = || Failure::bad_request("continue key is not valid: list again without it");
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
        let Token { revision, namespace, name } = serde_json::from_slice(&bytes).map_err(|_| invalid())?;
        if revision < store.compacted() {
            return Err(too_old());
        }
        Ok(Self { limit, after: Some(Key { namespace, name }), revision, exact: true })
    }

    /// The objects this is a page of, where they are not those of now.
    pub(super) fn past(&self, call: &Call, store: &Store) -> Result<Option<BTreeMap<Key, Arc<Value>>>, Failure> {
        if !self.exact || self.revision >= store.revision() {
            return Ok(None);
        }
        store.at(call.stored_as(), self.revision).map(Some).map_err(|_| too_old())
    }

    /// Whether an object may be on this page, or comes later.
    pub(super) fn is_ahead(&self, key: &Key) -> bool {
        self.after.as_ref().is_none_or(|after| key > after)
    }

    /// Cuts what is ahead to the length of a page; how much remains is said when nothing is left out. Returns the list's `metadata`.
    pub(super) fn cut<T>(&self, ahead: &mut Vec<(&Key, T)>, counted: bool) -> Value {
        let revision = self.revision.to_string();
        let Some(limit) = self.limit.filter(|limit| *limit < ahead.len()) else {
            return json!({"resourceVersion": revision});
        };
        let remaining = ahead.len() - limit;
        ahead.truncate(limit);
        let last = ahead.last().map_or_else(|| Key::new("", ""), |(key, _)| (*key).clone());
        let token = Token { revision: self.revision, namespace: last.namespace, name: last.name };
        let token = URL_SAFE_NO_PAD.encode(json!(token).to_string());
        let mut metadata = json!({"resourceVersion": revision, "continue": token});
        if counted {
            metadata["remainingItemCount"] = json!(remaining);
        }
        metadata
    }
}

fn too_old() -> Failure {
    Failure::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without \
         the continue parameter, or use the continue token in this response to retrieve the remainder of the results. \
         Continuing with the provided token results in an inconsistent list - objects that were created, modified, or \
         deleted between the time the first chunk was returned and now may show up in the list.",
    )
}
