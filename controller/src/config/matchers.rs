//! Label matchers as Prometheus writes them, to be added to every query.

/// Matchers, one text each, as they are to stand in the braces of a query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matchers(Vec<String>);

/// Operators, the longer ones first.
const OPERATORS: [&str; 4] = ["=~", "!~", "!=", "="];

impl Matchers {
    /// Reads `cluster="east",env=~"prod|test"`, with or without braces about it.
    ///
    /// # Errors
    /// What is wrong with it, in words for a person.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let inner = match (text.strip_prefix('{'), text.strip_suffix('}')) {
            (Some(_), Some(_)) => &text[1..text.len() - 1],
            (None, None) => text,
            _ => return Err(wrong("a brace has no partner")),
        };
        let mut matchers = Vec::new();
        let mut rest = inner.trim_start();
        while !rest.is_empty() {
            let (matcher, after) = matcher(rest)?;
            matchers.push(matcher);
            rest = match after.trim_start().strip_prefix(',') {
                Some(next) => next.trim_start(),
                None if after.trim().is_empty() => "",
                None => return Err(wrong(&format!("a comma must stand before {:?}", after.trim()))),
            };
        }
        Ok(Self(matchers))
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

fn wrong(why: &str) -> String {
    format!("is not a list of label matchers: {why}; write them like cluster=\"east\",env=~\"prod|test\"")
}

/// One matcher, and the text after it.
fn matcher(text: &str) -> Result<(String, &str), String> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let (label, rest) = text.split_at(end);
    if label.is_empty() || label.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(wrong(&format!("{text:?} does not begin with the name of a label")));
    }
    if label == "__name__" {
        return Err(wrong("__name__ is what each query asks for"));
    }
    let rest = rest.trim_start();
    let Some(operator) = OPERATORS.into_iter().find(|operator| rest.starts_with(operator)) else {
        return Err(wrong(&format!("after {label}, one of =, !=, =~ and !~ must stand")));
    };
    let rest = rest[operator.len()..].trim_start();
    let end = end_of_quoted(rest).ok_or_else(|| wrong(&format!("the value of {label} must stand in quotes")))?;
    Ok((format!("{label}{operator}{}", &rest[..end]), &rest[end..]))
}

/// Where a text in quotes ends: after the quote it began with, unless a backslash stands before that.
fn end_of_quoted(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
    let mut escaped = false;
    for (at, char) in text.char_indices().skip(1) {
        match char {
            _ if std::mem::take(&mut escaped) => {}
            // No text of a query goes over the end of a line, except a raw one.
            '\n' if quote != '`' => return None,
            '\\' if quote != '`' => escaped = true,
            char if char == quote => return Some(at + char.len_utf8()),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::one(r#"cluster="east""#, &[r#"cluster="east""#])]
    #[case::in_braces(r#" { cluster = "east" , env=~"a|b", } "#, &[r#"cluster="east""#, r#"env=~"a|b""#])]
    #[case::commas_braces_and_quotes_in_values(r#"a!="x,}\"y",b!~'z"'"#, &[r#"a!="x,}\"y""#, r#"b!~'z"'"#])]
    #[case::raw("a=~`\\d+`", &["a=~`\\d+`"])]
    #[case::nothing("", &[])]
    #[case::empty_braces("{}", &[])]
    fn matchers_are_read_as_prometheus_writes_them(#[case] text: &str, #[case] expect: &[&str]) {
        assert_eq!(Matchers::parse(text).unwrap().iter().collect::<Vec<_>>(), expect);
    }

    #[rstest]
    #[case::no_quotes("cluster=east", "the value of cluster must stand in quotes")]
    #[case::unclosed(r#"cluster="east"#, "must stand in quotes")]
    #[case::no_operator("cluster", "after cluster, one of =")]
    #[case::no_label(r#"="east""#, "does not begin with the name of a label")]
    #[case::no_comma(r#"a="1" b="2""#, "a comma must stand before")]
    #[case::half_a_brace(r#"{a="1""#, "a brace has no partner")]
    #[case::the_name(r#"__name__="up""#, "__name__ is what each query asks for")]
    #[case::an_end_of_the_selector(r#"a="1"} or up{b="2""#, "a comma must stand before")]
    #[case::a_line_break("a=\"1\n2\"", "must stand in quotes")]
    fn anything_else_is_refused_with_the_reason(#[case] text: &str, #[case] expect: &str) {
        let error = Matchers::parse(text).unwrap_err();
        assert!(error.contains(expect), "{error}");
    }
}
