//! Fields of one entry: taken by name, read strictly, and what is left over told.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::value;

/// Fields that have not been taken yet.
#[derive(Debug)]
pub struct Fields {
    values: BTreeMap<String, String>,
    known: Vec<&'static str>,
    notes: Vec<String>,
}

impl Fields {
    /// The fields of an entry.
    pub fn new(values: BTreeMap<String, String>) -> Self {
        Self { values, known: Vec::new(), notes: Vec::new() }
    }

    /// A text, by its name or another spelling; `None` when it is not there or empty.
    pub fn text(&mut self, names: &[&'static str]) -> Option<String> {
        self.known.extend(names.first());
        let taken = names.iter().filter_map(|name| self.values.remove(*name));
        // All spellings are taken, the first one counts.
        taken.fold(None, |first, value| first.or(Some(value))).filter(|value| !value.is_empty())
    }

    /// A number between 0 and 1.
    ///
    /// # Errors
    /// When it is something else.
    pub fn share(&mut self, name: &'static str) -> Result<Option<f64>, String> {
        self.number(name, |number| (0.0..=1.0).contains(&number), "between 0 and 1")
    }

    /// A number of at least 0.
    ///
    /// # Errors
    /// When it is something else.
    pub fn amount(&mut self, name: &'static str) -> Result<Option<f64>, String> {
        self.number(name, |number| number >= 0.0, "0 or more")
    }

    /// A number of at least 0, by its name or another spelling.
    ///
    /// # Errors
    /// When it is something else.
    pub fn amount_of(&mut self, names: &[&'static str]) -> Result<Option<f64>, String> {
        self.number_of(names, |number| number >= 0.0, "0 or more")
    }

    fn number(&mut self, name: &'static str, fits: impl Fn(f64) -> bool, range: &str) -> Result<Option<f64>, String> {
        self.number_of(&[name], fits, range)
    }

    fn number_of(
        &mut self,
        names: &[&'static str],
        fits: impl Fn(f64) -> bool,
        range: &str,
    ) -> Result<Option<f64>, String> {
        let name =
            names.iter().find(|name| self.values.contains_key(**name)).or(names.first()).copied().unwrap_or_default();
        let Some(text) = self.text(names) else { return Ok(None) };
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() && fits(number) => Ok(Some(number)),
            Ok(_) => Err(format!("`{name}: {text}` is out of range; it must be {range}")),
            Err(_) => Err(format!("`{name}: {text}` is not a number; it must be {range}")),
        }
    }

    /// True or false.
    ///
    /// # Errors
    /// When it is something else.
    pub fn bool(&mut self, name: &'static str) -> Result<Option<bool>, String> {
        let Some(text) = self.text(&[name]) else { return Ok(None) };
        value::parse_bool(&text).map(Some).map_err(|why| format!("`{name}: {text}` is not a boolean: {why}"))
    }

    /// A duration longer than zero.
    ///
    /// # Errors
    /// When it is something else.
    pub fn duration(&mut self, name: &'static str) -> Result<Option<Duration>, String> {
        let Some(text) = self.text(&[name]) else { return Ok(None) };
        match value::parse_duration(&text) {
            Ok(duration) if duration.is_zero() => Err(format!("`{name}: {text}` must be longer than zero")),
            Ok(duration) => Ok(Some(duration)),
            Err(why) => Err(format!("`{name}: {text}` is not a duration: {why}")),
        }
    }

    /// Takes a field that does not count here, and says so.
    pub fn elsewhere(&mut self, name: &'static str, where_it_counts: &str) {
        if self.text(&[name]).is_some() {
            self.notes.push(format!("`{name}` has no effect here: it counts {where_it_counts}"));
        }
    }

    /// What is to be said of the entry although it is used.
    pub fn finish(mut self) -> Vec<String> {
        for name in self.values.keys() {
            let known = self.known.join(", ");
            self.notes.push(format!("`{name}` is not known and has no effect (known are {known})"));
        }
        self.notes
    }
}
