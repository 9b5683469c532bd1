//! Traces as others publish them.

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use super::Arrival;
use crate::number::seconds;

/// What a trace's file looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TraceFormat {
    /// Azure LLM inference traces of 2023, CSV: `TIMESTAMP,ContextTokens,GeneratedTokens`.
    Azure,
    /// Mooncake, JSON lines: `timestamp` in milliseconds, `input_length`, `output_length`.
    Mooncake,
    /// CSV with a header: `timestamp_ms,prompt_tokens,output_tokens`.
    Csv,
    /// Rates as of `ServeGen`, CSV: seconds and requests per second from there on. Lengths are the scenario's.
    Rates,
}

impl TraceFormat {
    /// Whether it lists single requests.
    pub(super) fn has_requests(self) -> bool {
        match self {
            Self::Azure | Self::Mooncake | Self::Csv => true,
            Self::Rates => false,
        }
    }
}

/// Why a text is not a trace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: `{text}` is not {expected}")]
pub struct InvalidTrace {
    line: usize,
    text: String,
    expected: &'static str,
}

#[derive(Deserialize)]
struct Mooncake {
    timestamp: f64,
    input_length: u32,
    output_length: u32,
}

/// The requests of a trace, from its first on.
pub fn requests(text: &str, format: TraceFormat) -> Result<Vec<Arrival>, InvalidTrace> {
    let mut found = Vec::new();
    for (number, line) in lines(text, format) {
        let (parsed, expected) = match format {
            TraceFormat::Azure => (azure(line), "TIMESTAMP,ContextTokens,GeneratedTokens"),
            TraceFormat::Mooncake => (mooncake(line), "an object with timestamp, input_length and output_length"),
            TraceFormat::Csv | TraceFormat::Rates => (csv(line), "timestamp_ms,prompt_tokens,output_tokens"),
        };
        let Some((at, prompt, output)) = parsed else {
            return Err(InvalidTrace { line: number, text: line.chars().take(60).collect(), expected });
        };
        found.push((at, prompt.max(1), output.max(1)));
    }
    let first = found.iter().map(|(at, ..)| *at).fold(f64::INFINITY, f64::min);
    let arrival = |(at, prompt, output): (f64, u32, u32)| Arrival { at: seconds(at - first), prompt, output };
    let mut arrivals: Vec<_> = found.into_iter().map(arrival).collect();
    arrivals.sort_by_key(|arrival| arrival.at);
    Ok(arrivals)
}

/// Points of time with the rate from there on, in seconds and requests per second.
pub fn rates(text: &str, format: TraceFormat) -> Result<Vec<(f64, f64)>, InvalidTrace> {
    let rate = |(number, line): (usize, &str)| {
        let mut fields = line.split(',').map(str::trim);
        let mut next = || fields.next()?.parse::<f64>().ok().filter(|value| value.is_finite());
        let (at, rate) = (next(), next());
        at.zip(rate).ok_or(InvalidTrace {
            line: number,
            text: line.chars().take(60).collect(),
            expected: "seconds,requests per second",
        })
    };
    lines(text, format).map(rate).collect()
}

/// The lines that count, with their numbers.
fn lines(text: &str, format: TraceFormat) -> impl Iterator<Item = (usize, &str)> {
    let is_header = move |number: usize, line: &str| {
        number == 1 && format != TraceFormat::Mooncake && line.starts_with(|c: char| c.is_ascii_alphabetic())
    };
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    numbered.filter(move |(number, line)| !line.is_empty() && !is_header(*number, line))
}

fn azure(line: &str) -> Option<(f64, u32, u32)> {
    let mut fields = line.split(',');
    let time: DateTime = fields.next()?.trim().parse().ok()?;
    let since = time.duration_since(jiff::civil::date(2000, 1, 1).at(0, 0, 0, 0));
    Some((since.as_secs_f64(), number(fields.next())?, number(fields.next())?))
}

fn mooncake(line: &str) -> Option<(f64, u32, u32)> {
    let Mooncake { timestamp, input_length, output_length } = serde_json::from_str(line).ok()?;
    Some((timestamp / 1000.0, input_length, output_length))
}

fn csv(line: &str) -> Option<(f64, u32, u32)> {
    let mut fields = line.split(',');
    let ms: f64 = fields.next()?.trim().parse().ok()?;
    Some((ms / 1000.0, number(fields.next())?, number(fields.next())?))
}

fn number(field: Option<&str>) -> Option<u32> {
    field?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::azure(
        TraceFormat::Azure,
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:17:05.0319600,3180,8\n"
    )]
    #[case::mooncake(
        TraceFormat::Mooncake,
        "{\"timestamp\": 1000, \"input_length\": 4808, \"output_length\": 10, \"hash_ids\": [0, 1]}\n{\"timestamp\": 2052, \"input_length\": 3180, \"output_length\": 8}\n"
    )]
    #[case::csv(TraceFormat::Csv, "timestamp_ms,prompt_tokens,output_tokens\n6011,4808,10\n7063,3180,8")]
    fn traces_begin_with_their_first_request(#[case] format: TraceFormat, #[case] text: &str) {
        let first = Arrival { at: Duration::ZERO, prompt: 4808, output: 10 };
        let second = Arrival { at: Duration::from_millis(1052), prompt: 3180, output: 8 };
        let read = requests(text, format).unwrap();
        let rounded: Vec<_> = read
            .into_iter()
            .map(|it| Arrival {
                at: Duration::from_millis(u64::try_from(it.at.as_micros()).unwrap().div_ceil(1000)),
                ..it
            })
            .collect();
        assert_eq!(rounded, [first, second]);
    }

    #[test]
    fn rates_hold_until_the_next_one() {
        let rates =
            rates("t_s,total_rate_rps,rate_weighted_cv\n0,212.78,2.1\n600,179.7,1.5", TraceFormat::Rates).unwrap();
        assert_eq!(rates, [(0.0, 212.78), (600.0, 179.7)]);
    }

    #[test]
    fn what_is_no_trace_is_refused_with_its_line() {
        let error =
            requests("timestamp_ms,prompt_tokens,output_tokens\n1,2,3\nnonsense", TraceFormat::Csv).unwrap_err();
        assert_eq!(error.to_string(), "line 3: `nonsense` is not timestamp_ms,prompt_tokens,output_tokens");
    }
}
