//! hack/k9s: the keys of k9s run commands that this plugin has.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use clap::Parser as _;
use kubectl_wva::cli::Cli;
use serde::Deserialize;

/// What k9s reads, in its own names; it refuses a file with others.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    plugins: BTreeMap<String, Plugin>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Plugin {
    short_cut: String,
    description: String,
    scopes: Vec<String>,
    command: String,
    background: bool,
    #[serde(default)]
    confirm: bool,
    #[serde(default)]
    dangerous: bool,
    args: Vec<String>,
}

impl Plugin {
    /// The words behind `kubectl wva`, with what k9s puts in for its variables.
    fn words(&self) -> Vec<String> {
        let fill = |text: &str| {
            text.replace("$NAMESPACE", "models").replace("$NAME", "llama-a100-va").replace("$CONTEXT", "admin@here")
        };
        match self.args.as_slice() {
            [flag, line] if self.command == "sh" && flag == "-c" => {
                let command = line.strip_suffix(" 2>&1 | less -R").expect("shown page by page");
                fill(command).replace('"', "").split(' ').skip(2).map(str::to_owned).collect()
            }
            args => args.iter().skip(1).map(|word| fill(word)).collect(),
        }
    }
}

#[test]
fn every_key_of_k9s_runs_a_command_that_exists_on_the_selected_variant() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hack/k9s/plugins.yaml");
    let file: File = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut keys = BTreeSet::new();
    for (name, plugin) in &file.plugins {
        let words = plugin.words();
        let cli = Cli::try_parse_from([vec!["kubectl-wva".to_owned()], words.clone()].concat());
        let cli = cli.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(cli.connection.namespace.as_deref(), Some("models"), "{name}");
        assert_eq!(cli.connection.context.as_deref(), Some("admin@here"), "{name}");
        assert!(keys.insert(&plugin.short_cut), "{name}: {} is taken", plugin.short_cut);
        // k9s sorts its tables with these.
        assert!(!["Shift-A", "Shift-N", "Shift-P"].contains(&plugin.short_cut.as_str()), "{name}");
        assert_eq!(
            (plugin.scopes.as_slice(), plugin.description.len() < 30),
            (&["variantautoscalings".to_owned()][..], true)
        );
        let changes = ["pause", "resume"].contains(&words[0].as_str());
        assert_eq!(
            [plugin.confirm, plugin.dangerous, plugin.background],
            [changes; 3],
            "{name}: what changes something asks first"
        );
    }
    assert!(file.plugins.len() >= 9);
}
