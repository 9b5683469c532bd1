//! `$(NAME)` references in env values, command and args.

/// Replaces `$(NAME)` by what `lookup` knows. `$$` is a dollar sign, so `$$(NAME)` stays text; a reference to an
/// unknown name stays as it is written.
pub(super) fn expand<'a>(text: &str, lookup: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(escaped) = after.strip_prefix('$') {
            out.push('$');
            rest = escaped;
        } else if let Some((name, tail)) = after.strip_prefix('(').and_then(|after| after.split_once(')')) {
            if let Some(value) = lookup(name) {
                out.push_str(value);
            } else {
                out.extend(["$(", name, ")"]);
            }
            rest = tail;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing("plain", "plain")]
    #[case::known("--name=$(POD)", "--name=web-1")]
    #[case::twice("$(POD)$(POD)", "web-1web-1")]
    #[case::unknown_stays("$(MISSING)/x", "$(MISSING)/x")]
    #[case::escaped_stays_text("$$(POD)", "$(POD)")]
    #[case::lone_dollar("5$ and $x", "5$ and $x")]
    #[case::unclosed("$(POD", "$(POD")]
    #[case::last_dollar("cost$", "cost$")]
    fn references_are_replaced_and_escapes_kept(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(expand(text, |name| (name == "POD").then_some("web-1")), expected);
    }
}
