//! What form of an answer a client accepts, and answers in that form.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::failure::Failure;
use super::http::typed_response;
use super::protobuf;
use super::resource::Resource;
use super::wire;

/// What of an object is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Full,
    Table,
    /// `PartialObjectMetadata` only.
    Metadata,
}

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Yaml,
    Protobuf,
}

impl Format {
    /// The format of a refusal, which every client can be sent.
    pub(super) fn of_refusal(accept: &str) -> Self {
        clauses(accept).find_map(Clause::format).unwrap_or(Self::Json)
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
            Self::Protobuf => "application/vnd.kubernetes.protobuf",
        }
    }

    /// An answer in this format; what has no table of its own goes out as JSON.
    pub(super) fn respond(self, code: StatusCode, value: &Value) -> Response {
        let encoded = match self {
            Self::Json => None,
            Self::Yaml => serde_saphyr::to_string(value).ok().map(String::into_bytes),
            Self::Protobuf => protobuf::encode(value),
        };
        match encoded {
            Some(bytes) => typed_response(code, self.content_type(), bytes),
            None => typed_response(code, Self::Json.content_type(), wire::text(value)),
        }
    }
}

/// What a request is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) form: Form,
    pub(super) format: Format,
    /// Metadata of a list, asked for by that name.
    as_list: bool,
    /// Tables and metadata of `meta.k8s.io/v1beta1`.
    beta: bool,
}

/// What is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Object,
    List,
    Watch,
}

impl Accepted {
    /// Nothing asked for.
    pub(super) const JSON: Self = Self { form: Form::Full, format: Format::Json, as_list: false, beta: false };

    /// The first form the client lists that the server has: clients put the one they like best first.
    pub(super) fn of(accept: &str, resource: &Resource, subject: Subject) -> Result<Self, Failure> {
        if accept.trim().is_empty() {
            return Ok(Self::JSON);
        }
        let protobuf = resource.custom().is_none() && protobuf::encodes(&resource.api_version(), &resource.kind);
        let known = clauses(accept).filter_map(|clause| Some((clause.format()?, clause)));
        let mut known = known.peekable();
        if known.peek().is_none() {
            return Err(unavailable(resource, subject));
        }
        let fits = |(format, clause): (Format, Clause<'_>)| {
            let accepted = clause.accepted(format)?;
            let watched = subject != Subject::Watch || format != Format::Yaml;
            let encoded = format != Format::Protobuf || protobuf && accepted.form != Form::Table;
            (watched && encoded).then_some(accepted)
        };
        let accepted = known.find_map(fits).ok_or_else(|| {
            let types = if subject == Subject::Watch {
                "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"
            } else if resource.custom().is_some() {
                "application/json, application/yaml"
            } else {
                "application/json, application/yaml, application/vnd.kubernetes.protobuf"
            };
            not_acceptable(format!("only the following media types are accepted: {types}"))
        })?;
        accepted.check(resource, subject)?;
        Ok(accepted)
    }

    /// Metadata of one object are no metadata of a list.
    fn check(self, resource: &Resource, subject: Subject) -> Result<(), Failure> {
        if self.form != Form::Metadata {
            return Ok(());
        }
        let package = match resource.group.split('.').next() {
            _ if resource.custom().is_some() => "unstructured",
            Some("") | None => "core",
            Some(group) => group,
        };
        let kind = if resource.custom().is_some() { "Unstructured" } else { resource.kind.as_str() };
        match subject {
            Subject::List if !self.as_list => Err(not_acceptable(format!(
                "you requested PartialObjectMetadata, but the requested object is a list (*{package}.{kind}List)"
            ))),
            Subject::Object if self.as_list => Err(not_acceptable(format!(
                "you requested PartialObjectMetadataList, but the requested object is not a list (*{package}.{kind})"
            ))),
            _ => Ok(()),
        }
    }

    /// The answer, in the version of its form that was asked for.
    pub(super) fn respond(self, code: StatusCode, value: &Value) -> Response {
        if !self.beta {
            return self.format.respond(code, value);
        }
        let mut value = value.clone();
        outdate(&mut value);
        for row in value["rows"].as_array_mut().into_iter().flatten() {
            outdate(&mut row["object"]);
        }
        self.format.respond(code, &value)
    }
}

