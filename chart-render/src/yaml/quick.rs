//! Reads the YAML that charts mostly consist of, an order of magnitude faster than the full reader.
//!
//! Block maps and lists of scalars on one line, and literal blocks. Whatever might mean something else in
//! YAML (anchors, tags, flow, folded text, times, numbers of another base) is not read here at all, so there is one
//! rule: what this gives, the full reader gives too. A test draws texts to prove it.

use serde_json::{Map, Value as Json};

use super::word::{key, scalar};

/// The document, or none when it is for the full reader.
pub(super) fn parse(text: &str) -> Option<Json> {
    if !text.chars().all(is_ordinary) {
        return None;
    }
    let lines = text.split('\n').map(Line::new).collect();
    let mut reader = Reader { lines, at: 0 };
    let first = reader.content()?;
    if first.indent != 0 {
        return None;
    }
    let json = reader.block(0)?;
    reader.content().is_none().then_some(json)
}

/// Characters that are printable to every reader and break no line but for `\n`.
fn is_ordinary(character: char) -> bool {
    match character {
        '\n' | ' '..='~' => true,
        '\u{2028}' | '\u{2029}' | '\u{feff}' => false,
        other => matches!(other, '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}'),
    }
}

/// A line; within a list item the part behind the dash is a line of its own.
#[derive(Clone, Copy)]
struct Line<'a> {
    indent: usize,
    /// Without the blanks on both sides.
    text: &'a str,
    raw: &'a str,
}

impl<'a> Line<'a> {
    fn new(raw: &'a str) -> Self {
        let text = raw.trim_start_matches(' ');
        Self { indent: raw.len() - text.len(), text: text.trim_end_matches(' '), raw }
    }

    fn is_item(&self) -> bool {
        self.text == "-" || self.text.starts_with("- ")
    }
}

struct Reader<'a> {
    lines: Vec<Line<'a>>,
    at: usize,
}

