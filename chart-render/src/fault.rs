//! A failure inside a template, with the way that led to it.

use std::fmt;

/// One place in a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The file, as helm names it: `<chart>/templates/<file>`.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The text of that line.
    pub excerpt: String,
}

/// What failed, and where: the innermost place first, then the `include`s that led there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong, in Go's words where Go has them.
    pub message: String,
    /// The places, innermost first.
    pub sites: Vec<Site>,
    /// Set by `fail` and `required`: the chart's author speaks, not the engine.
    pub by_author: bool,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), sites: Vec::new(), by_author: false }
    }

    pub(crate) fn author(message: impl Into<String>) -> Self {
        Self { by_author: true, ..Self::new(message) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((site, callers)) = self.sites.split_first() else { return write!(formatter, "{}", self.message) };
        let Site { file, line, column, excerpt } = site;
        write!(formatter, "{file}:{line}:{column}: {}\n{line:>5} | {excerpt}", self.message)?;
        write!(formatter, "\n      | {:>column$}", "^")?;
        for caller in callers {
            write!(formatter, "\n  called from {}:{}:{}", caller.file, caller.line, caller.column)?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}
