//! Why a controller could not bring something to what it asks for, told in one way.

use kube::core::ParseExpressionError;

use super::{key::Key, work_queue::Failure};

/// What was being done to which object, and what stood against it.
#[derive(Debug, thiserror::Error)]
#[error("{doing} {kind} {key}: {source}")]
pub(crate) struct Error {
    doing: &'static str,
    kind: &'static str,
    key: Key,
    source: Cause,
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Request(kube::Error),
    #[error("{0}; the selector cannot be changed, recreate the object")]
    Selector(ParseExpressionError),
}

impl Error {
    /// Tells what was being done to an object when a request failed.
    pub(crate) fn doing(doing: &'static str, kind: &'static str, key: &Key) -> impl FnOnce(kube::Error) -> Self {
        move |error| Self { doing, kind, key: key.clone(), source: Cause::Request(error) }
    }

    /// The selector of a workload cannot be read.
    pub(crate) fn selector(kind: &'static str, key: &Key) -> impl FnOnce(ParseExpressionError) -> Self {
        move |error| Self { doing: "reading the selector of", kind, key: key.clone(), source: Cause::Selector(error) }
    }
}

impl Failure for Error {
    fn is_conflict(&self) -> bool {
        matches!(&self.source, Cause::Request(error) if error.is_conflict())
    }
}