impl<'a> Reader<'a> {
    /// The next line that is neither blank nor a comment.
    fn content(&mut self) -> Option<Line<'a>> {
        loop {
            let line = self.lines.get(self.at)?;
            if !line.text.is_empty() && !line.text.starts_with('#') {
                return Some(*line);
            }
            self.at += 1;
        }
    }

    fn block(&mut self, indent: usize) -> Option<Json> {
        if self.content()?.is_item() { self.list(indent) } else { self.map(indent) }
    }

    fn map(&mut self, indent: usize) -> Option<Json> {
        let mut map = Map::new();
        while let Some(line) = self.content().filter(|line| line.indent >= indent) {
            // A line further in goes on with the scalar before it; `---` and `...` end a document.
            if line.indent > indent || line.is_item() || line.text.starts_with("---") || line.text.starts_with("...") {
                return None;
            }
            let (key, rest) = key(line.text)?;
            self.at += 1;
            let value = self.value(rest, indent)?;
            if map.insert(key.to_owned(), value).is_some() {
                return None;
            }
        }
        Some(Json::Object(map))
    }

    /// What belongs to a key.
    fn value(&mut self, rest: &str, indent: usize) -> Option<Json> {
        match rest {
            "|" => self.literal(indent, "\n"),
            "|-" => self.literal(indent, ""),
            _ if rest.is_empty() || rest.starts_with('#') => match self.content() {
                Some(below) if below.indent > indent => self.block(below.indent),
                // A list may stand right below its key.
                Some(below) if below.indent == indent && below.is_item() => self.list(indent),
                _ => Some(Json::Null),
            },
            _ => scalar(rest),
        }
    }

    fn list(&mut self, indent: usize) -> Option<Json> {
        let mut items = Vec::new();
        while let Some(line) = self.content().filter(|line| line.indent >= indent) {
            if line.indent > indent {
                return None;
            }
            if !line.is_item() {
                break;
            }
            let rest = line.text[1..].trim_start_matches(' ');
            let inner = Line { indent: indent + line.text.len() - rest.len(), text: rest, raw: line.raw };
            if rest.is_empty() || rest.starts_with('#') || inner.is_item() {
                return None;
            }
            if key(rest).is_some() {
                self.lines[self.at] = inner;
                items.push(self.map(inner.indent)?);
            } else {
                self.at += 1;
                items.push(scalar(rest)?);
            }
        }
        Some(Json::Array(items))
    }

    /// The lines of a literal block that belongs to a key at `indent`.
    fn literal(&mut self, indent: usize, end: &str) -> Option<Json> {
        let first = self.lines.get(self.at)?;
        let depth = first.indent;
        // Blank lines at the beginning and an empty block are left to the full reader.
        if first.text.is_empty() || depth <= indent {
            return None;
        }
        let mut text = String::new();
        let mut blank = 0;
        while let Some(line) = self.lines.get(self.at) {
            if line.raw.len() <= depth && line.text.is_empty() {
                blank += 1;
            } else if line.indent < depth {
                if line.indent > indent || line.text.starts_with('#') {
                    return None;
                }
                break;
            } else {
                (0..blank).for_each(|_| text.push('\n'));
                blank = 0;
                if !text.is_empty() {
                    text.push('\n');
                }
                text.push_str(&line.raw[depth..]);
            }
            self.at += 1;
        }
        // The text may end within the block, without a line break.
        if blank == 0 && self.at == self.lines.len() {
            return None;
        }
        text.push_str(end);
        Some(Json::String(text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::compose;
    use super::*;

    /// Pieces that lines are drawn from; most mean something in YAML.
    const PIECES: &[&str] = &[
        "a",
        "b: ",
        "key:",
        "- ",
        "-",
        " ",
        "  ",
        "    ",
        "\n",
        "\n  ",
        "\n    ",
        "\n- ",
        "\n  - ",
        "#",
        " # c",
        "|",
        "|-",
        "|\n  ",
        "|\n    x",
        ">",
        "\"",
        "'",
        "\"x\"",
        "'it''s'",
        "\\n",
        "\\",
        "{}",
        "[]",
        "{",
        "]",
        ",",
        "[a, b]",
        "[\"a\", \"b\"]",
        "&a",
        "*a",
        "!!str",
        "%",
        "@",
        "`",
        "?",
        "? ",
        ":",
        ": ",
        "~",
        "null",
        "true",
        "yes",
        "on",
        "y",
        "No",
        "0",
        "1",
        "-1",
        "01",
        "0x1F",
        "1e3",
        "1.5",
        ".5",
        "1.",
        "1_000",
        "10s",
        "1:30",
        "2024-01-02",
        ".inf",
        "-.inf",
        ".nan",
        "1.2.3",
        "50%",
        "http://x:1",
        "/a/b",
        "--flag=x",
        "---",
        "...",
        "<<",
        "=",
        "\t",
        "é",
        "…",
        "\u{a0}",
        "\u{2028}",
        "\u{85}",
        "😀",
        "a b",
        "x-y.z/w: ",
        "\"k\": ",
        "'k': ",
        "\n\n",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn what_it_reads_the_full_reader_reads_too(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..24)) {
            let text = pieces.concat();
            if let Some(quick) = parse(&text) {
                prop_assert_eq!(compose::document(&text), Ok(quick), "{:?}", text);
            }
        }
    }

    #[test]
    fn it_reads_what_charts_consist_of() {
        let text = "# c\napiVersion: v1\nmetadata:\n  name: a-b # c\n  labels:\n    x/y: \"1\"\n    z: 'it''s'\n\nargs:\n- --a=b\n\
                    - name: x\n  value: 10s\n  on_top: true\ncount: 5\nf: 0.5\nempty: {}\nnone:\ntext: |\n  a\n\n    b\nlast: [a, b]\n";
        let read = parse(text);
        assert!(read.is_some());
        assert_eq!(read, compose::document(text).ok());
    }

    #[test]
    fn it_leaves_alone_what_may_mean_something_else() {
        for text in [
            "a: yes",
            "a: 0644",
            "a: &x 1",
            "a: 1e3",
            "a: b\n  c",
            "a: 1\na: 2",
            "a:\tb",
            "a: é",
            "- - a",
            "a: >\n  b",
            "a: |\n  b",
            "",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
