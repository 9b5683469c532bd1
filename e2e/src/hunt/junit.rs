//! The `JUnit` file that nextest writes, read for people: what failed and why, what was flaky, what was slow.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One test of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Case {
    /// Suite and name.
    pub name: String,
    /// Seconds.
    pub seconds: f64,
    /// What the last failing attempt said; `None` when it passed in the end.
    pub failure: Option<String>,
    /// How often it failed before it passed or was given up.
    pub failed_attempts: usize,
}

impl Case {
    /// Whether it failed and then passed.
    pub fn is_flaky(&self) -> bool {
        self.failure.is_none() && self.failed_attempts > 0
    }
}

/// Reads the file. Only what nextest writes has to be understood: elements are not nested within text, and every value is
/// quoted by `"`.
pub fn read(xml: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut rest = xml;
    while let Some(start) = rest.find('<') {
        let Some(length) = rest[start..].find('>') else { break };
        let (tag, after) = (&rest[start + 1..start + length], &rest[start + length + 1..]);
        let text = after.split('<').next().unwrap_or_default();
        match tag.split([' ', '/']).next().unwrap_or_default() {
            "testcase" => {
                let name = [attribute(tag, "classname"), attribute(tag, "name")].into_iter().flatten();
                let seconds = attribute(tag, "time").and_then(|time| time.parse().ok()).unwrap_or_default();
                cases.push(Case { name: name.collect::<Vec<_>>().join(" "), seconds, ..Case::default() });
            }
            element @ ("failure" | "error" | "flakyFailure" | "flakyError" | "rerunFailure" | "rerunError") => {
                if let Some(case) = cases.last_mut() {
                    case.failed_attempts += 1;
                    if matches!(element, "failure" | "error") {
                        let message = attribute(tag, "message").unwrap_or_default();
                        case.failure = Some(format!("{message}\n{}", unescaped(text)).trim().to_owned());
                    }
                }
            }
            _ => {}
        }
        rest = after;
    }
    cases
}

/// Seconds from the beginning of the run to its end, in which tests ran at once.
pub fn wall_time(xml: &str) -> Option<f64> {
    let tag = xml.split_once("<testsuites")?.1.split('>').next()?;
    attribute(tag, "time")?.parse().ok()
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    Some(unescaped(tag[start..].split('"').next()?))
}

fn unescaped(text: &str) -> String {
    let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#10;", "\n"), ("&#xA;", "\n")];
    let text = named.iter().fold(text.to_owned(), |text, (entity, is)| text.replace(entity, is));
    text.replace("&amp;", "&")
}

/// What a failure is about, without what differs from run to run: the line after the panic's place, its numbers,
/// addresses and ids replaced.
pub fn signature(failure: &str) -> String {
    let lines: Vec<&str> = failure.lines().filter(|line| !line.trim().is_empty()).collect();
    // The place is told twice, as the message and within the text.
    let place = lines.iter().rposition(|line| line.contains("panicked at"));
    let said = place.and_then(|place| lines.get(place + 1)).or_else(|| lines.first());
    let mut signature = String::new();
    for word in said.copied().unwrap_or("no message").split_whitespace().take(30) {
        let digits = word.chars().any(|c| c.is_ascii_digit());
        let long_hex = word.len() >= 8 && word.chars().filter(char::is_ascii_hexdigit).count() * 4 >= word.len() * 3;
        let general = if word.starts_with('/') || word.contains("://") {
            "PATH".to_owned()
        } else if long_hex && digits {
            "ID".to_owned()
        } else {
            word.chars().fold(String::new(), |mut general, c| {
                match c {
                    // Several digits, and the point within, are one number.
                    '0'..='9' if general.ends_with('N') => {}
                    '0'..='9' => general.push('N'),
                    c => general.push(c),
                }
                general
            })
        };
        let _ = write!(signature, "{}{general}", if signature.is_empty() { "" } else { " " });
    }
    signature
}

/// The table at the end of a run that took `wall` seconds: failed ones with what they said, flaky ones, and the `slowest`.
pub fn summary(cases: &[Case], wall: Option<f64>, slowest: usize) -> String {
    let failed: Vec<&Case> = cases.iter().filter(|case| case.failure.is_some()).collect();
    let flaky: Vec<&Case> = cases.iter().filter(|case| case.is_flaky()).collect();
    let seconds: f64 = cases.iter().map(|case| case.seconds).sum();
    let (all, failures, again) = (cases.len(), failed.len(), flaky.len());
    let wall = wall.map(|wall| format!(" in {wall:.0} s")).unwrap_or_default();
    let mut text =
        format!("{all} tests{wall}, {failures} failed, {again} flaky; {seconds:.0} s of tests one after the other\n");
    for case in failed {
        let why = case.failure.as_deref().map(signature).unwrap_or_default();
        let _ = writeln!(text, "  FAILED  {}\n          {why}", case.name);
    }
    for case in flaky {
        let _ = writeln!(text, "  FLAKY   {}: failed {} times before it passed", case.name, case.failed_attempts);
    }
    let mut by_time: Vec<&Case> = cases.iter().collect();
    by_time.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    let _ = writeln!(text, "Slowest:");
    for case in by_time.into_iter().take(slowest) {
        let _ = writeln!(text, "{:7.1} s  {}", case.seconds, case.name);
    }
    text
}

