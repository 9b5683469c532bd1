//! Where values come from, strongest first: a flag given on the command line, the environment, the default.

use std::collections::BTreeMap;

use clap::{Arg, ArgMatches, Command};

use super::keys::{KEYS, Key, Kind};

/// Raw values by source. Nothing is merged before a value is asked for, so that an error can name its source.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Flags given explicitly, by key name.
    pub flags: BTreeMap<&'static str, String>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
}

/// Source of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag given explicitly.
    Flag,
    /// An environment variable.
    Environment,
    /// No source gave one.
    Default,
}

impl Sources {
    /// Flags from parsed arguments, and the given environment.
    pub fn new(matches: &ArgMatches, environment: impl IntoIterator<Item = (String, String)>) -> Self {
        let given = |key: &Key| key.flag.and_then(|_| matches.get_one::<String>(key.name).cloned());
        Self {
            flags: KEYS.iter().filter_map(|key| Some((key.name, given(key)?))).collect(),
            environment: environment.into_iter().collect(),
        }
    }

    /// The value of a key and where it comes from. An empty environment variable counts as not set, because a
    /// manifest cannot leave one out conditionally.
    pub fn value(&self, key: &Key) -> (&str, Origin) {
        if let Some(flag) = self.flags.get(key.name) {
            return (flag, Origin::Flag);
        }
        let names = std::iter::once(&key.name).chain(key.old_names);
        let set = names.filter_map(|&name| self.environment.get(name)).find(|value| !value.is_empty());
        match set {
            Some(value) => (value, Origin::Environment),
            None => (key.default, Origin::Default),
        }
    }
}

/// The command line, made from the table of keys.
pub fn command() -> Command {
    Command::new("wva-controller")
        .about("Scales variants of model servers with their load")
        .long_about(
            "Scales variants of model servers with their load.\n\nEvery setting is a flag, an environment variable, \
             or both; a flag given here wins over the environment. Durations are written like 60s, 1h30m or 500ms.",
        )
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(after_help())
        .args(KEYS.iter().filter_map(argument))
}

fn argument(key: &'static Key) -> Option<Arg> {
    let flag = key.flag?;
    let kind = key.kind;
    let arg = Arg::new(key.name)
        .long(flag)
        .visible_aliases(key.old_flags.iter().copied())
        .value_name(match kind {
            Kind::Bool => "BOOL",
            Kind::Int { .. } => "N",
            Kind::Duration | Kind::DurationOrOff => "DURATION",
            Kind::Address => "ADDRESS",
            Kind::Text | Kind::Url | Kind::Level => "TEXT",
        })
        .help(with_default(key))
        .value_parser(move |text: &str| kind.check(text).map(|()| text.to_owned()));
    let arg = if kind == Kind::Bool {
        arg.num_args(0..=1).require_equals(true).default_missing_value("true")
    } else {
        arg.num_args(1)
    };
    Some(if flag.len() == 1 { arg.short(flag.chars().next()?) } else { arg })
}

fn with_default(key: &Key) -> String {
    let default = if key.default.is_empty() { String::new() } else { format!(", default: {}", key.default) };
    format!("{} [env: {}{default}]", key.help, key.name)
}

/// The keys without a flag, so that `--help` shows the whole table.
fn after_help() -> String {
    let mut text = "Environment only:\n".to_owned();
    for key in KEYS.iter().filter(|key| key.flag.is_none()) {
        let default = if key.default.is_empty() { String::new() } else { format!(" [default: {}]", key.default) };
        text.extend(["  ", key.name, "\n          ", key.help, &default, "\n"]);
    }
    text
}
