//! Constraints: `>=1.2 <2 || ^3.1`, `~1.2`, `1.x`, `1.2 - 1.4`.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::LazyLock;

use regex::Regex;

use super::{Scanner, Version};

/// `1.2 - 1.4`; each side as [`bound`] reads it.
static RANGE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let bound = r"v?[0-9xX*|]+(?:\.[0-9xX*|]+)?(?:\.[0-9xX*|]+)?(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?";
    Regex::new(&format!(r"\s*({bound})\s+-\s+({bound})\s*")).ok()
});

/// The longer ones first.
const OPERATORS: &[(&str, Operator)] = &[
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterOrEqual),
    ("=>", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("=<", Operator::LessOrEqual),
    ("~>", Operator::Tilde),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
];

/// Alternatives, each of terms that must all hold.
pub(crate) struct Constraint(Vec<Vec<Term>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Tilde,
    Caret,
}

struct Term {
    operator: Operator,
    bound: Version,
    /// The first part that was left out or written as `x`: 0 for the major version, 3 when all are there.
    open_from: u8,
}

impl Constraint {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // The rule for ranges takes milliseconds to compile, and next to no constraint is one.
        let range = text.split_ascii_whitespace().any(|word| word == "-");
        let text = if range { RANGE.as_ref()?.replace_all(text, ">=$1 <=$2 ") } else { Cow::Borrowed(text) };
        text.split("||").map(alternative).collect::<Option<_>>().map(Self)
    }

    /// A pre-release only satisfies a term that names one.
    pub(crate) fn holds(&self, version: &Version) -> bool {
        self.0.iter().any(|terms| terms.iter().all(|term| term.holds(version)))
    }
}

fn alternative(text: &str) -> Option<Vec<Term>> {
    if text.trim().is_empty() {
        // Nothing asked for is everything allowed.
        return Some(vec![Term { operator: Operator::Equal, bound: Version::parse("0.0.0")?, open_from: 0 }]);
    }
    let mut scanner = Scanner(text);
    scanner.blanks();
    let mut terms = Vec::new();
    loop {
        terms.push(Term::read(&mut scanner)?);
        let apart = scanner.blanks();
        if scanner.0.is_empty() {
            return Some(terms);
        }
        if scanner.take(",") {
            scanner.blanks();
        } else if !apart {
            return None;
        }
    }
}

/// A version in a constraint, which may be open: `1.x`, `*`.
fn bound<'a>(scanner: &mut Scanner<'a>) -> Option<&'a str> {
    let start = scanner.0;
    scanner.take("v");
    scanner.parts(|character| character.is_ascii_digit() || matches!(character, 'x' | 'X' | '*' | '|'))?;
    scanner.words('-');
    scanner.words('+');
    Some(&start[..start.len() - scanner.0.len()])
}

impl Term {
    fn read(scanner: &mut Scanner<'_>) -> Option<Self> {
        let named = OPERATORS.iter().find(|(word, _)| scanner.take(word)).map(|(_, operator)| *operator);
        scanner.blanks();
        Self::new(named.unwrap_or(Operator::Equal), bound(scanner)?)
    }

    fn new(operator: Operator, bound: &str) -> Option<Self> {
        let end = bound.find(['-', '+']).unwrap_or(bound.len());
        let (core, rest) = bound.split_at(end);
        let parts: Vec<&str> = core.strip_prefix('v').unwrap_or(core).split('.').collect();
        let open = |index: usize| parts.get(index).is_none_or(|part| matches!(*part, "x" | "X" | "*"));
        let open_from = (0..3_u8).find(|index| open(usize::from(*index))).unwrap_or(3);
        let number = |index: u8| if index < open_from { parts[usize::from(index)] } else { "0" };
        // Build data is of no weight, and a bound with open parts keeps its pre-release.
        let bound = format!("{}.{}.{}{}", number(0), number(1), number(2), rest);
        Some(Self { operator, bound: Version::parse(&bound)?, open_from })
    }

    fn holds(&self, version: &Version) -> bool {
        let Self { operator, bound, open_from } = self;
        let order = version.compare(bound);
        let (major, minor) = (version.major == bound.major, version.minor == bound.minor);
        let wants_release = *operator != Operator::NotEqual || *open_from < 3;
        if wants_release && !version.pre.is_empty() && bound.pre.is_empty() {
            return false;
        }
        match operator {
            Operator::Equal if *open_from == 3 => order.is_eq(),
            Operator::Equal | Operator::Tilde => self.tilde(version, order),
            Operator::NotEqual => match open_from {
                0 => !major || !minor || order.is_ne(),
                1 => !major,
                2 if major && minor => !bound.pre.is_empty() && version.pre != bound.pre,
                2 => true,
                _ => order.is_ne(),
            },
            Operator::Greater => match open_from {
                1 => version.major > bound.major,
                2 => (version.major, version.minor) > (bound.major, bound.minor),
                _ => order.is_gt(),
            },
            Operator::Less => order.is_lt(),
            Operator::GreaterOrEqual => order.is_ge(),
            Operator::LessOrEqual => match open_from {
                3 => order.is_le(),
                1 => version.major <= bound.major,
                _ => (version.major, version.minor) <= (bound.major, bound.minor),
            },
            Operator::Caret => self.caret(version, order),
        }
    }

    fn tilde(&self, version: &Version, order: Ordering) -> bool {
        let Self { bound, open_from, .. } = self;
        if order.is_lt() {
            return false;
        }
        // `~0.0.0`, and with it `*`, allows everything.
        let anything = (bound.major, bound.minor, bound.patch) == (0, 0, 0) && matches!(open_from, 0 | 3);
        anything || (version.major == bound.major && (version.minor == bound.minor || *open_from == 1))
    }

    /// The leftmost part that is not 0 stays.
    fn caret(&self, version: &Version, order: Ordering) -> bool {
        let Self { bound, open_from, .. } = self;
        if order.is_lt() {
            return false;
        }
        if *open_from == 0 {
            return true;
        }
        if bound.major > 0 || *open_from == 1 {
            return version.major == bound.major;
        }
        if version.major > 0 {
            return false;
        }
        if bound.minor > 0 || *open_from == 2 {
            return version.minor == bound.minor;
        }
        version.minor == 0 && version.patch == bound.patch
    }
}

#[cfg(test)]
mod tests {
    use super::super::satisfies;

    #[test]
    fn constraints_follow_their_operators() {
        for (constraint, yes, no) in [
            (">=1.20.0-0", "1.35.2-gke.1", "1.19.9"),
            (">1.2 <2", "1.3.0", "1.2.9"),
            ("~1.2", "1.2.9", "1.3.0"),
            ("~1", "1.9.0", "2.0.0"),
            ("^0.2.3", "0.2.9", "0.3.0"),
            ("^1.2 || 3.x", "3.5.0", "2.0.0"),
            ("1.2 - 1.4", "1.4.0", "1.5.0"),
            ("<=1.4", "1.4.9", "1.5.0"),
            ("!=1.2.3", "1.2.4", "1.2.3"),
            ("*", "7.0.0", "7.0.0-rc.1"),
        ] {
            assert_eq!(satisfies(constraint, yes), Some(true), "{constraint} {yes}");
            assert_eq!(satisfies(constraint, no), Some(false), "{constraint} {no}");
        }
    }

    #[test]
    fn what_is_no_constraint_is_refused() {
        for constraint in ["soon", ">= ", "1.2.3.4", "> > 1"] {
            assert_eq!(satisfies(constraint, "1.0.0"), None, "{constraint}");
        }
    }
}
