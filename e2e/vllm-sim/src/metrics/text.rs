//! The classic Prometheus text format.

use std::fmt::Write as _;

/// Content type of [`write()`]'s output.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One metric with all its samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Full name; for counters with the `_total` that the samples carry.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// One line of help.
    pub help: &'static str,
    /// Its samples.
    pub samples: Vec<Sample>,
}

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets, sum and count.
    Histogram,
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Appended to the family's name: `_bucket`, `_sum`, `_count` or nothing.
    pub suffix: &'static str,
    /// Labels in any order.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: Value,
}

/// A number; counts stay exact beyond 2^53.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A whole number.
    Count(u64),
    /// Any number.
    Number(f64),
}

impl Kind {
    /// The word on the `# TYPE` line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}.0"),
            // `{:?}` keeps the `.0` that Python prints.
            Self::Number(number) => write!(f, "{number:?}"),
        }
    }
}

/// Writes the families in the given order; labels are sorted by name, as the Python client does.
pub fn write(families: &[Family]) -> String {
    let mut out = String::with_capacity(families.len() * 512);
    for Family { name, kind, help, samples } in families {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {}", kind.as_str());
        for Sample { suffix, labels, value } in samples {
            let mut labels: Vec<_> = labels.iter().collect();
            labels.sort();
            let _ = write!(out, "{name}{suffix}");
            for (index, (label, text)) in labels.iter().enumerate() {
                let opening = if index == 0 { '{' } else { ',' };
                let _ = write!(out, "{opening}{label}=\"{}\"", escape(text));
            }
            let closing = if labels.is_empty() { "" } else { "}" };
            let _ = writeln!(out, "{closing} {value}");
        }
    }
    out
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_sorted_and_escaped() {
        let family = Family {
            name: "vllm:x_total",
            kind: Kind::Counter,
            help: "X.",
            samples: vec![Sample {
                suffix: "",
                labels: vec![("model_name", "a\"b\\c\nd".to_owned()), ("engine", "0".to_owned())],
                value: Value::Count(3),
            }],
        };
        let expected = "# HELP vllm:x_total X.\n# TYPE vllm:x_total counter\n\
             vllm:x_total{engine=\"0\",model_name=\"a\\\"b\\\\c\\nd\"} 3.0\n";
        assert_eq!(write(&[family]), expected);
    }
}
