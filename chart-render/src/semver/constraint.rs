//! Constraints: `>=1.2 <2 || ^3.1`, `~1.2`, `1.x`, `1.2 - 1.4`.

use std::cmp::Ordering;
use std::sync::LazyLock;

use regex::Regex;

use super::Version;

const OPERATORS: &str = r"!=|>=|=>|<=|=<|~>|=|>|<|~|\^|";
const BOUND: &str = r"v?[0-9xX*|]+(?:\.[0-9xX*|]+)?(?:\.[0-9xX*|]+)?(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?";

static TERM: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(&format!(r"({OPERATORS})\s*({BOUND})")).ok());
static TERMS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let term = format!(r"(?:{OPERATORS})\s*(?:{BOUND})\s*");
    Regex::new(&format!(r"^\s*{term}(?:(?:\s+|,\s*){term})*$")).ok()
});
static RANGE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(&format!(r"\s*({BOUND})\s+-\s+({BOUND})\s*")).ok());

/// Alternatives, each of terms that must all hold.
pub(crate) struct Constraint(Vec<Vec<Term>>);

#[derive(Clone, Copy, PartialEq, Eq)]
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
        let text = RANGE.as_ref()?.replace_all(text, ">=$1 <=$2 ");
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
    if !TERMS.as_ref()?.is_match(text) {
        return None;
    }
    TERM.as_ref()?.captures_iter(text).map(|found| Term::parse(&found[1], &found[2])).collect()
}

impl Term {
    fn parse(operator: &str, bound: &str) -> Option<Self> {
        let operator = match operator {
            "" | "=" => Operator::Equal,
            "!=" => Operator::NotEqual,
            ">" => Operator::Greater,
            "<" => Operator::Less,
            ">=" | "=>" => Operator::GreaterOrEqual,
            "<=" | "=<" => Operator::LessOrEqual,
            "~" | "~>" => Operator::Tilde,
            "^" => Operator::Caret,
            _ => return None,
        };
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
