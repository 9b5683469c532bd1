//! Upper and lower case, and the ways of writing several words as one: `camelCase`, `snake_case`, `kebab-case`.

use super::{Call, Entry, text};
use crate::bytes;
use crate::fault::Fault;
use crate::value::Value;

pub(super) const TABLE: &[Entry] = &[
    ("upper", 1, Some(1), |call| text(call.str(0)?.chars().map(upper).collect::<String>())),
    ("lower", 1, Some(1), |call| text(call.str(0)?.chars().map(lower).collect::<String>())),
    ("title", 1, Some(1), |call| text(title(&call.str(0)?))),
    ("untitle", 1, Some(1), |call| text(untitle(&call.str(0)?))),
    ("swapcase", 1, Some(1), |call| text(swap(&call.str(0)?))),
    ("initials", 1, Some(1), initials),
    ("camelcase", 1, Some(1), |call| text(camel(&call.str(0)?))),
    ("snakecase", 1, Some(1), |call| text(joined(&call.str(0)?, '_'))),
    ("kebabcase", 1, Some(1), |call| text(joined(&call.str(0)?, '-'))),
];

/// Go changes one character into one: `ß` has no upper case.
fn upper(character: char) -> char {
    let mut upper = character.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(single), None) => single,
        _ => character,
    }
}

/// The first of what Rust gives: `İ` is `i` without a dot of its own.
fn lower(character: char) -> char {
    character.to_lowercase().next().unwrap_or(character)
}

/// Upper case behind everything but letters, digits and underscores, as Go's `strings.Title`: `it's` is `It'S`.
fn title(value: &str) -> String {
    let mut after_separator = true;
    let mut out = String::new();
    for character in value.chars() {
        out.push(if after_separator { upper(character) } else { character });
        after_separator = match character {
            ascii if ascii.is_ascii() => !(ascii.is_ascii_alphanumeric() || ascii == '_'),
            other => other.is_whitespace(),
        };
    }
    out
}

/// Lower case at the beginning of every word.
fn untitle(value: &str) -> String {
    let mut at_start = true;
    let each = value.chars().map(|character| {
        let first = at_start && !character.is_whitespace();
        at_start = character.is_whitespace();
        if first { lower(character) } else { character }
    });
    each.collect()
}

fn swap(value: &str) -> String {
    value.chars().map(|character| if character.is_uppercase() { lower(character) } else { upper(character) }).collect()
}

/// The first byte of every word; Go takes the bytes of a word for characters.
fn initials(call: &Call<'_>) -> Result<Value, Fault> {
    let value = call.str(0)?;
    let mut at_start = true;
    let mut out = String::new();
    for byte in bytes::of(&value).iter() {
        let character = char::from(*byte);
        if !character.is_whitespace() && at_start {
            out.push(character);
        }
        at_start = character.is_whitespace();
    }
    text(out)
}

fn is_connector(character: char) -> bool {
    matches!(character, '-' | '_') || character.is_whitespace()
}

/// Words begin with a capital and are put together; of connectors in a row all but the last stay.
fn camel(value: &str) -> String {
    let mut out = String::new();
    let mut connectors = String::new();
    // What a letter becomes: upper at the start of a word, lower in the run of capitals that begins it.
    let (mut at_start, mut in_capitals) = (true, false);
    for character in value.chars() {
        if is_connector(character) {
            connectors.push(character);
            at_start = true;
            continue;
        }
        if !out.is_empty() {
            connectors.pop();
        }
        out.push_str(&std::mem::take(&mut connectors));
        if at_start {
            in_capitals = character.is_uppercase();
            out.push(upper(character));
        } else {
            in_capitals &= character.is_uppercase();
            out.push(if in_capitals { lower(character) } else { character });
        }
        at_start = false;
    }
    if out.is_empty() {
        // Of nothing but connectors Sprig writes the last one twice.
        connectors.extend(value.chars().last());
    }
    out + &connectors
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    /// Begins with a capital.
    Capital,
    Lower,
    Connector,
    Other,
}

/// Words in lower case with `connector` between them; a number belongs to the word before it unless lower case follows.
fn joined(value: &str, connector: char) -> String {
    let words = words(value);
    let mut out = String::new();
    let mut previous: Option<Kind> = None;
    for (index, (kind, word)) in words.iter().enumerate() {
        let next = words.get(index + 1).map(|(kind, _)| *kind);
        let apart = match (previous, kind) {
            (None | Some(Kind::Connector | Kind::Other), _)
            | (_, Kind::Connector | Kind::Other)
            | (Some(Kind::Number), Kind::Lower | Kind::Number) => false,
            (Some(_), Kind::Number) => next == Some(Kind::Lower),
            _ => true,
        };
        if apart {
            out.push(connector);
        }
        match kind {
            Kind::Connector => out.push(connector),
            _ => out.extend(word.chars().map(lower)),
        }
        // What follows a number without a gap is part of it: `2m3s`.
        let absorbed = previous == Some(Kind::Number) && *kind == Kind::Lower;
        previous = Some(if absorbed { Kind::Number } else { *kind });
    }
    out
}

fn words(value: &str) -> Vec<(Kind, String)> {
    let characters: Vec<char> = value.chars().collect();
    let mut words: Vec<(Kind, String)> = Vec::new();
    let mut at = 0;
    while at < characters.len() {
        let start = at;
        let run = |from: usize, fits: fn(&char) -> bool| {
            from + characters[from..].iter().take_while(|character| fits(character)).count()
        };
        let small: fn(&char) -> bool = |character| character.is_alphabetic() && !character.is_uppercase();
        let first = characters[at];
        let kind = if is_connector(first) {
            at += 1;
            Kind::Connector
        } else if first.is_numeric() {
            at = run(at, |character| character.is_numeric());
            Kind::Number
        } else if first.is_uppercase() {
            let capitals = run(at, |character| character.is_uppercase());
            at = match (capitals - at, characters.get(capitals)) {
                (1, _) => run(capitals, small),
                // In `HTTPServer` the last capital begins the next word.
                (_, Some(next)) if small(next) => capitals - 1,
                _ => capitals,
            };
            Kind::Capital
        } else if first.is_alphabetic() {
            at = run(at, small);
            Kind::Lower
        } else {
            // Connectors behind punctuation are punctuation.
            at = run(at + 1, |character| {
                !(character.is_alphanumeric() || character.is_whitespace()) && bytes::stray(*character).is_none()
            });
            Kind::Other
        };
        words.push((kind, characters[start..at].iter().collect()));
    }
    words
}
