//! Which local program stands for which image.

use std::{collections::BTreeMap, fmt, path::PathBuf, str::FromStr};

/// A local program and the arguments that come before those of the pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// What is executed: a path, or a name looked up in `PATH`.
    pub path: PathBuf,
    /// Leading arguments.
    pub args: Vec<String>,
}

impl Program {
    /// A program without leading arguments.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), args: Vec::new() }
    }
}

/// Programs by image repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Images {
    programs: BTreeMap<String, Program>,
}

/// One entry of [`Images`], written `REPOSITORY=PROGRAM [ARGUMENT ...]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Image repository, or a full image reference to map one tag only.
    pub image: String,
    /// What runs for it.
    pub program: Program,
}

/// A mapping that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not an image mapping; write REPOSITORY=PROGRAM, as in ghcr.io/example/server=/usr/local/bin/server")]
pub struct InvalidMapping(String);

impl Images {
    /// Adds or replaces the program for `image`: a repository, or a full reference to map one tag only.
    #[must_use]
    pub fn with(mut self, image: impl Into<String>, program: Program) -> Self {
        self.programs.insert(image.into(), program);
        self
    }

    /// The program for an image reference: that of the exact reference, else that of its repository, whatever the
    /// tag or digest.
    pub fn find(&self, image: &str) -> Option<&Program> {
        self.programs.get(image).or_else(|| self.programs.get(repository(image)))
    }
}

impl fmt::Display for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.programs.keys().map(String::as_str).collect();
        if names.is_empty() { f.write_str("none") } else { f.write_str(&names.join(", ")) }
    }
}

impl FromStr for Mapping {
    type Err = InvalidMapping;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidMapping(text.to_owned());
        let (image, command) = text.split_once('=').ok_or_else(invalid)?;
        let mut words = command.split_whitespace();
        let program = words.next().filter(|_| !image.is_empty()).ok_or_else(invalid)?;
        let program = Program { path: program.into(), args: words.map(str::to_owned).collect() };
        Ok(Self { image: image.to_owned(), program })
    }
}

/// The reference without digest and tag. A colon before the last slash belongs to the registry's port.
fn repository(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(name, _digest)| name);
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("vllm-sim", "vllm-sim")]
    #[case::tag("ghcr.io/llm-d/vllm-sim:v1", "ghcr.io/llm-d/vllm-sim")]
    #[case::port_without_tag("localhost:5000/sim", "localhost:5000/sim")]
    #[case::port_and_tag("localhost:5000/sim:dev", "localhost:5000/sim")]
    #[case::digest("sim@sha256:0123", "sim")]
    #[case::tag_and_digest("a/sim:v1@sha256:0123", "a/sim")]
    fn tag_and_digest_do_not_matter(#[case] image: &str, #[case] expected: &str) {
        assert_eq!(repository(image), expected);
    }

    #[test]
    fn an_exact_reference_wins_over_its_repository() {
        let images = Images::default().with("sim", Program::new("any")).with("sim:old", Program::new("old"));
        assert_eq!(images.find("sim:old"), Some(&Program::new("old")));
        assert_eq!(images.find("sim:v2"), Some(&Program::new("any")));
        assert_eq!(images.find("other/sim"), None);
    }

    #[test]
    fn a_mapping_may_carry_leading_arguments() {
        let mapping: Mapping = "repo/shell=/bin/sh -c".parse().unwrap();
        assert_eq!(mapping.program, Program { path: "/bin/sh".into(), args: vec!["-c".into()] });
        assert!("repo/shell".parse::<Mapping>().is_err());
        assert!("=sh".parse::<Mapping>().is_err());
    }
}
