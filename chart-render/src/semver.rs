//! Versions and constraints on them, as the Go library reads them that Helm uses.
//!
//! It is more lenient than the standard (`v1`, `1.2`, `1.x`) and has rules of its own for pre-releases, so the crate of
//! Cargo's versions does not fit.

mod constraint;

use std::cmp::Ordering;
use std::fmt;

pub(crate) use constraint::Constraint;

/// A version; parts that were left out are 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) major: u64,
    pub(crate) minor: u64,
    pub(crate) patch: u64,
    /// What stands behind the hyphen.
    pub(crate) pre: String,
    /// What stands behind the plus sign; of no weight in comparisons.
    pub(crate) metadata: String,
    /// The version as it was written.
    pub(crate) original: String,
}

impl Version {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut scanner = Scanner(text);
        scanner.take("v");
        let core = scanner.parts(|character| character.is_ascii_digit())?;
        let pre = scanner.words('-').unwrap_or_default();
        let metadata = scanner.words('+').unwrap_or_default();
        if !scanner.0.is_empty() {
            return None;
        }
        let mut core = core.split('.');
        let mut number = || core.next().map_or(Some(0), |part| part.parse().ok());
        // A number of a pre-release has no leading zero.
        if pre
            .split('.')
            .any(|part| part.len() > 1 && part.starts_with('0') && part.bytes().all(|b| b.is_ascii_digit()))
        {
            return None;
        }
        Some(Self {
            major: number()?,
            minor: number()?,
            patch: number()?,
            pre: pre.to_owned(),
            metadata: metadata.to_owned(),
            original: text.to_owned(),
        })
    }

    /// A pre-release sorts before its release.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        let core = |version: &Self| [version.major, version.minor, version.patch];
        core(self).cmp(&core(other)).then_with(|| match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => compare_pre(&self.pre, &other.pre),
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.pre.is_empty() {
            write!(formatter, "-{}", self.pre)?;
        }
        if self.metadata.is_empty() { Ok(()) } else { write!(formatter, "+{}", self.metadata) }
    }
}

/// Whether a version meets a constraint such as `>=1.23.0-0 <2 || 3.x`; none when either cannot be read.
pub(crate) fn satisfies(constraint: &str, version: &str) -> Option<bool> {
    Some(Constraint::parse(constraint)?.holds(&Version::parse(version)?))
}

/// What is left of a version or a constraint.
struct Scanner<'a>(&'a str);

impl<'a> Scanner<'a> {
    /// Takes a word if it stands here.
    fn take(&mut self, word: &str) -> bool {
        let rest = self.0.strip_prefix(word);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// Takes characters for as long as they fit; none when not even the first does.
    fn run(&mut self, fits: impl Fn(char) -> bool) -> Option<&'a str> {
        let end = self.0.find(|character| !fits(character)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at_checked(end).filter(|(taken, _)| !taken.is_empty())?;
        self.0 = rest;
        Some(taken)
    }

    /// Blanks as Go's `\s` has them; whether there were any.
    fn blanks(&mut self) -> bool {
        self.run(|character| character.is_ascii_whitespace()).is_some()
    }

    /// `1`, `1.2` or `1.2.3`, of characters that fit.
    fn parts(&mut self, fits: impl Fn(char) -> bool) -> Option<&'a str> {
        let start = self.0;
        self.run(&fits)?;
        for _ in 0..2 {
            let before = self.0;
            if !(self.take(".") && self.run(&fits).is_some()) {
                self.0 = before;
                break;
            }
        }
        Some(&start[..start.len() - self.0.len()])
    }

    /// Words with dots between them, behind `mark`.
    fn words(&mut self, mark: char) -> Option<&'a str> {
        let fits = |character: char| character.is_ascii_alphanumeric() || character == '-';
        let start = self.0;
        let inside = start.strip_prefix(mark)?;
        self.0 = inside;
        if self.run(fits).is_none() {
            self.0 = start;
            return None;
        }
        loop {
            let before = self.0;
            if !(self.take(".") && self.run(fits).is_some()) {
                self.0 = before;
                return Some(&inside[..inside.len() - before.len()]);
            }
        }
    }
}

/// Numbers sort before words.
fn compare_pre(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => match (a.parse::<u64>(), b.parse::<u64>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => a.cmp(b),
            },
        };
        if order.is_ne() {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_leniently() {
        assert_eq!(Version::parse("v1.2").expect("version").to_string(), "1.2.0");
        assert_eq!(Version::parse("1.2.3-rc.1+b5").expect("version").to_string(), "1.2.3-rc.1+b5");
        assert!(Version::parse("1.2.3.4").is_none());
        assert!(Version::parse("1.2.3-01").is_none());
    }

    #[test]
    fn a_release_comes_after_its_pre_releases() {
        let order = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0"];
        for pair in order.windows(2) {
            let [a, b] = [pair[0], pair[1]].map(|text| Version::parse(text).expect("version"));
            assert_eq!(a.compare(&b), Ordering::Less, "{a} {b}");
        }
    }
}
