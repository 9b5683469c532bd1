//! The reference of the command line in docs/chart-render.md is what the program says itself.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

const MARK: &str = "UPDATE_DOCS=1 writes it anew -->\n";

fn help(command: &str) -> String {
    let program = assert_cmd::cargo::cargo_bin!("chart-render");
    let output =
        Command::new(program).args([command, "--help"]).env("COLUMNS", "100").output().expect("run chart-render");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    format!("\n### chart-render {command}\n\n```text\n{}\n```\n", lines.join("\n").trim())
}

#[test]
fn the_documented_commands_are_those_of_the_program() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/chart-render.md");
    let docs = fs::read_to_string(&path).expect("read docs/chart-render.md");
    let (before, written) = docs.split_once(MARK).expect("the mark in front of the reference");
    let reference = ["template", "check", "plan", "values"].map(help).concat();
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, format!("{before}{MARK}{reference}")).expect("write docs/chart-render.md");
        return;
    }
    assert_eq!(written, reference, "run this test with UPDATE_DOCS=1 and commit docs/chart-render.md");
}
