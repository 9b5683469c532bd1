//! Writes YAML byte for byte as Helm's `toYaml` does (go-yaml v2): block style, lists not indented under their key,
//! keys in natural order, long plain text folded after column 80.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value as Json};

use super::resolve::is_plain_string;
use super::shape::{Shape, escape, is_break, is_printable};
use crate::{bytes, numbers};

/// Spaces per level.
const INDENT: usize = 2;
/// The first space beyond this column becomes a line break where the style allows it.
const BEST_WIDTH: usize = 80;
/// Longer keys, in bytes, and those of several lines stand behind a `?`.
const LONGEST_SIMPLE_KEY: usize = 128;

/// One document without the final line break.
pub(crate) fn to_yaml(json: &Json) -> String {
    write(json, 0)
}

/// As [`to_yaml`], with lists indented under their key.
pub(crate) fn to_yaml_pretty(json: &Json) -> String {
    write(json, INDENT)
}

fn write(json: &Json, list_indent: usize) -> String {
    let mut emitter = Emitter { out: String::new(), column: 0, list_indent };
    match json {
        Json::Object(map) if !map.is_empty() => emitter.mapping(map, 0),
        Json::Array(items) if !items.is_empty() => emitter.sequence(items, 0),
        scalar => emitter.scalar(scalar, INDENT, false),
    }
    emitter.out.truncate(emitter.out.strip_suffix('\n').unwrap_or(&emitter.out).len());
    emitter.out
}

struct Emitter {
    out: String,
    /// Characters since the last line break; decides about folding.
    column: usize,
    /// How far a list stands to the right of its key.
    list_indent: usize,
}

impl Emitter {
    fn put(&mut self, character: char) {
        self.out.push(character);
        self.column = if is_break(character) { 0 } else { self.column + 1 };
    }

    fn text(&mut self, text: &str) {
        text.chars().for_each(|character| self.put(character));
    }

    fn new_line(&mut self, indent: usize) {
        self.put('\n');
        (0..indent).for_each(|_| self.put(' '));
    }

    /// Moves to `indent`; behind a dash (`- - 1`, `- a: 1`) the position is already there.
    fn begin(&mut self, indent: usize) {
        while self.column < indent {
            self.put(' ');
        }
    }

    fn mapping(&mut self, map: &Map<String, Json>, indent: usize) {
        let mut keys: Vec<&String> = map.keys().collect();
        keys.sort_by(|a, b| natural(a, b));
        for key in keys {
            self.begin(indent);
            let simple = key.len() <= LONGEST_SIMPLE_KEY && !key.chars().any(is_break);
            if simple {
                self.string(key, indent + INDENT, true);
            } else {
                self.text("? ");
                self.string(key, indent + INDENT, false);
                self.end_line();
                self.begin(indent);
            }
            self.put(':');
            match &map[key] {
                // Behind a key on lines of its own they begin on the line of the colon.
                Json::Object(inner) if !inner.is_empty() => {
                    self.end_line_if(simple);
                    self.mapping(inner, indent + INDENT);
                }
                Json::Array(items) if !items.is_empty() => {
                    self.end_line_if(simple);
                    self.sequence(items, indent + if simple { self.list_indent } else { INDENT });
                }
                scalar => {
                    self.put(' ');
                    self.scalar(scalar, indent + INDENT, false);
                    self.end_line();
                }
            }
        }
    }

    fn sequence(&mut self, items: &[Json], indent: usize) {
        for item in items {
            self.begin(indent);
            self.text("- ");
            match item {
                Json::Object(map) if !map.is_empty() => self.mapping(map, indent + INDENT),
                Json::Array(inner) if !inner.is_empty() => self.sequence(inner, indent + INDENT),
                scalar => {
                    self.scalar(scalar, indent + INDENT, false);
                    self.end_line();
                }
            }
        }
    }

    fn end_line(&mut self) {
        self.end_line_if(self.column > 0);
    }

    fn end_line_if(&mut self, ends: bool) {
        if ends {
            self.put('\n');
        }
    }

    fn scalar(&mut self, json: &Json, indent: usize, key: bool) {
        match json {
            Json::Null => self.text("null"),
            Json::Bool(value) => self.text(if *value { "true" } else { "false" }),
            Json::Number(number) => self.text(&format_number(number)),
            Json::String(text) => self.string(text, indent, key),
            Json::Array(_) => self.text("[]"),
            Json::Object(_) => self.text("{}"),
        }
    }

