//! The pages about conditions, events and folders name what there is in the code, and nothing else.

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

const ARCHITECTURE: &str = include_str!("../../docs/architecture.md");

/// The folders in a folder of the project.
fn folders(path: &std::path::Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(path).expect("a crate has sources").flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    folders.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

#[test]
fn every_folder_of_every_crate_is_in_the_listing_and_no_other() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let (_, members) = manifest.split_once("members = [").expect("a workspace");
    let members = members.split(']').next().unwrap_or_default().split(',').map(|it| it.trim().trim_matches('"'));
    let listing = ARCHITECTURE.replace("\n### ", "\n## ");
    for member in members.filter(|member| !member.is_empty()) {
        let there = folders(&root.join(member).join("src"));
        if !there.is_empty() {
            let listed: BTreeSet<String> =
                column(&listing, &format!("`{member}`"), 0).into_iter().map(str::to_owned).collect();
            assert_eq!(listed, there, "docs/architecture.md says what each folder of {member} is for");
        }
    }
}

#[test]
fn what_the_pages_point_at_is_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let places = column(&ARCHITECTURE.replace("\n### ", "\n## "), "Where is…", 1)
        .into_iter()
        .flat_map(|cell| cell.split('`').filter(|word| word.contains('/')).map(str::to_owned).collect::<Vec<_>>())
        .collect::<BTreeSet<_>>();
    assert!(places.len() >= 6, "{places:?}");
    for place in places {
        assert!(root.join(&place).exists(), "{place} is not there");
    }
}
