//! Entries of one ConfigMap. Each is read on its own, so that a bad one spoils no other.

use std::collections::BTreeMap;

use wva_api::config_maps::DEFAULT_ENTRY;

use super::fields::Fields;
use crate::config::flat;

/// Where a ConfigMap is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the controller's namespace: it holds for all.
    Global,
    /// In this namespace of workloads: it holds for that one.
    Local(String),
}

/// What an entry is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// All models that no other entry is about.
    Default,
    /// One model.
    Model {
        /// Its name, as clients ask for it.
        model_id: String,
        /// Its namespace; `None` for all.
        namespace: Option<String>,
    },
}

/// What an entry says. What it leaves out is inherited.
pub trait Entry: Clone + PartialEq + std::fmt::Debug {
    /// Name of such entries in logs and events.
    const KIND: &'static str;
    /// Whether an entry about a model in a global ConfigMap has to name the model's namespace.
    const NEEDS_NAMESPACE: bool;

    /// Reads the fields. `counts_for_all` is true in the entry `default` of a global ConfigMap.
    ///
    /// # Errors
    /// What is wrong, in words for a person.
    fn read(fields: &mut Fields, counts_for_all: bool) -> Result<Self, String>;
}

/// The entries of one ConfigMap.
#[derive(Clone, Debug, PartialEq)]
pub struct Entries<E> {
    /// What is in force, by key of the ConfigMap.
    by_key: BTreeMap<String, (Subject, E)>,
    /// What is wrong with a key, in words.
    problems: BTreeMap<String, Problem>,
}

/// What is wrong with an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It cannot be used.
    Refused {
        /// Why.
        why: String,
        /// Whether an earlier version of it stays in force.
        kept: bool,
    },
    /// It is used, but not all of it.
    Partly(String),
}

impl<E> Default for Entries<E> {
    fn default() -> Self {
        Self { by_key: BTreeMap::new(), problems: BTreeMap::new() }
    }
}

impl<E: Entry> Entries<E> {
    /// Reads a ConfigMap. An entry that cannot be used stays as it was in `before`, the last version of the same object.
    /// Of several entries about the same, the first key counts.
    pub fn read(data: &BTreeMap<String, String>, place: &Place, before: Option<&Self>) -> Self {
        let mut entries = Self::default();
        let mut subjects: BTreeMap<Subject, &str> = BTreeMap::new();
        for (key, text) in data {
            let before = before.and_then(|before| before.by_key.get(key));
            let (entry, problem) = match read::<E>(key, text, place) {
                Ok((entry, notes)) => (Some(entry), (!notes.is_empty()).then(|| Problem::Partly(notes.join("; ")))),
                Err(why) => (before.cloned(), Some(Problem::Refused { why, kept: before.is_some() })),
            };
            if let Some(problem) = problem {
                entries.problems.insert(key.clone(), problem);
            }
            let Some(entry) = entry else { continue };
            if let Some(first) = subjects.get(&entry.0) {
                let why = format!("is about the same as entry `{first}`, which counts; remove one of them");
                entries.problems.insert(key.clone(), Problem::Refused { why, kept: false });
            } else {
                subjects.insert(entry.0.clone(), key);
                entries.by_key.insert(key.clone(), entry);
            }
        }
        entries
    }

    /// How many entries are in force.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether none is in force.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// What is wrong, by key.
    pub fn problems(&self) -> &BTreeMap<String, Problem> {
        &self.problems
    }

    /// What is in force: key, what it is about, and what it says.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Subject, &E)> {
        self.by_key.iter().map(|(key, (subject, entry))| (key.as_str(), subject, entry))
    }

    /// The entry for all models.
    pub fn default_entry(&self) -> Option<&E> {
        self.about(&Subject::Default)
    }

    /// The entry about a model: one that names its namespace before one that names none.
    pub fn of_model(&self, namespace: &str, model_id: &str) -> Option<&E> {
        let subject = |namespace| Subject::Model { model_id: model_id.to_owned(), namespace };
        self.about(&subject(Some(namespace.to_owned()))).or_else(|| self.about(&subject(None)))
    }

    fn about(&self, subject: &Subject) -> Option<&E> {
        self.by_key.values().find(|(of, _)| of == subject).map(|(_, entry)| entry)
    }
}

type Read<E> = ((Subject, E), Vec<String>);

fn read<E: Entry>(key: &str, text: &str, place: &Place) -> Result<Read<E>, String> {
    let mut fields = Fields::new(flat::parse(text)?);
    let subject = subject::<E>(key, &mut fields, place)?;
    let counts_for_all = *place == Place::Global && subject == Subject::Default;
    let entry = E::read(&mut fields, counts_for_all)?;
    Ok(((subject, entry), fields.finish()))
}

fn subject<E: Entry>(key: &str, fields: &mut Fields, place: &Place) -> Result<Subject, String> {
    let model_id = fields.text(&["model_id", "modelID", "modelId"]);
    let namespace = fields.text(&["namespace"]);
    if key == DEFAULT_ENTRY {
        return Ok(Subject::Default);
    }
    let model_id = model_id.ok_or("names no model; add `model_id`, the name that clients ask for")?;
    let namespace = match (place, namespace) {
        (Place::Local(own), Some(other)) if *own != other => {
            return Err(format!(
                "is about namespace {other:?}, but a ConfigMap here counts for {own:?} only; move it there"
            ));
        }
        (Place::Local(own), _) => Some(own.clone()),
        (Place::Global, None) if E::NEEDS_NAMESPACE => {
            return Err("names no namespace; add `namespace`, where the model runs".to_owned());
        }
        (Place::Global, namespace) => namespace,
    };
    Ok(Subject::Model { model_id, namespace })
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused { why, kept: true } => write!(f, "{why}; the last good version of it stays in force"),
            Self::Refused { why, kept: false } => write!(f, "{why}; it is left out"),
            Self::Partly(note) => write!(f, "{note}; the rest of it counts"),
        }
    }
}
