//! docs/promises.md keeps what it says: every promise of the users' guides names a test that exists.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One row: the promise, and the tests that prove it.
struct Row<'a> {
    line: usize,
    promise: &'a str,
    proofs: Vec<&'a str>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned()
}

/// Rows of all tables with the columns promise, proof and remark.
fn rows(text: &str) -> Vec<Row<'_>> {
    let cells = |line: &'_ str| line.trim_matches('|').split('|').count();
    let table = text.lines().enumerate().filter(|(_, line)| line.starts_with("| ") && cells(line) == 3);
    table
        .filter(|(_, line)| !line.starts_with("| Promise") && !line.starts_with("| ---"))
        .map(|(index, line)| {
            let mut cells = line.trim_matches('|').split('|').map(str::trim);
            let (promise, proof) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
            // Every second piece between backticks is quoted.
            Row { line: index + 1, promise, proofs: proof.split('`').skip(1).step_by(2).collect() }
        })
        .collect()
}

/// Whether a proof, `path::function`, names a function of that file.
fn exists(proof: &str, sources: &mut BTreeMap<String, String>) -> bool {
    let Some((path, function)) = proof.split_once("::") else { return false };
    let source = sources
        .entry(path.to_owned())
        .or_insert_with(|| std::fs::read_to_string(root().join(path)).unwrap_or_default());
    source.contains(&format!("fn {function}(")) || source.contains(&format!("fn {function}<"))
}

#[test]
fn every_promise_of_the_guides_names_tests_that_exist() {
    let text = std::fs::read_to_string(root().join("docs/promises.md")).expect("the table is there");
    let rows = rows(&text);
    assert!(rows.len() > 100, "only {} promises were found: has the form of the table changed?", rows.len());
    let mut sources = BTreeMap::new();
    let mut wrong = Vec::new();
    for Row { line, promise, proofs } in &rows {
        if proofs.is_empty() {
            wrong.push(format!("line {line}: no test for: {promise}"));
        }
        wrong.extend(
            proofs
                .iter()
                .filter(|proof| !exists(proof, &mut sources))
                .map(|proof| format!("line {line}: no such test: {proof}")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