/// Several runs in one table: which tests failed how often, and by which signature, the worst first. In Markdown.
pub fn ranking(runs: &[Vec<Case>]) -> String {
    let mut tests: BTreeMap<&str, (usize, BTreeMap<String, usize>)> = BTreeMap::new();
    for case in runs.iter().flatten() {
        let (seen, failures) = tests.entry(&case.name).or_default();
        *seen += 1;
        if let Some(failure) = &case.failure {
            *failures.entry(signature(failure)).or_default() += 1;
        } else if case.failed_attempts > 0 {
            *failures.entry("passed when it was tried again".to_owned()).or_default() += 1;
        }
    }
    let mut ranked: Vec<_> = tests.into_iter().filter(|(_, (_, failures))| !failures.is_empty()).collect();
    let count = |failures: &BTreeMap<String, usize>| failures.values().sum::<usize>();
    ranked.sort_by(|(a_name, (_, a)), (b_name, (_, b))| count(b).cmp(&count(a)).then(a_name.cmp(b_name)));
    let all: usize = runs.iter().map(Vec::len).sum();
    let failed: usize = ranked.iter().map(|(_, (_, failures))| count(failures)).sum();
    let percent = |part: usize, of: usize| {
        let number = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
        100.0 * number(part) / number(of.max(1))
    };
    let mut text = format!("{} runs, {all} tests, {failed} failures: {:.2} %\n\n", runs.len(), percent(failed, all));
    if ranked.is_empty() {
        return text;
    }
    text.push_str("| test | failed | rate | how often | signature |\n|---|---|---|---|---|\n");
    for (name, (seen, failures)) in ranked {
        let failed = count(&failures);
        for (signature, times) in &failures {
            let signature = signature.replace('|', "\\|");
            let _ = writeln!(
                text,
                "| {name} | {failed} of {seen} | {:.0} % | {times} | {signature} |",
                percent(failed, seen)
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const FILE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="3" failures="1" time="13.000">
    <testsuite name="wva-e2e::isolation" tests="3">
        <testcase name="two_controllers" classname="wva-e2e::isolation" timestamp="t" time="12.5">
            <failure message="thread 'x' (77) panicked at e2e/tests/isolation.rs:10:5" type="test failure">thread 'x' (77) panicked at e2e/tests/isolation.rs:10:5:
waited 60s for 2 pods &amp; a Lease of e2e-0a1b2c3d; last seen: 1</failure>
            <system-out>&lt;not an element&gt;</system-out>
        </testcase>
        <testcase name="relabel" classname="wva-e2e::isolation" timestamp="t" time="3.25">
            <flakyFailure message="m" type="test failure">x</flakyFailure>
        </testcase>
        <testcase name="quick" classname="wva-e2e::isolation" timestamp="t" time="0.5"/>
    </testsuite>
</testsuites>"#;

    #[test]
    fn failed_and_flaky_tests_are_told_from_those_that_passed() {
        let cases = read(FILE);
        let told: Vec<_> =
            cases.iter().map(|case| (case.name.as_str(), case.failure.is_some(), case.is_flaky())).collect();
        assert_eq!(
            told,
            [
                ("wva-e2e::isolation two_controllers", true, false),
                ("wva-e2e::isolation relabel", false, true),
                ("wva-e2e::isolation quick", false, false)
            ]
        );
    }

    #[test]
    fn the_summary_names_the_failed_the_flaky_and_the_slowest() {
        insta::assert_snapshot!(summary(&read(FILE), wall_time(FILE), 2), @r"
        3 tests in 13 s, 1 failed, 1 flaky; 16 s of tests one after the other
          FAILED  wva-e2e::isolation two_controllers
                  waited Ns for N pods & a Lease of ID last seen: N
          FLAKY   wva-e2e::isolation relabel: failed 1 times before it passed
        Slowest:
           12.5 s  wva-e2e::isolation two_controllers
            3.2 s  wva-e2e::isolation relabel
        ");
    }

    #[rstest]
    #[case("thread 'a' panicked at x.rs:1:2:\nwaited 61.2s for 3 of 4 pods", "waited N.Ns for N of N pods")]
    #[case("waited 59s for 1 of 4 pods", "waited Ns for N of N pods")]
    #[case("opening /tmp/.tmpAb/x: no 0123456789abcdef here", "opening PATH no ID here")]
    #[case("", "no message")]
    fn what_differs_between_runs_is_not_part_of_a_signature(#[case] failure: &str, #[case] expect: &str) {
        assert_eq!(signature(failure), expect);
    }

    #[test]
    fn the_test_that_fails_most_stands_first_with_its_rate() {
        let pass = |name: &str| Case { name: name.to_owned(), ..Case::default() };
        let fail = |name: &str, why: &str| Case { failure: Some(why.to_owned()), failed_attempts: 1, ..pass(name) };
        let runs = [
            vec![fail("a", "late by 3 s"), fail("b", "late by 3 s")],
            vec![pass("a"), fail("b", "late by 5 s")],
            vec![pass("a"), fail("b", "no pod")],
            vec![pass("a"), pass("b")],
        ];
        insta::assert_snapshot!(ranking(&runs), @r"
        4 runs, 8 tests, 4 failures: 50.00 %

        | test | failed | rate | how often | signature |
        |---|---|---|---|---|
        | b | 3 of 4 | 75 % | 2 | late by N s |
        | b | 3 of 4 | 75 % | 1 | no pod |
        | a | 1 of 4 | 25 % | 1 | late by N s |
        ");
    }
}
