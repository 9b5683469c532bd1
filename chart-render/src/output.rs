//! What `helm template` prints.

use crate::glob::Segments;
use crate::manifest::{self, Manifest};
use crate::render::Rendered;

/// A file asked for with `--show-only` rendered to nothing or does not exist.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("could not find template {0} in chart")]
pub struct NotFound(pub String);

/// Which parts to print.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Print the custom resource definitions first.
    pub include_crds: bool,
    /// Leave hooks out.
    pub no_hooks: bool,
    /// Leave the test hooks out.
    pub skip_tests: bool,
    /// Print only what comes from these templates, in this order; `*` matches within a path segment.
    pub show_only: Vec<String>,
}

impl Rendered {
    /// The text `helm template` writes to its standard output.
    pub fn to_text(&self, selection: &Selection) -> Result<String, NotFound> {
        let mut text = String::new();
        if selection.include_crds {
            for crd in &self.crds {
                text.push_str(&document(&crd.path, &crd.text));
            }
        }
        for manifest in &self.manifests {
            text.push_str(&document(&manifest.source, &manifest.text));
        }
        let mut text = format!("{}\n", text.trim());
        for hook in self.hooks_of(selection) {
            text.push_str(&document(&hook.source, &hook.text));
        }
        if selection.show_only.is_empty() { Ok(text) } else { only(&text, &selection.show_only) }
    }

    /// The hooks that a selection leaves.
    pub(crate) fn hooks_of(&self, selection: &Selection) -> impl Iterator<Item = &Manifest> {
        let is_test = |hook: &Manifest| {
            let events = hook.object["metadata"]["annotations"]["helm.sh/hook"].as_str().unwrap_or_default();
            events.split(',').any(|event| event.trim().to_lowercase().starts_with("test"))
        };
        let Selection { no_hooks, skip_tests, .. } = *selection;
        self.hooks.iter().filter(move |hook| !(no_hooks || skip_tests && is_test(hook)))
    }
}

fn document(source: &str, text: &str) -> String {
    format!("---\n# Source: {source}\n{text}\n")
}

fn only(text: &str, wanted: &[String]) -> Result<String, NotFound> {
    let documents = manifest::split(text);
    let mut shown = String::new();
    for pattern in wanted {
        let matcher = Segments::new(pattern).ok_or_else(|| NotFound(pattern.clone()))?;
        let before = shown.len();
        for document in &documents {
            let path = document.split_once("# Source: ").and_then(|(_, rest)| rest.lines().next()?.split_once('/'));
            if path.is_some_and(|(_, path)| matcher.is_match(path)) {
                shown.extend(["---\n", document, "\n"]);
            }
        }
        if shown.len() == before {
            return Err(NotFound(pattern.clone()));
        }
    }
    Ok(shown)
}
