//! docs/promises.md: what the users' guides promise, a row each, with the tests that prove it.

use std::collections::BTreeSet;

use super::junit::Case;

/// One row: the promise, and the tests that prove it, each as `path::function`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// From 1.
    pub line: usize,
    /// What the guide says.
    pub promise: &'a str,
    /// The second column's quoted parts.
    pub proofs: Vec<&'a str>,
}

/// Rows of all tables with the columns promise, proof and remark.
pub fn rows(text: &str) -> Vec<Row<'_>> {
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

/// Proofs that are none in this run of the tests: no test of that function passed, in any of its cases. A sentence each.
pub fn unproven(rows: &[Row<'_>], cases: &[Case]) -> Vec<String> {
    // A test's name is the way through modules to its function, with its case behind it.
    let passed: BTreeSet<&str> = cases
        .iter()
        .filter(|case| case.failure.is_none())
        .flat_map(|case| case.name.split([' ', ':']).filter(|part| !part.is_empty()))
        .collect();
    let wrong = |row: &Row<'_>| {
        let (line, promise) = (row.line, row.promise);
        let none = row.proofs.is_empty().then(|| format!("line {line}: no test for: {promise}"));
        let missing = row
            .proofs
            .iter()
            .filter(|proof| proof.rsplit_once("::").is_none_or(|(_, function)| !passed.contains(function)));
        let missing = missing.map(|proof| format!("line {line}: no test passed of: {proof}"));
        none.into_iter().chain(missing).collect::<Vec<_>>()
    };
    rows.iter().flat_map(wrong).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
| Promise | Proof | Remark |
| --- | --- | --- |
| it scales | `e2e/tests/a.rs::it_scales` `e2e/tests/a.rs::it_shrinks` | |
| it sings | | never did |
| other | table |
";

    fn case(name: &str, failure: Option<&str>) -> Case {
        Case { name: name.to_owned(), failure: failure.map(str::to_owned), ..Case::default() }
    }

    #[test]
    fn a_promise_holds_when_all_its_tests_passed_in_one_case_at_least() {
        let rows = rows(TABLE);
        assert_eq!(rows.len(), 2);
        let cases =
            [case("wva-e2e::a scaling::it_scales::case_1_up", None), case("wva-e2e::a it_shrinks", Some("late"))];
        assert_eq!(
            unproven(&rows, &cases),
            ["line 3: no test passed of: e2e/tests/a.rs::it_shrinks", "line 4: no test for: it sings"]
        );
        assert_eq!(unproven(&rows[..1], &[cases[0].clone(), case("wva-e2e::a it_shrinks", None)]), [""; 0]);
    }
}
