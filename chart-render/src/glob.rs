//! Patterns of paths: Go's `filepath.Match`, and the wider ones of `.Files.Glob`.

use regex::Regex;

/// A pattern whose `*` and `?` stay within a segment; `[a-z]` and `[^a-z]` choose one character, `\` takes the next one
/// literally.
pub(crate) struct Segments(Vec<Token>);

enum Token {
    Literal(char),
    AnyOne,
    Any,
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Segments {
    /// None when the pattern is malformed.
    pub(crate) fn new(pattern: &str) -> Option<Self> {
        let mut tokens = Vec::new();
        let mut rest = pattern.chars().peekable();
        while let Some(character) = rest.next() {
            tokens.push(match character {
                '*' => Token::Any,
                '?' => Token::AnyOne,
                '\\' => Token::Literal(rest.next()?),
                '[' => {
                    let negated = rest.next_if_eq(&'^').is_some();
                    let mut ranges = Vec::new();
                    while ranges.is_empty() || rest.next_if_eq(&']').is_none() {
                        let low = class_member(&mut rest)?;
                        let high = if rest.next_if_eq(&'-').is_some() { class_member(&mut rest)? } else { low };
                        ranges.push((low, high));
                    }
                    Token::Class { negated, ranges }
                }
                literal => Token::Literal(literal),
            });
        }
        Some(Self(tokens))
    }

    /// Whether the whole path fits.
    pub(crate) fn is_match(&self, path: &str) -> bool {
        fits(&self.0, path)
    }
}

fn class_member(rest: &mut impl Iterator<Item = char>) -> Option<char> {
    match rest.next()? {
        '-' | ']' => None,
        '\\' => rest.next(),
        other => Some(other),
    }
}

fn fits(tokens: &[Token], text: &str) -> bool {
    let Some((token, tokens)) = tokens.split_first() else { return text.is_empty() };
    let mut rest = text.chars();
    if matches!(token, Token::Any) {
        loop {
            if fits(tokens, rest.as_str()) {
                return true;
            }
            if rest.next().is_none_or(|character| character == '/') {
                return false;
            }
        }
    }
    let Some(character) = rest.next() else { return false };
    let first_fits = match token {
        Token::Literal(literal) => character == *literal,
        Token::AnyOne | Token::Any => character != '/',
        Token::Class { negated, ranges } => {
            ranges.iter().any(|(low, high)| (*low..=*high).contains(&character)) != *negated
        }
    };
    first_fits && fits(tokens, rest.as_str())
}

/// As [`Segments`], and `**` crosses segments, `{a,b}` chooses.
pub(crate) fn paths(pattern: &str) -> Option<Regex> {
    let mut expression = String::from("(?s)^");
    let mut depth = 0_usize;
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '*' if characters.next_if_eq(&'*').is_some() => expression.push_str(".*"),
            '*' => expression.push_str("[^/]*"),
            '?' => expression.push_str("[^/]"),
            '\\' => expression.push_str(&regex::escape(&characters.next()?.to_string())),
            '{' => {
                depth += 1;
                expression.push_str("(?:");
            }
            '}' if depth > 0 => {
                depth -= 1;
                expression.push(')');
            }
            ',' if depth > 0 => expression.push('|'),
            '[' => {
                expression.push('[');
                if characters.next_if_eq(&'!').is_some() || characters.next_if_eq(&'^').is_some() {
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
        let pattern = Segments::new("templates/*.yaml").expect("pattern");
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
        for pattern in ["a[", "a[]", "[-a]", "a\\"] {
            assert!(Segments::new(pattern).is_none(), "{pattern}");
        }
        assert!(Segments::new("a[b-c]").expect("pattern").is_match("ab"));
    }
}
