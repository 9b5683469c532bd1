//! Lists in pages: `limit` and `continue`.

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
    /// Revision of the first page. Later pages show objects as they are now: who watches from this revision hears of
    /// everything that changed in between, and of some of it twice.
    revision: u64,
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
            return Ok(Self { limit, after: None, revision: store.revision() });
        };
        let invalid = || Failure::bad_request("continue key is not valid: list again without it");
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
        let Token { revision, namespace, name } = serde_json::from_slice(&bytes).map_err(|_| invalid())?;
        if revision < store.compacted() {
            return Err(Failure::expired("The provided continue parameter is too old to display a consistent list."));
        }
        Ok(Self { limit, after: Some(Key { namespace, name }), revision })
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