    fn string(&mut self, text: &str, indent: usize, key: bool) {
        let text = &*bytes::replaced(text);
        let shape = Shape::of(text);
        if text.contains('\n') {
            if shape.block_allowed && !key { self.literal(text, indent) } else { self.double_quoted(text, indent, key) }
        } else if !is_plain_string(text) {
            self.double_quoted(text, indent, key);
        } else if shape.plain_allowed && !(key && shape.multiline) {
            self.plain(text, indent, key);
        } else if shape.single_quoted_allowed && !(key && shape.multiline) {
            self.single_quoted(text, indent, key);
        } else {
            self.double_quoted(text, indent, key);
        }
    }

    fn plain(&mut self, text: &str, indent: usize, key: bool) {
        let mut after_space = false;
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            if character == ' ' {
                if !key && !after_space && self.column > BEST_WIDTH && characters.peek() != Some(&' ') {
                    self.new_line(indent);
                } else {
                    self.put(' ');
                }
                after_space = true;
            } else {
                self.put(character);
                after_space = false;
            }
        }
    }

    fn single_quoted(&mut self, text: &str, indent: usize, key: bool) {
        self.put('\'');
        let (mut after_space, mut after_break) = (false, false);
        let last = text.chars().count().saturating_sub(1);
        let mut characters = text.chars().enumerate().peekable();
        while let Some((index, character)) = characters.next() {
            if character == ' ' {
                let next_is_space = characters.peek().is_some_and(|(_, next)| *next == ' ');
                let inside = index > 0 && index < last;
                if !key && !after_space && self.column > BEST_WIDTH && inside && !next_is_space {
                    self.new_line(indent);
                } else {
                    self.put(' ');
                }
                after_space = true;
            } else if is_break(character) {
                self.put(character);
                after_break = true;
            } else {
                if after_break {
                    (0..indent).for_each(|_| self.put(' '));
                }
                if character == '\'' {
                    self.put('\'');
                }
                self.put(character);
                (after_space, after_break) = (false, false);
            }
        }
        self.put('\'');
    }

    fn double_quoted(&mut self, text: &str, indent: usize, key: bool) {
        self.put('"');
        let mut after_space = false;
        let last = text.chars().count().saturating_sub(1);
        // go-yaml looks for a byte order mark at the beginning of the text whichever character it writes.
        let marked = text.starts_with('\u{feff}');
        let mut characters = text.chars().enumerate().peekable();
        while let Some((index, character)) = characters.next() {
            if marked || !is_printable(character) || is_break(character) || character == '"' || character == '\\' {
                self.text(&escape(character));
                after_space = false;
            } else if character == ' ' {
                if !key && !after_space && self.column > BEST_WIDTH && index > 0 && index < last {
                    self.new_line(indent);
                    if characters.peek().is_some_and(|(_, next)| *next == ' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(' ');
                }
                after_space = true;
            } else {
                self.put(character);
                after_space = false;
            }
        }
        self.put('"');
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.put('|');
        if text.starts_with([' ', '\n']) {
            self.put('2');
        }
        if !text.ends_with('\n') {
            self.put('-');
        } else if text == "\n" || text.ends_with("\n\n") {
            self.put('+');
        }
        self.put('\n');
        let mut after_break = true;
        for character in text.chars() {
            if is_break(character) {
                self.put(character);
                after_break = true;
            } else {
                if after_break {
                    (0..indent).for_each(|_| self.put(' '));
                }
                self.put(character);
                after_break = false;
            }
        }
    }
}

fn format_number(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => match numbers::to_json(float) {
            Json::Number(whole) if !whole.is_f64() => whole.to_string(),
            _ => numbers::format_g(float),
        },
        _ => number.to_string(),
    }
}

/// go-yaml's order of keys: letters after everything else, and runs of digits by their number, so `a2` before `a10`.
fn natural(left: &str, right: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let Some(index) = a.iter().zip(&b).position(|(x, y)| x != y) else { return a.len().cmp(&b.len()) };
    match (a[index].is_alphabetic(), b[index].is_alphabetic()) {
        (true, true) => return a[index].cmp(&b[index]),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    // A zero after other digits continues their number: compare as if both began with the same non-zero digit.
    let continues = (a[index] == '0' || b[index] == '0')
        && a[..index].iter().rev().take_while(|digit| digit.is_numeric()).any(|digit| *digit != '0');
    let number = |text: &[char]| {
        let digits = text[index..].iter().take_while(|digit| digit.is_ascii_digit());
        let start = i64::from(continues);
        digits.fold((start, 0_usize), |(value, count), digit| {
            let digit = i64::from(digit.to_digit(10).unwrap_or(0));
            (value.wrapping_mul(10).wrapping_add(digit), count + 1)
        })
    };
    number(&a).cmp(&number(&b)).then(a[index].cmp(&b[index]))
}
