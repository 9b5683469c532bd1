//! The way out: data to one stream, everything else to the other.

use std::io::Write;

use serde::Serialize;

use crate::Error;
use crate::cli::Format;

/// A count with its noun: `1 variant`, `2 variants`.
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
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
