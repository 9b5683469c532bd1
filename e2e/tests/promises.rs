//! docs/promises.md keeps what it says: every promise of the users' guides names functions that exist. That they ran and
//! passed is asked of the results of a whole run, by `wva-e2e summary --promises` in `make test`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use wva_e2e::hunt::promises;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned()
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
    let rows = promises::rows(&text);
    assert!(rows.len() > 100, "only {} promises were found: has the form of the table changed?", rows.len());
    let mut sources = BTreeMap::new();
    let mut wrong = Vec::new();
    for row in &rows {
        if row.proofs.is_empty() {
            wrong.push(format!("line {}: no test for: {}", row.line, row.promise));
        }
        let missing = row.proofs.iter().filter(|proof| !exists(proof, &mut sources));
        wrong.extend(missing.map(|proof| format!("line {}: no such test: {proof}", row.line)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
