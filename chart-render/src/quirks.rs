//! Helm's oddities that we repeat on purpose, each with the reason it matters.
//!
//! Others live where they belong and are only named here: numbers of values files are floats (`numbers`), `eq` fails
//! on mixed kinds (`funcs::compare`), `fromYaml` never fails (`funcs::encoding`), a broken index at the end of `--set`
//! is dropped (`values::set`), keys of `toYaml` sort naturally (`yaml::emit`).

use std::cmp::Reverse;

/// Nothing prints as nothing: Go writes `<no value>` for a missing value and Helm deletes those words from the output,
/// also where a chart meant them literally.
pub(crate) fn drop_no_value(output: &str) -> String {
    output.replace("<no value>", "")
}

/// Helm parses and runs the deepest file first, then in reverse alphabetical order. So of two defines with one name
/// the one in the shallowest, alphabetically first file counts, and the failure reported first comes from the last file.
pub(crate) fn sort_templates(names: &mut [String]) {
    names.sort_by_cached_key(|name| Reverse((name.matches('/').count(), name.clone())));
}

/// Every `NOTES.txt` is rendered, and none is a manifest; only the chart's own is shown.
pub(crate) fn is_notes(path: &str) -> bool {
    path.ends_with("NOTES.txt")
}

/// Files whose name begins with an underscore hold definitions and render to nothing.
pub(crate) fn is_partial(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|file| file.starts_with('_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_run_deepest_first_and_backwards() {
        let mut names = ["c/templates/a.yaml", "c/templates/b.yaml", "c/templates/x/a.yaml"].map(str::to_owned);
        sort_templates(&mut names);
        assert_eq!(names, ["c/templates/x/a.yaml", "c/templates/b.yaml", "c/templates/a.yaml"]);
    }

    #[test]
    fn the_words_no_value_disappear() {
        assert_eq!(drop_no_value("a: <no value>!"), "a: !");
    }

    #[test]
    fn only_the_file_name_makes_a_partial() {
        assert!(is_partial("c/templates/_helpers.tpl"));
        assert!(!is_partial("c/templates/_x/a.yaml"));
    }

    #[test]
    fn notes_are_recognised_by_their_end() {
        assert!(is_notes("c/templates/NOTES.txt"));
        assert!(!is_notes("c/templates/NOTES.md"));
    }
}
