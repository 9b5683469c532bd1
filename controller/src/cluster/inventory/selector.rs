//! Checking a label selector before the API server sees it: a mistake in the configuration is to end the start, not to
//! make a watch fail for ever.

/// Longest name or value of a label, and longest prefix of a name.
const LONGEST: (usize, usize) = (63, 253);

/// Checks a selector: requirements as `kubectl get --selector` takes them, separated by commas.
///
/// # Errors
/// What is wrong with it, in words for a person.
pub fn check(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Ok(());
    }
    split(text).into_iter().try_for_each(requirement)
}

/// At commas outside of parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    let mut requirements = Vec::new();
    let mut start = 0;
    for (at, char) in text.char_indices() {
        match char {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                requirements.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    requirements.push(&text[start..]);
    requirements
}

fn requirement(text: &str) -> Result<(), String> {
    let text = text.trim();
    if let Some(name) = text.strip_prefix('!') {
        return key(name.trim());
    }
    if let Some(list) = text.strip_suffix(')') {
        let (head, values) = list.split_once('(').ok_or_else(|| format!("has a ) without a ( in {text:?}"))?;
        let (name, operator) = head.trim_end().rsplit_once(char::is_whitespace).unwrap_or((head, ""));
        if !matches!(operator, "in" | "notin") {
            return Err(format!("has neither `in` nor `notin` before the ( in {text:?}"));
        }
        key(name.trim())?;
        return values.split(',').try_for_each(|item| value(item.trim()));
    }
    for operator in ["!=", "==", "="] {
        if let Some((name, wanted)) = text.split_once(operator) {
            key(name.trim())?;
            return value(wanted.trim());
        }
    }
    if let Some((name, number)) = text.split_once(['<', '>']) {
        key(name.trim())?;
        let number = number.trim();
        return number
            .parse::<i64>()
            .map(drop)
            .map_err(|_| format!("compares with {number:?}, which is no whole number"));
    }
    key(text)
}

fn key(text: &str) -> Result<(), String> {
    let (prefix, name) = text.rsplit_once('/').unwrap_or(("", text));
    let is_name = !name.is_empty() && name.len() <= LONGEST.0 && is_word(name, "-_.");
    let labels_ok = prefix.split('.').all(|part| is_word(part, "-") && part == part.to_ascii_lowercase());
    let is_prefix = !text.contains('/') || (!prefix.is_empty() && prefix.len() <= LONGEST.1 && labels_ok);
    if is_name && is_prefix { Ok(()) } else { Err(format!("has {text:?} where the name of a label must stand")) }
}

fn value(text: &str) -> Result<(), String> {
    let is_value = text.len() <= LONGEST.0 && (text.is_empty() || is_word(text, "-_."));
    if is_value { Ok(()) } else { Err(format!("has {text:?}, which is no value of a label")) }
}

/// Letters and digits, with the other characters allowed in between.
fn is_word(text: &str, between: &str) -> bool {
    let ends = |char: Option<char>| char.is_some_and(|char| char.is_ascii_alphanumeric());
    ends(text.chars().next())
        && ends(text.chars().next_back())
        && text.chars().all(|char| char.is_ascii_alphanumeric() || between.contains(char))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::equality("pool=gpu")]
    #[case::double("pool == gpu , zone!=b")]
    #[case::existence("nvidia.com/gpu.present,!spot")]
    #[case::sets("zone in (a, b),tier notin (dev)")]
    #[case::comparison("gpu-count>3,gpu-count<9")]
    #[case::empty_value("pool=")]
    #[case::everything("")]
    fn a_selector_as_kubectl_takes_it(#[case] text: &str) {
        assert_eq!(check(text), Ok(()));
    }

    #[rstest]
    #[case::no_key("=gpu", "name of a label")]
    #[case::trailing_comma("pool=gpu,", "name of a label")]
    #[case::space_in_value("pool=a b", "no value")]
    #[case::word("pool is gpu", "name of a label")]
    #[case::unclosed("zone in (a", "name of a label")]
    #[case::unopened("zone in a)", "without a (")]
    #[case::unknown_operator("zone within (a)", "neither")]
    #[case::no_number("gpu-count>many", "whole number")]
    #[case::capitals_in_the_prefix("Nvidia.com/gpu=1", "name of a label")]
    #[case::long_value(&format!("a={}", "x".repeat(64)), "no value")]
    fn a_selector_that_cannot_be_says_what_is_wrong(#[case] text: &str, #[case] why: &str) {
        let error = check(text).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}
