//! Patterns of paths: Go's `filepath.Match`, and the wider ones of `.Files.Glob`.

use regex::Regex;

/// `*` and `?` stay within a segment; `[a-z]` and `[^a-z]` choose one character, `\` takes the next one literally.
pub(crate) fn segments(pattern: &str) -> Option<Regex> {
    compile(pattern, false)
}

/// As [`segments`], and `**` crosses segments, `{a,b}` chooses.
pub(crate) fn paths(pattern: &str) -> Option<Regex> {
    compile(pattern, true)
}

fn compile(pattern: &str, wide: bool) -> Option<Regex> {
    let mut expression = String::from("(?s)^");
    let mut depth = 0_usize;
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '*' if wide && characters.next_if_eq(&'*').is_some() => expression.push_str(".*"),
            '*' => expression.push_str("[^/]*"),
            '?' => expression.push_str("[^/]"),
            '\\' => expression.push_str(&regex::escape(&characters.next()?.to_string())),
            '{' if wide => {
                depth += 1;
                expression.push_str("(?:");
            }
            '}' if wide && depth > 0 => {
                depth -= 1;
                expression.push(')');
            }
            ',' if depth > 0 => expression.push('|'),
            '[' => {
                expression.push('[');
                if wide && characters.next_if_eq(&'!').is_some() || characters.next_if_eq(&'^').is_some() {
                    expression.push('^');
                }
                loop {
                    match characters.next()? {
                        ']' => break,
                        '\\' => expression.push_str(&regex::escape(&characters.next()?.to_string())),
                        '-' => expression.push('-'),
                        other => expression.push_str(&regex::escape(&other.to_string())),
                    }
                }
                expression.push(']');
            }
            other => expression.push_str(&regex::escape(&other.to_string())),
        }
    }
    expression.push('$');
    Regex::new(&expression).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_within_a_segment() {
        let pattern = segments("templates/*.yaml").expect("pattern");
        assert!(pattern.is_match("templates/a.yaml"));
        assert!(!pattern.is_match("templates/b/a.yaml"));
    }

    #[test]
    fn two_stars_cross_segments_and_braces_choose() {
        let pattern = paths("conf/**.{yaml,json}").expect("pattern");
        assert!(pattern.is_match("conf/a/b.json"));
        assert!(!pattern.is_match("conf/a/b.txt"));
    }

    #[test]
    fn an_open_class_is_no_pattern() {
        assert!(segments("a[").is_none());
        assert!(segments("a[b-c]").expect("pattern").is_match("ab"));
    }
}
