//! "Did you mean": the known name that is closest to one that does not exist.

/// The known name that somebody who typed `typed` most likely meant; `None` when none is near.
pub fn closest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = |name: &str| strsim::damerau_levenshtein(&typed.to_lowercase(), &name.to_lowercase());
    let begins = |name: &str| typed.len() > 2 && name.starts_with(typed);
    known
        .into_iter()
        .filter(|name| !name.is_empty() && (near(name) <= (typed.chars().count() / 3).max(1) || begins(name)))
        .min_by_key(|name| near(name))
}

/// The same as the beginning of a hint; empty when nothing is near.
pub fn hint<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    closest(typed, known).map_or(String::new(), |name| format!("did you mean {name}? "))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::swapped("lalma-a100", Some("llama-a100"))]
    #[case::missing("lama-a100", Some("llama-a100"))]
    #[case::begun("llama", Some("llama-a100"))]
    #[case::far("mistral", None)]
    #[case::short("x", None)]
    fn a_name_that_is_near_is_suggested_and_no_other(#[case] typed: &str, #[case] expect: Option<&str>) {
        assert_eq!(closest(typed, ["llama-a100", "qwen-h100"]), expect);
    }
}
