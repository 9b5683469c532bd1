//! Which field of which message has which number, name and kind. The table is data: `messages.txt`, written by
//! `hack/protobuf-fields.py`.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Number, JSON name and kind.
pub(super) type Field = (u64, &'static str, Kind);

/// How a field is encoded, and what it becomes in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Texts,
    Bytes,
    /// A boolean that is left out when it is false.
    Bool,
    /// A boolean that is there when it is set.
    Flag,
    /// A number that is left out when it is zero.
    Number,
    /// A number that is there when it is set.
    Count,
    Numbers,
    TextMap,
    BytesMap,
    QuantityMap,
    Time,
    MicroTime,
    Quantity,
    IntOrString,
    /// An integer or string that is left out when it is zero.
    PlainIntOrString,
    /// JSON text inside a message.
    FieldsV1,
    /// A message that is left out when nothing is in it.
    One(&'static str),
    /// A message that is there when it is set.
    Present(&'static str),
    /// A message whose fields stand among those of its parent.
    Inline(&'static str),
    Many(&'static str),
    Ignored,
}

/// Messages of answers, which no request holds.
const ANSWERS: &str = "\
meta/v1/ListMeta 1:selfLink:text 2:resourceVersion:text 3:continue:text 4:remainingItemCount:count
meta/v1/PartialObjectMetadata 1:metadata:present>meta/v1/ObjectMeta
meta/v1/Status 1:metadata:present>meta/v1/ListMeta 2:status:text 3:message:text 4:reason:text \
5:details:present>meta/v1/StatusDetails 6:code:number
meta/v1/StatusDetails 1:name:text 2:group:text 3:kind:text 4:causes:many>meta/v1/StatusCause \
5:retryAfterSeconds:number 6:uid:text
meta/v1/StatusCause 1:reason:text 2:message:text 3:field:text
";

static MESSAGES: LazyLock<HashMap<&'static str, Vec<Field>>> = LazyLock::new(|| {
    let lines = include_str!("messages.txt").lines().filter(|line| !line.starts_with('#'));
    let lines = lines.chain(ANSWERS.lines());
    lines
        .filter_map(|line| {
            let (name, cells) = line.split_once(' ').unwrap_or((line, ""));
            Some((name, cells.split_whitespace().map(field).collect::<Option<_>>()?))
        })
        .collect()
});

/// Fields of a message; a message the table lacks has none, so that any content is refused.
pub(super) fn message(name: &str) -> &'static [Field] {
    MESSAGES.get(name).map_or(&[], Vec::as_slice)
}

/// Fields of a kind that a request may hold.
pub(super) fn root(api_version: &str, kind: &str) -> Option<&'static [Field]> {
    // Every group version has the same options for deletion.
    if kind == "DeleteOptions" {
        return Some(message("meta/v1/DeleteOptions"));
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("core", api_version));
    let package = group.split('.').next().unwrap_or(group);
    MESSAGES.get(format!("{package}/{version}/{kind}").as_str()).map(Vec::as_slice)
}

fn field(cell: &'static str) -> Option<Field> {
    let mut parts = cell.splitn(3, ':');
    let (number, name, kind) = (parts.next()?, parts.next()?, parts.next()?);
    Some((number.parse().ok()?, name, kind_of(kind)?))
}

fn kind_of(text: &'static str) -> Option<Kind> {
    Some(match text.split_once('>') {
        Some(("one", inner)) => Kind::One(inner),
        Some(("present", inner)) => Kind::Present(inner),
        Some(("inline", inner)) => Kind::Inline(inner),
        Some(("many", inner)) => Kind::Many(inner),
        Some(_) => return None,
        None => match text {
            "text" => Kind::Text,
            "texts" => Kind::Texts,
            "bytes" => Kind::Bytes,
            "bool" => Kind::Bool,
            "flag" => Kind::Flag,
            "number" => Kind::Number,
            "numbers" => Kind::Numbers,
            "count" => Kind::Count,
            "textMap" => Kind::TextMap,
            "bytesMap" => Kind::BytesMap,
            "quantityMap" => Kind::QuantityMap,
            "time" => Kind::Time,
            "microTime" => Kind::MicroTime,
            "quantity" => Kind::Quantity,
            "intOrString" => Kind::IntOrString,
            "plainIntOrString" => Kind::PlainIntOrString,
            "fieldsV1" => Kind::FieldsV1,
            "ignored" => Kind::Ignored,
            _ => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read_and_every_message_it_names_is_there() {
        let lines = include_str!("messages.txt").lines().filter(|line| !line.starts_with('#')).count();
        let lines = lines + ANSWERS.lines().count();
        assert_eq!(MESSAGES.len(), lines);
        for (name, fields) in MESSAGES.iter() {
            for (_, field, kind) in fields {
                if let Kind::One(inner) | Kind::Present(inner) | Kind::Inline(inner) | Kind::Many(inner) = kind {
                    assert!(MESSAGES.contains_key(inner), "{name}.{field} is a {inner}");
                }
            }
        }
    }

    #[test]
    fn kinds_are_found_by_group_and_version() {
        for (api_version, kind) in [
            ("v1", "Secret"),
            ("apps/v1", "Deployment"),
            ("rbac.authorization.k8s.io/v1", "Role"),
            ("apps/v1", "DeleteOptions"),
        ] {
            assert!(root(api_version, kind).is_some_and(|fields| !fields.is_empty()), "{kind} in {api_version}");
        }
        assert_eq!(root("example.com/v1", "Secret"), None);
    }
}
