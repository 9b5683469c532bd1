//! Writes the table of configuration keys into a Markdown document, between the two comments that mark its place, and
//! prints the whole document: `make generate` stores it, `make lint` compares.

use std::io::Write as _;

use wva_controller::config::keys::{Change, KEYS, Key};

const BEGIN: &str = "<!-- keys: begin -->\n";
const END: &str = "<!-- keys: end -->";

fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).ok_or_else(|| anyhow::anyhow!("usage: keys DOCUMENT"))?;
    let text = std::fs::read_to_string(&path)?;
    let missing = || anyhow::anyhow!("{path} has no place for the table: {BEGIN}…{END}");
    let (before, rest) = text.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    let mut table = "| Key | Flag | Type | Default | A change in the ConfigMap | What it does |\n".to_owned();
    table.push_str("|---|---|---|---|---|---|\n");
    table.extend(KEYS.iter().map(row));
    std::io::stdout().write_all(format!("{before}{BEGIN}{table}{END}{after}").as_bytes())?;
    Ok(())
}

fn row(key: &Key) -> String {
    let code = |text: &str| if text.is_empty() { String::new() } else { format!("`{text}`") };
    let with_old = |current: &[&str], old: &[&str], dashes: &str| {
        let current = current.iter().map(|name| format!("`{dashes}{name}`"));
        let old = old.iter().map(|name| format!("`{dashes}{name}` (old)"));
        current.chain(old).collect::<Vec<_>>().join(", ")
    };
    let flag = key.flag.as_slice();
    // A flag of one letter is written with one dash; both work.
    let dashes = if flag.iter().all(|flag| flag.len() > 1) { "--" } else { "-" };
    let change = match key.change {
        Change::Live => "applies at once",
        Change::Refused => "refused",
        Change::NextStart => "at the next start",
        Change::NotRead => "not read from it",
    };
    format!(
        "| {} | {} | {} | {} | {change} | {} |\n",
        with_old(&[key.name], key.old_names, ""),
        with_old(flag, key.old_flags, dashes),
        key.kind.word(),
        code(key.default),
        key.help
    )
}
