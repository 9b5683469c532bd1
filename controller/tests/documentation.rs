//! The pages about conditions and events name every reason there is in the code, and no other.

use std::collections::BTreeSet;

/// The texts of all string constants in a piece of source.
fn constants(source: &str) -> BTreeSet<&str> {
    source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub const ")?.split_once(": &str = \"")?.1.strip_suffix("\";"))
        .collect()
}

/// The cells of one column in the table under a heading, without the code marks.
fn column<'a>(page: &'a str, heading: &str, column: usize) -> BTreeSet<&'a str> {
    let (_, section) = page.split_once(&format!("## {heading}\n")).expect("the heading is there");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.filter_map(|row| row.trim_matches('|').split('|').nth(column))
        .map(|cell| cell.trim().trim_matches('`'))
        .collect()
}

const PAGE: &str = include_str!("../../docs/conditions-and-events.md");

#[test]
fn every_condition_and_reason_is_documented_and_no_other_is() {
    let source = include_str!("../api/src/conditions.rs");
    let (types, rest) = source.split_once("pub mod reasons {").expect("the reasons have a module");
    let (reasons, _) = rest.split_once("\n}\n").expect("the module ends");
    assert_eq!(column(PAGE, "Conditions", 0), constants(types));
    assert_eq!(column(PAGE, "Conditions", 2), constants(reasons));
}

#[test]
fn every_event_is_documented_and_no_other_is() {
    assert_eq!(column(PAGE, "Events", 2), constants(include_str!("../api/src/events.rs")));
}

#[test]
fn events_are_normal_or_warnings() {
    assert_eq!(column(PAGE, "Events", 1), BTreeSet::from(["Normal", "Warning"]));
}
