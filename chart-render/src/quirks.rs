//! Helm's oddities that we repeat on purpose, each with the reason it matters.
//!
//! Others live where they belong and are only named here: numbers of values files are floats (`numbers`), `eq` fails
//! on mixed kinds (`funcs::compare`), `fromYaml` never fails (`funcs::encoding`), a broken index at the end of `--set`
//! is dropped (`values::set`), keys of `toYaml` sort naturally (`yaml::emit`).

use std::borrow::Cow;
use std::cmp::Reverse;

/// Nothing prints as nothing: Go writes `<no value>` for a missing value and Helm deletes those words from the output,
/// also where a chart meant them literally.
pub(crate) fn drop_no_value(output: &str) -> String {
    output.replace("<no value>", "")
}

/// Helm parses and runs the deepest file first, then in reverse alphabetical order. So of two defines with one name
/// the one in the shallowest, alphabetically first file counts, and the failure reported first comes from the last file.
pub(crate) fn sort_templates(names: &mut [&String]) {
    names.sort_by_cached_key(|name| Reverse((name.matches('/').count(), *name)));
}

/// Every `NOTES.txt` is rendered, and none is a manifest; only the chart's own is shown.
pub(crate) fn is_notes(path: &str) -> bool {
    path.ends_with("NOTES.txt")
}

/// Files whose name begins with an underscore hold definitions and render to nothing.
pub(crate) fn is_partial(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|file| file.starts_with('_'))
}

/// `{{- /* comment */}}` trims the text before it only, but gotmpl 0.6 trims both sides. Such a comment is replaced by
/// an action of the same length that prints nothing, so that the places of failures stay right.
pub(crate) fn untangle_comments(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut done = 0;
    while let Some(start) = text[done..].find("{{- ").map(|at| done + at) {
        let inside = &text[start + 4..];
        let comment = inside.trim_start().strip_prefix("/*").and_then(|comment| comment.split_once("*/"));
        let Some((_, rest)) = comment else {
            out.push_str(&text[done..start + 4]);
            done = start + 4;
            continue;
        };
        let end = text.len() - rest.len();
        out.push_str(&text[done..start]);
        if rest.starts_with("}}") {
            out.push_str("{{- \"\"");
            out.extend(text[start + 6..end].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        } else {
            out.push_str(&text[start..end]);
        }
        done = end;
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

/// Go takes a `|` with nothing behind it, before `}}` or `)`, and ignores it; gotmpl does not. It becomes a blank.
pub(crate) fn without_trailing_pipes(text: &str) -> Cow<'_, str> {
    let ends_here = |at: usize| {
        let behind = text[at + 1..].trim_start();
        let closes = behind.starts_with("}}") || behind.starts_with(')');
        closes || (behind.starts_with("-}}") && behind.len() + at + 1 < text.len())
    };
    if !text.match_indices('|').any(|(at, _)| ends_here(at)) {
        return Cow::Borrowed(text);
    }
    let mut out = text.as_bytes().to_vec();
    let mut rest = 0;
    while let Some(start) = text[rest..].find("{{").map(|at| rest + at + 2) {
        let inside = text[start..].trim_start_matches(['-', ' ', '\t', '\r', '\n']);
        if let Some(comment) = inside.strip_prefix("/*") {
            rest = comment.find("*/").map_or(text.len(), |end| text.len() - comment.len() + end);
            continue;
        }
        let mut characters = text[start..].char_indices();
        rest = text.len();
        while let Some((offset, character)) = characters.next() {
            let at = start + offset;
            match character {
                '`' => drop(characters.by_ref().find(|(_, other)| *other == '`')),
                '"' | '\'' => {
                    while let Some((_, other)) = characters.next().filter(|(_, other)| *other != character) {
                        if other == '\\' {
                            characters.next();
                        }
                    }
                }
                '|' if ends_here(at) => out[at] = b' ',
                '}' if text[at..].starts_with("}}") => {
                    rest = at + 2;
                    break;
                }
                _ => {}
            }
        }
    }
    String::from_utf8(out).map_or(Cow::Borrowed(text), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_run_deepest_first_and_backwards() {
        let names = ["c/templates/a.yaml", "c/templates/b.yaml", "c/templates/x/a.yaml"].map(str::to_owned);
        let mut names = names.each_ref();
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
    fn a_comment_that_trims_to_the_left_keeps_its_length_and_lines() {
        let text = "a {{- /* é\n x */}}\nb {{- /* kept */ -}} c {{- .d }}";
        let untangled = untangle_comments(text);
        let lines: Vec<&str> = untangled.lines().map(str::trim_end).collect();
        assert!(lines[0].ends_with("{{- \"\""), "{untangled}");
        assert!(lines[1].ends_with("}}"), "{untangled}");
        assert_eq!(lines[2], "b {{- /* kept */ -}} c {{- .d }}");
        assert_eq!(untangled.len(), text.len());
    }

    #[test]
    fn only_a_pipe_before_the_end_of_a_pipeline_is_dropped() {
        let cases = [
            ("{{ .a | }}", "{{ .a   }}"),
            ("x | }} {{- .a |\n -}} y", "x | }} {{- .a  \n -}} y"),
            ("{{ (.a | ) | b | }}", "{{ (.a   ) | b   }}"),
            (
                "{{ \"\\\"| }}\" | b }}{{ `| }}` }}{{ '|' }}{{ .c |}}",
                "{{ \"\\\"| }}\" | b }}{{ `| }}` }}{{ '|' }}{{ .c  }}",
            ),
            ("{{/* a | }} */}}{{ .b |}}", "{{/* a | }} */}}{{ .b  }}"),
        ];
        for (text, expected) in cases {
            assert_eq!(without_trailing_pipes(text), expected, "{text}");
        }
    }

    #[test]
    fn text_without_comments_is_left_alone() {
        assert!(matches!(untangle_comments("{{ /* a */ }} {{-b}}"), Cow::Borrowed(_)));
    }

    #[test]
    fn notes_are_recognised_by_their_end() {
        assert!(is_notes("c/templates/NOTES.txt"));
        assert!(!is_notes("c/templates/NOTES.md"));
    }
}
