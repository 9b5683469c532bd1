//! What Prometheus answers to an instant query.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One series of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// When the query was evaluated, by the clock of Prometheus, in seconds since 1970.
    pub evaluated_at: f64,
    /// Its value; may be NaN or infinite.
    pub value: f64,
}

impl Sample {
    /// The value of a label; an empty one says as much as none.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// The answer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Prometheus answered, but refused the query.
    #[error("Prometheus refused it ({kind}): {message}")]
    Refused {
        /// `errorType` of the answer.
        kind: String,
        /// `error` of the answer.
        message: String,
    },
    /// The answer has another form than the HTTP API's; it may come from something else than Prometheus.
    #[error(
        "the answer is not that of a Prometheus query ({why}): {excerpt:?}; does PROMETHEUS_BASE_URL name Prometheus?"
    )]
    Malformed {
        /// Where it deviates.
        why: String,
        /// How it begins.
        excerpt: String,
    },
    /// The result is not a vector.
    #[error("the result is a {0}, not a vector")]
    NotAVector(String),
    /// A value is no number.
    #[error("the value {0:?} is not a number")]
    NotANumber(String),
}

impl Error {
    /// The same with other texts of whoever answered.
    #[must_use]
    pub fn map(self, text: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Refused { kind, message } => Self::Refused { kind: text(&kind), message: text(&message) },
            Self::Malformed { why, excerpt } => Self::Malformed { why: text(&why), excerpt: text(&excerpt) },
            Self::NotAVector(kind) => Self::NotAVector(text(&kind)),
            Self::NotANumber(value) => Self::NotANumber(text(&value)),
        }
    }
}

/// An answer without its result, which says whether there is one worth reading. A result is read in a second pass straight
/// into its series: those of ten thousand pods are not kept in any other form in between.
#[derive(Deserialize)]
struct Head {
    status: Status,
    #[serde(rename = "errorType", default)]
    kind: String,
    #[serde(default)]
    error: String,
    data: Option<DataHead>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Success,
    Error,
}

#[derive(Deserialize)]
struct DataHead {
    #[serde(rename = "resultType")]
    result_type: String,
}

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    value: (f64, String),
}

/// Reads the body of an answer.
///
/// # Errors
/// When it is anything else than a successful instant vector.
pub fn parse(body: &[u8]) -> Result<Vec<Sample>, Error> {
    let malformed = |error: serde_json::Error| {
        let excerpt = String::from_utf8_lossy(body).chars().take(80).collect();
        Error::Malformed { why: error.to_string(), excerpt }
    };
    let Head { status, kind, error, data } = serde_json::from_slice(body).map_err(malformed)?;
    match (status, data) {
        (Status::Error, _) => return Err(Error::Refused { kind, message: error }),
        (Status::Success, Some(data)) if data.result_type != "vector" => {
            return Err(Error::NotAVector(data.result_type));
        }
        (Status::Success, _) => {}
    }
    let Answer { data } = serde_json::from_slice(body).map_err(malformed)?;
    data.result.into_iter().map(sample).collect()
}

fn sample(series: Series) -> Result<Sample, Error> {
    let Series { metric: labels, value: (evaluated_at, text) } = series;
    // Prometheus writes infinity as +Inf, which Rust reads; NaN likewise.
    let value = text.parse().map_err(|_| Error::NotANumber(text))?;
    Ok(Sample { labels, evaluated_at, value })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn a_vector_is_read_with_its_special_values() {
        let body = br#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"pod":"a"},"value":[1700000000.5,"0.25"]},
            {"metric":{},"value":[1700000000.5,"NaN"]},
            {"metric":{},"value":[1700000000.5,"+Inf"]}]},"warnings":["w"]}"#;
        let samples = parse(body).unwrap();
        assert_eq!(samples[0].labels["pod"], "a");
        assert_eq!((samples[0].evaluated_at, samples[0].value), (1_700_000_000.5, 0.25));
        assert!(samples[1].value.is_nan() && samples[2].value == f64::INFINITY);
    }

    #[rstest]
    #[case::html("<html>login</html>", "does PROMETHEUS_BASE_URL name Prometheus?")]
    #[case::empty("", "does PROMETHEUS_BASE_URL name Prometheus?")]
    #[case::refused(
        r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#,
        "refused it (bad_data): parse error"
    )]
    #[case::matrix(r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#, "is a matrix")]
    #[case::text_value(
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"x"]}]}}"#,
        "\"x\" is not a number"
    )]
    #[case::no_value(
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{}}]}}"#,
        "missing field `value`"
    )]
    #[case::unknown_status(r#"{"status":"maybe"}"#, "unknown variant `maybe`")]
    fn other_answers_are_refused_with_the_reason(#[case] body: &str, #[case] expect: &str) {
        let error = parse(body.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    }
}
