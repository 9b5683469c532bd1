//! What was done, with what was there before: a file that is written before each step, so that a step that was
//! interrupted can be undone too.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Failure;
use crate::Error;

/// The steps taken, oldest first.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    done: Vec<Done>,
}

/// A step taken, and what there was before.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", tag = "did")]
pub(super) enum Done {
    /// An object was changed or deleted; this is how it was.
    Changed {
        /// What was done.
        title: String,
        /// The object before.
        before: Value,
    },
    /// A release was upgraded.
    #[serde(rename_all = "camelCase")]
    Upgraded {
        /// What was done.
        title: String,
        /// The release.
        release: String,
        /// Its namespace.
        namespace: String,
        /// The revision to go back to.
        revision: u32,
    },
}

impl Done {
    /// What was done.
    pub(super) fn title(&self) -> &str {
        match self {
            Self::Changed { title, .. } | Self::Upgraded { title, .. } => title,
        }
    }
}

impl Journal {
    /// A new journal. `needed` is whether anything will be written; nothing is otherwise.
    ///
    /// # Errors
    /// When there is one already: it would be lost.
    pub(super) fn begin(path: &Path, needed: bool) -> Result<Self, Error> {
        if needed && path.exists() {
            return Err(Failure::JournalExists(path.to_owned()).into());
        }
        Ok(Self { path: path.to_owned(), done: Vec::new() })
    }

    /// The journal of a migration.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
        let done = serde_json::from_str(&text)
            .map_err(|error| Failure::Journal { path: path.to_owned(), why: error.to_string() })?;
        Ok(Self { path: path.to_owned(), done })
    }

    /// What to undo next: the definition, since objects of before may be invalid by the new one, then the last step.
    pub(super) fn next_to_undo(&self) -> Option<&Done> {
        let of_definition =
            |done: &&Done| matches!(done, Done::Changed { before, .. } if before["kind"] == "CustomResourceDefinition");
        self.done.iter().find(of_definition).or_else(|| self.done.last())
    }

    /// Notes a step that is about to be taken.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn note(&mut self, done: Done) -> Result<(), Error> {
        self.done.push(done);
        self.write()
    }

    /// A step is undone. The file goes with the last of them.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn forget(&mut self, undone: &Done) -> Result<(), Error> {
        self.done.retain(|done| done != undone);
        if self.done.is_empty() {
            return fs::remove_file(&self.path).map_err(|source| Error::File { path: self.path.clone(), source });
        }
        self.write()
    }

    fn write(&self) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(&self.done).map_err(|error| Error::Encode(error.to_string()))?;
        let failed = |source| Error::File { path: self.path.clone(), source };
        let new = self.path.with_extension("new");
        fs::write(&new, text).map_err(failed)?;
        fs::rename(&new, &self.path).map_err(failed)
    }
}
