//! Recorded load: when each request came, and how long prompt and answer were.

use std::str::FromStr;
use std::time::Duration;

/// One request of an open loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Time since the load began.
    pub at: Duration,
    /// Length of the prompt in tokens; the plan's when `None`.
    pub prompt_tokens: Option<u32>,
    /// Length of the answer in tokens; the plan's when `None`.
    pub max_tokens: Option<u32>,
}

/// Requests in the order of their times, read from lines of `SECONDS,PROMPT_TOKENS,OUTPUT_TOKENS`. A first line of names
/// and empty lines are skipped; times count from the begin of the load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace(Vec<Arrival>);

/// A line that is no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the trace, `{text}`: {why}; a line is SECONDS,PROMPT_TOKENS,OUTPUT_TOKENS, e.g. 0.25,512,128")]
pub struct InvalidTrace {
    line: usize,
    text: String,
    why: &'static str,
}

impl Trace {
    /// The requests.
    pub fn arrivals(&self) -> &[Arrival] {
        &self.0
    }
}

impl FromStr for Trace {
    type Err = InvalidTrace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut arrivals: Vec<Arrival> = Vec::new();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let invalid = |why| InvalidTrace { line: index + 1, text: line.to_owned(), why };
            let columns: Vec<&str> = line.split(',').map(str::trim).collect();
            let &[seconds, prompt, output] = columns.as_slice() else { return Err(invalid("not three columns")) };
            let seconds = seconds.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            let at = match seconds {
                Some(at) => at,
                None if index == 0 => continue,
                None => return Err(invalid("the first column is no time")),
            };
            let tokens = |text: &str| text.parse().map_err(|_| invalid("a length is no number of tokens"));
            if arrivals.last().is_some_and(|last| last.at > at) {
                return Err(invalid("it comes before the one above it"));
            }
            arrivals.push(Arrival { at, prompt_tokens: Some(tokens(prompt)?), max_tokens: Some(tokens(output)?) });
        }
        Ok(Self(arrivals))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn names_in_the_first_line_are_skipped() {
        let trace: Trace = "arrived_at,num_prefill_tokens,num_decode_tokens\n0,512,128\n".parse().unwrap();
        assert_eq!(trace.arrivals().len(), 1);
    }

    #[rstest]
    #[case("0,1", "line 1 of the trace, `0,1`: not three columns")]
    #[case("0,1,1\nsoon,1,1", "line 2 of the trace, `soon,1,1`: the first column is no time")]
    #[case("0,1,-4", "a length is no number of tokens")]
    #[case("2,1,1\n1,1,1", "it comes before the one above it")]
    fn a_line_that_is_no_request_is_named(#[case] text: &str, #[case] expect: &str) {
        let error = text.parse::<Trace>().unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    }
}
