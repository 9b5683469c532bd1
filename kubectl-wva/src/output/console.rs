//! The way out: data to one stream, everything else to the other.

use std::io::Write;

use serde::Serialize;

use crate::Error;
use crate::output::Format;

/// A count with its noun: `1 variant`, `2 variants`.
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A sentence in lines, those after the first as far in as the sentence and four blanks more. Styles within it take no
/// room, and are kept with the word they stand at.
fn hung(sentence: &str, width: usize) -> Vec<String> {
    let visible = |text: &str| anstream::adapter::strip_str(text).to_string().chars().count();
    if visible(sentence) <= width {
        return vec![sentence.to_owned()];
    }
    let indent = sentence.len() - sentence.trim_start().len();
    let hang = " ".repeat(indent + 4);
    let mut lines = vec![" ".repeat(indent)];
    let mut begun = false;
    // Blanks in a row stand for a layout; they are kept within a line.
    for word in sentence.trim_start().split(' ') {
        let Some(line) = lines.last_mut() else { break };
        let length = visible(line);
        if begun && length + 1 + visible(word) > width && length > hang.len() {
            lines.push(format!("{hang}{word}"));
        } else {
            if begun {
                line.push(' ');
            }
            line.push_str(word);
            begun = true;
        }
    }
    lines.into_iter().map(|line| line.trim_end().to_owned()).collect()
}

/// Where and how a command prints. The streams drop colours where they are not wanted, so whoever prints a line for
/// people may always style it.
pub struct Console<'a> {
    /// Standard output: the answer.
    pub out: &'a mut dyn Write,
    /// Standard error: progress, warnings, hints.
    pub err: &'a mut dyn Write,
    /// Form of the answer.
    pub format: Format,
    /// Whether tables have headers.
    pub headers: bool,
    /// Columns of the terminal; `None` when the answer goes elsewhere and lines may be of any length.
    pub width: Option<u16>,
}

impl Console<'_> {
    /// Prints text of the answer as it is.
    pub fn data(&mut self, text: &str) -> Result<(), Error> {
        self.out.write_all(text.as_bytes()).map_err(Error::Output)
    }

    /// Prints lines of the answer.
    pub fn lines(&mut self, lines: impl IntoIterator<Item = String>) -> Result<(), Error> {
        lines.into_iter().try_for_each(|line| writeln!(self.out, "{line}").map_err(Error::Output))
    }

    /// Prints sentences of the answer, on a terminal broken between words; what follows the first line of one stands a
    /// little further in.
    pub fn prose(&mut self, sentences: impl IntoIterator<Item = String>) -> Result<(), Error> {
        let width = self.width.map(usize::from);
        let lines = sentences.into_iter().flat_map(|sentence| match width {
            Some(width) => hung(&sentence, width),
            None => vec![sentence],
        });
        self.lines(lines)
    }

    /// Prints a line beside the answer.
    pub fn note(&mut self, line: &str) -> Result<(), Error> {
        writeln!(self.err, "{line}").map_err(Error::Output)
    }

    /// Prints a view as JSON.
    pub fn json(&mut self, view: &impl Serialize) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(view).map_err(|error| Error::Encode(error.to_string()))?;
        self.data(&format!("{text}\n"))
    }

    /// Prints a view as YAML.
    pub fn yaml(&mut self, view: &impl Serialize) -> Result<(), Error> {
        let text = serde_saphyr::to_string(view).map_err(|error| Error::Encode(error.to_string()))?;
        self.data(&text)
    }
}
