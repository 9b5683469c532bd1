//! Reading a picker's metrics page: how many requests its flow control holds back, for which model.
//!
//! Of the page, a few hundred lines, one family is of interest; the rest is skipped line by line without being read.

use std::collections::BTreeMap;

/// Gauge of the requests in flow control, by its names. Pickers that know the first export both; adding them up would
/// count every request twice.
const NAMES: [&str; 2] = ["llm_d_epp_flow_control_queue_size", "inference_extension_flow_control_queue_size"];

/// Requests that wait, by model. A model that is not mentioned has none: its series begins with its first request.
pub type Queue = BTreeMap<String, f64>;

/// A line of that gauge is not of the text format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is not of the Prometheus text format: {excerpt:?}")]
pub struct Malformed {
    /// Number of the line, from 1.
    pub line: usize,
    /// How it begins.
    pub excerpt: String,
}

/// Reads a page. Values that are not finite or not positive count for nothing.
///
/// # Errors
/// At the first line of the gauge that cannot be read.
pub fn parse(page: &str) -> Result<Queue, Malformed> {
    let mut queues = NAMES.map(|_| None::<Queue>);
    for (number, line) in page.lines().enumerate() {
        let Some((which, rest)) = NAMES.iter().enumerate().find_map(|(which, name)| Some((which, of(line, name)?)))
        else {
            continue;
        };
        let Some(Sample { model, value }) = sample(rest) else {
            return Err(Malformed { line: number + 1, excerpt: line.chars().take(120).collect() });
        };
        let queue = queues[which].get_or_insert_default();
        if value.is_finite() && value > 0.0 && !model.is_empty() {
            *queue.entry(model).or_default() += value;
        }
    }
    Ok(queues.into_iter().flatten().next().unwrap_or_default())
}

struct Sample {
    model: String,
    value: f64,
}

/// What follows the name, when the line is a sample of exactly that metric.
fn of<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let rest = line.trim_start().strip_prefix(name)?;
    rest.starts_with(['{', ' ', '\t']).then_some(rest)
}

/// Reads labels, value, and whatever follows the value (a time, an exemplar).
fn sample(text: &str) -> Option<Sample> {
    let text = text.trim_start();
    let (labels, text) = match text.strip_prefix('{') {
        Some(text) => labels(text)?,
        None => (BTreeMap::new(), text),
    };
    let value = text.split_whitespace().next()?.parse().ok()?;
    // The name the gateway was asked for, when it was not rewritten to that of a model.
    let named = |label: &str| labels.get(label).filter(|model: &&String| !model.is_empty()).cloned();
    let model = named("target_model_name").or_else(|| named("model_name")).unwrap_or_default();
    Some(Sample { model, value })
}

/// Reads `name="value",…}`; returns the text after the brace.
fn labels(mut text: &str) -> Option<(BTreeMap<&str, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        text = text.trim_start();
        if let Some(rest) = text.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, rest) = text.split_once('=')?;
        let (value, rest) = quoted(rest.trim_start())?;
        labels.insert(name.trim_end(), value);
        let rest = rest.trim_start();
        text = rest.strip_prefix(',').unwrap_or(rest);
        if !rest.starts_with([',', '}']) {
            return None;
        }
    }
}

