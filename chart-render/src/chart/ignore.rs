//! `.helmignore`: which files of a chart directory are left out.

use crate::glob::Segments;

/// The rules of one `.helmignore`, in order, with Helm's own behind them.
pub(super) struct Rules(Vec<Rule>);

struct Rule {
    pattern: Segments,
    negated: bool,
    folders_only: bool,
    /// Compared with the file's name alone, at any depth.
    name_only: bool,
}

impl Rules {
    /// Reads the rules; an error names the one that cannot be used.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        // Hidden files among the templates never count.
        text.lines()
            .chain(["templates/.?*"])
            .filter_map(|line| Rule::parse(line.trim()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether a path inside the chart is left out. A negated rule leaves out all that it does not match.
    pub(super) fn ignore(&self, path: &str, is_folder: bool) -> bool {
        for rule in &self.0 {
            let applies = is_folder || !rule.folders_only;
            match (rule.negated, applies && rule.matches(path)) {
                (true, false) | (false, true) => return true,
                (true, true) | (false, false) => {}
            }
        }
        false
    }
}

impl Rule {
    fn parse(line: &str) -> Option<Result<Self, String>> {
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        if line.contains("**") {
            return Some(Err("double-star (**) syntax is not supported".to_owned()));
        }
        let (negated, rule) = line.strip_prefix('!').map_or((false, line), |rule| (true, rule));
        let (folders_only, rule) = rule.strip_suffix('/').map_or((false, rule), |rule| (true, rule));
        let name_only = !rule.contains('/');
        let rule = rule.strip_prefix('/').unwrap_or(rule);
        let pattern = Segments::new(rule).ok_or_else(|| format!("syntax error in pattern {line:?}"));
        Some(pattern.map(|pattern| Self { pattern, negated, folders_only, name_only }))
    }

    fn matches(&self, path: &str) -> bool {
        let subject = if self.name_only { path.rsplit('/').next().unwrap_or(path) } else { path };
        self.pattern.is_match(subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignored(rules: &str, path: &str) -> bool {
        Rules::parse(rules).expect("rules").ignore(path, false)
    }

    #[test]
    fn a_rule_without_a_slash_matches_at_any_depth() {
        assert!(ignored("*.md", "docs/a.md"));
        assert!(!ignored("/*.md", "docs/a.md"));
        assert!(ignored("docs/*.md", "docs/a.md"));
    }

    #[test]
    fn a_rule_with_a_slash_at_its_end_is_about_folders() {
        let rules = Rules::parse("# notes\ndocs/\n").expect("rules");
        assert!(rules.ignore("docs", true));
        assert!(!rules.ignore("docs", false));
    }

    #[test]
    fn hidden_files_among_the_templates_are_left_out() {
        assert!(ignored("", "templates/.x.yaml"));
        assert!(!ignored("", ".x.yaml"));
    }

    #[test]
    fn a_double_star_is_refused() {
        assert!(Rules::parse("a/**").is_err());
    }
}
