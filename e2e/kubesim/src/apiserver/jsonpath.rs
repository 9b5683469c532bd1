//! The part of `JSONPath` that printer columns use.
//!
//! Fields (`.spec.replicas`, with dots escaped as `\.`), bracketed names (`['a/b']`), indices (`[0]`), all items
//! (`[*]`) and filters (`[?(@.type=="Ready")]`).

use serde_json::Value;

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    Filter { path: Vec<Self>, comparison: Option<(Operator, Value)> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A parsed path.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct JsonPath(Vec<Step>);

impl JsonPath {
    /// `None` when the text is not a path of the supported form.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches('{').trim_end_matches('}').trim_start_matches('$');
        let mut rest = text;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = step(rest)?;
            steps.extend(step);
            rest = after;
        }
        Some(Self(steps))
    }

    /// Every value the path leads to.
    pub(super) fn find<'a>(&self, root: &'a Value) -> Vec<&'a Value> {
        follow(&self.0, root)
    }
}

/// One step off the front of `text`; a lone dot is no step.
fn step(text: &str) -> Option<(Option<Step>, &str)> {
    if let Some(after) = text.strip_prefix('[') {
        let end = closing(after)?;
        return Some((Some(bracket(&after[..end])?), &after[end + 1..]));
    }
    let after = text.strip_prefix('.').unwrap_or(text);
    let mut name = String::new();
    let mut chars = after.char_indices();
    let mut end = after.len();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.extend(chars.next().map(|(_, escaped)| escaped)),
            '.' | '[' => {
                end = at;
                break;
            }
            c => name.push(c),
        }
    }
    let step = match name.as_str() {
        "" => None,
        "*" => Some(Step::All),
        _ => Some(Step::Field(name)),
    };
    // Neither a name nor a bracket: two dots in a row, which would mean recursive descent.
    if step.is_none() && !after.starts_with('[') && !after.is_empty() {
        return None;
    }
    Some((step, &after[end..]))
}

/// Where the bracket that was just opened closes, quotes and nested brackets respected.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0_u32, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(at),
            (None, ']') => depth -= 1,
            _ => {}
        }
    }
    None
}

fn bracket(inner: &str) -> Option<Step> {
    let inner = inner.trim();
    if inner == "*" {
        return Some(Step::All);
    }
    if let Some(filter) = inner.strip_prefix("?(").and_then(|filter| filter.strip_suffix(')')) {
        return parse_filter(filter);
    }
    if let Some(name) = unquote(inner) {
        return Some(Step::Field(name));
    }
    inner.parse().ok().map(Step::Index)
}

fn unquote(text: &str) -> Option<String> {
    let quoted = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    Some(quoted('\'').or_else(|| quoted('"'))?.replace("\\.", "."))
}

fn parse_filter(text: &str) -> Option<Step> {
    const OPERATORS: [(&str, Operator); 6] = [
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ];
    let found = OPERATORS.iter().find_map(|(sign, operator)| Some((text.split_once(sign)?, *operator)));
    let (path, comparison) = match found {
        Some(((path, literal), operator)) => {
            let literal = literal.trim();
            let value = unquote(literal).map(Value::from).or_else(|| serde_json::from_str(literal).ok())?;
            (path, Some((operator, value)))
        }
        None => (text, None),
    };
    let JsonPath(path) = JsonPath::parse(path.trim().strip_prefix('@')?)?;
    Some(Step::Filter { path, comparison })
}

fn follow<'a>(steps: &[Step], value: &'a Value) -> Vec<&'a Value> {
    let Some((first, rest)) = steps.split_first() else { return vec![value] };
    let next: Vec<&Value> = match (first, value) {
        (Step::Field(name), Value::Object(fields)) => fields.get(name).into_iter().collect(),
        (Step::Index(index), Value::Array(items)) => {
            let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
            let index = if *index < 0 { length + index } else { *index };
            usize::try_from(index).ok().and_then(|index| items.get(index)).into_iter().collect()
        }
        (Step::All, Value::Array(items)) => items.iter().collect(),
        (Step::All, Value::Object(fields)) => fields.values().collect(),
        (Step::Filter { path, comparison }, Value::Array(items)) => {
            items.iter().filter(|item| holds(path, comparison.as_ref(), item)).collect()
        }
        _ => Vec::new(),
    };
    next.into_iter().flat_map(|value| follow(rest, value)).collect()
}

fn holds(path: &[Step], comparison: Option<&(Operator, Value)>, item: &Value) -> bool {
    let found = follow(path, item);
    let Some((operator, wanted)) = comparison else { return !found.is_empty() };
    found.into_iter().any(|value| {
        let order = match (value.as_f64(), wanted.as_f64()) {
            (Some(a), Some(b)) => a.partial_cmp(&b),
            _ => value.as_str().zip(wanted.as_str()).map(|(a, b)| a.cmp(b)),
        };
        match operator {
            Operator::Equal => value == wanted || order.is_some_and(std::cmp::Ordering::is_eq),
            Operator::NotEqual => value != wanted,
            Operator::Less => order.is_some_and(std::cmp::Ordering::is_lt),
            Operator::LessOrEqual => order.is_some_and(std::cmp::Ordering::is_le),
            Operator::Greater => order.is_some_and(std::cmp::Ordering::is_gt),
            Operator::GreaterOrEqual => order.is_some_and(std::cmp::Ordering::is_ge),
        }
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case(".spec.modelID", json!(["m"]))]
    #[case(".metadata.labels.wva\\.llmd\\.ai/controller-instance", json!(["team-a"]))]
    #[case(".metadata.labels['wva.llmd.ai/controller-instance']", json!(["team-a"]))]
    #[case(".status.conditions[?(@.type==\"Ready\")].status", json!(["True"]))]
    #[case(".status.conditions[?(@.type=='MetricsAvailable')].reason", json!(["MetricsFound"]))]
    #[case("{.status.conditions[*].type}", json!(["Ready", "MetricsAvailable"]))]
    #[case(".status.conditions[-1].type", json!(["MetricsAvailable"]))]
    #[case(".status.conditions[?(@.weight>1)].type", json!(["MetricsAvailable"]))]
    #[case(".status.missing.deep", json!([]))]
    fn paths_lead_to_their_values(#[case] path: &str, #[case] expected: Value) {
        let object = json!({
            "metadata": {"labels": {"wva.llmd.ai/controller-instance": "team-a"}},
            "spec": {"modelID": "m"},
            "status": {"conditions": [
                {"type": "Ready", "status": "True", "weight": 1},
                {"type": "MetricsAvailable", "status": "False", "reason": "MetricsFound", "weight": 2},
            ]},
        });
        let found: Vec<Value> = JsonPath::parse(path).expect("a path").find(&object).into_iter().cloned().collect();
        assert_eq!(Value::Array(found), expected);
    }

    #[rstest]
    #[case(".spec[")]
    #[case(".spec[?(@.a==)]")]
    #[case("..spec")]
    fn what_is_no_path_is_refused(#[case] path: &str) {
        assert_eq!(JsonPath::parse(path), None);
    }
}