/// Reads a quoted value with the three escapes of the format; returns the text after the closing quote.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.strip_prefix('"')?.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, &text[at + 2..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                escaped @ ('\\' | '"') => value.push(escaped),
                other => value.extend(['\\', other]),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn queue(entries: &[(&str, f64)]) -> Queue {
        entries.iter().map(|&(model, value)| (model.to_owned(), value)).collect()
    }

    #[test]
    fn requests_of_all_flows_of_a_model_are_added_up() {
        let page = r#"
# HELP inference_extension_flow_control_queue_size Requests being held.
# TYPE inference_extension_flow_control_queue_size gauge
inference_extension_flow_control_queue_size{fairness_id="a",inference_pool="p",model_name="llama",priority="0",target_model_name="llama"} 2
inference_extension_flow_control_queue_size{fairness_id="b",inference_pool="p",model_name="llama",priority="-1",target_model_name="llama"} 1
inference_extension_flow_control_queue_size{fairness_id="a",inference_pool="p",model_name="qwen",priority="0",target_model_name="qwen"} 0
inference_extension_flow_control_queue_bytes{fairness_id="a",model_name="other",target_model_name="other"} 9000
inference_pool_ready_pods{name="p"} 3
"#;
        assert_eq!(parse(page).unwrap(), queue(&[("llama", 3.0)]));
    }

    #[rstest]
    #[case::target_wins(r#"{model_name="chat",target_model_name="llama"} 1"#, "llama", 1.0)]
    #[case::no_target(r#"{model_name="llama",target_model_name=""} 1"#, "llama", 1.0)]
    #[case::escapes(r#"{target_model_name="a\"b\\c\nd"} 1"#, "a\"b\\c\nd", 1.0)]
    #[case::braces_in_a_value(r#"{target_model_name="a},b=c"} 1"#, "a},b=c", 1.0)]
    #[case::spaces_and_a_trailing_comma(r#" { target_model_name = "llama" , } 4 1700000000000"#, "llama", 4.0)]
    #[case::exponent(r#"{target_model_name="llama"} 1e2 # {trace="x"} 1"#, "llama", 100.0)]
    fn a_line_names_its_model(#[case] rest: &str, #[case] model: &str, #[case] value: f64) {
        assert_eq!(
            parse(&format!("inference_extension_flow_control_queue_size{rest}")).unwrap(),
            queue(&[(model, value)])
        );
    }

    #[rstest]
    #[case::nan(r#"{target_model_name="llama"} NaN"#)]
    #[case::infinite(r#"{target_model_name="llama"} +Inf"#)]
    #[case::negative(r#"{target_model_name="llama"} -1"#)]
    #[case::no_model("{} 3")]
    #[case::another_metric(r#"_sum{target_model_name="llama"} 3"#)]
    fn a_line_that_says_nothing_counts_for_nothing(#[case] rest: &str) {
        assert_eq!(parse(&format!("inference_extension_flow_control_queue_size{rest}")).unwrap(), Queue::new());
    }

    #[rstest]
    #[case::cut_off(r#"{target_model_name="lla"#)]
    #[case::no_value(r#"{target_model_name="llama"}"#)]
    #[case::no_number(r#"{target_model_name="llama"} many"#)]
    #[case::no_quotes("{target_model_name=llama} 1")]
    #[case::no_comma(r#"{model_name="a"target_model_name="b"} 1"#)]
    fn a_line_that_cannot_be_read_is_an_error_with_its_number(#[case] rest: &str) {
        let page = format!("# a comment\ninference_extension_flow_control_queue_size{rest}");
        assert_eq!(parse(&page).unwrap_err().line, 2);
    }

    #[test]
    fn the_newer_name_of_the_gauge_stands_in_for_the_older_one() {
        let page = "inference_extension_flow_control_queue_size{target_model_name=\"llama\"} 2\n\
                    llm_d_epp_flow_control_queue_size{target_model_name=\"llama\"} 2\n";
        assert_eq!(parse(page).unwrap(), queue(&[("llama", 2.0)]));
    }

    /// Pages that are nearly right: pieces of the format in any order, and bytes of any kind in between.
    #[test]
    fn no_page_whatever_it_holds_makes_the_parser_fail_otherwise_than_with_an_error() {
        const PIECES: [&str; 16] = [
            "inference_extension_flow_control_queue_size",
            "llm_d_epp_flow_control_queue_size",
            "{",
            "}",
            "=",
            ",",
            "\"",
            "\\",
            "target_model_name=\"llama\"",
            "model_name",
            " 1",
            " NaN",
            "\n",
            "# ",
            "é\u{1f980}",
            "\u{0}",
        ];
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let mut accepted = 0;
        for _ in 0..100_000 {
            let mut page = Vec::new();
            for _ in 0..random(12) {
                if random(4) == 0 {
                    page.push(u8::try_from(random(256)).unwrap());
                } else {
                    page.extend(PIECES[usize::try_from(random(16)).unwrap()].as_bytes());
                }
            }
            match parse(&String::from_utf8_lossy(&page)) {
                Ok(queue) => {
                    assert!(queue.values().all(|waiting| waiting.is_finite() && *waiting > 0.0));
                    accepted += 1;
                }
                Err(Malformed { line, excerpt }) => assert!(line > 0 && !excerpt.is_empty()),
            }
        }
        assert!((10_000..100_000).contains(&accepted), "{accepted} of 100,000 pages were read, the others refused");
    }
}