fn outdate(value: &mut Value) {
    if value["apiVersion"] == "meta.k8s.io/v1" {
        value["apiVersion"] = json!("meta.k8s.io/v1beta1");
    }
}

fn not_acceptable(message: impl Into<String>) -> Failure {
    Failure::new(406, "NotAcceptable", message)
}

/// The refusal of whoever finds the way to the server's function, before that has been asked.
fn unavailable(resource: &Resource, subject: Subject) -> Failure {
    let mut types = vec!["application/json", "application/yaml"];
    if resource.custom().is_none() {
        types.push("application/vnd.kubernetes.protobuf");
        if subject != Subject::Object {
            types.extend(["application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"]);
        }
    }
    not_acceptable(format!("406: Not Acceptable\n\nAvailable representations: {}", types.join(", "))).with_details()
}

/// One of the types a client lists.
#[derive(Debug, Clone, Copy)]
struct Clause<'a> {
    media: &'a str,
    parameters: &'a str,
}

fn clauses(accept: &str) -> impl Iterator<Item = Clause<'_>> {
    accept.split(',').map(|clause| {
        let (media, parameters) = clause.split_once(';').unwrap_or((clause, ""));
        Clause { media: media.trim(), parameters }
    })
}

impl<'a> Clause<'a> {
    fn format(self) -> Option<Format> {
        match self.media {
            "application/json" | "*/*" | "application/*" | "" => Some(Format::Json),
            "application/yaml" => Some(Format::Yaml),
            "application/vnd.kubernetes.protobuf" => Some(Format::Protobuf),
            _ => None,
        }
    }

    fn parameter(self, name: &str) -> Option<&'a str> {
        self.parameters.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
    }

    fn accepted(self, format: Format) -> Option<Accepted> {
        let plain = Accepted { format, ..Accepted::JSON };
        let (form, as_list) = match self.parameter("as") {
            None => return Some(plain),
            Some("Table") => (Form::Table, false),
            Some("PartialObjectMetadata") => (Form::Metadata, false),
            Some("PartialObjectMetadataList") => (Form::Metadata, true),
            Some(_) => return None,
        };
        let beta = match self.parameter("v") {
            Some("v1") | None => false,
            Some("v1beta1") => true,
            Some(_) => return None,
        };
        Some(Accepted { form, as_list, beta, ..plain })
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
    use crate::apiserver::catalog::Catalog;

    #[rstest]
    #[case("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Form::Table, Format::Json)]
    #[case("application/vnd.kubernetes.protobuf, application/json", Form::Full, Format::Protobuf)]
    #[case(
        "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
        Form::Metadata,
        Format::Protobuf
    )]
    #[case("application/vnd.kubernetes.protobuf;as=Table;v=v1,application/yaml", Form::Full, Format::Yaml)]
    #[case("", Form::Full, Format::Json)]
    fn the_first_form_that_can_be_served_wins(#[case] accept: &str, #[case] form: Form, #[case] format: Format) {
        let pods = Catalog::new().find("", "v1", "pods").cloned().expect("served");
        let accepted = Accepted::of(accept, &pods, Subject::List).expect("acceptable");
        assert_eq!((accepted.form, accepted.format), (form, format));
    }

    #[rstest]
    #[case("text/html", Subject::Object, "Available representations")]
    #[case("application/json;as=Table;v=v2;g=meta.k8s.io", Subject::List, "only the following media types")]
    #[case("application/yaml", Subject::Watch, "stream=watch")]
    #[case("application/json;as=PartialObjectMetadata;v=v1", Subject::List, "is a list (*core.PodList)")]
    fn what_cannot_be_served_is_refused(#[case] accept: &str, #[case] subject: Subject, #[case] expected: &str) {
        let pods = Catalog::new().find("", "v1", "pods").cloned().expect("served");
        let failure = Accepted::of(accept, &pods, subject).expect_err("not acceptable");
        assert_eq!(failure.code, 406);
        assert!(failure.message.contains(expected), "{}", failure.message);
    }
}
