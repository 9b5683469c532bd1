//! What form of an answer a client accepts.

use serde_json::{Value, json};

/// The representation asked for in the `Accept` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Full,
    Table,
    /// `PartialObjectMetadata` only.
    Metadata,
}

impl Form {
    /// The first form the client lists that the server has: clients put the one they like best first.
    pub(super) fn of(accept: &str) -> Self {
        accept.split(',').find_map(Self::one).unwrap_or(Self::Full)
    }

    fn one(media: &str) -> Option<Self> {
        let mut parts = media.split(';').map(str::trim);
        // Only JSON and YAML can be sent; a protobuf offer is passed over.
        if !matches!(parts.next()?, "application/json" | "application/yaml" | "*/*" | "application/*" | "") {
            return None;
        }
        match parts.find_map(|part| part.strip_prefix("as=")) {
            None => Some(Self::Full),
            Some("Table") => Some(Self::Table),
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") => Some(Self::Metadata),
            Some(_) => None,
        }
    }
}

/// Metadata of an object alone.
pub(super) fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Form::Table)]
    #[case("application/vnd.kubernetes.protobuf, application/json", Form::Full)]
    #[case(
        "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,\
         application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
        Form::Metadata
    )]
    #[case("", Form::Full)]
    fn the_first_form_that_can_be_served_wins(#[case] accept: &str, #[case] expected: Form) {
        assert_eq!(Form::of(accept), expected);
    }
}
