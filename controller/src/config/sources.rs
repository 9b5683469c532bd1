//! Where values come from, strongest first: a flag given on the command line, the environment, the configuration file,
//! the main ConfigMap, the default.

use std::collections::BTreeMap;
use std::fmt;

use clap::{Arg, ArgMatches, Command};

use wva_api::config_keys as name;

use super::keys::{self, Change, KEYS, Key, Kind};
use super::{Error, flat};

/// Raw values by source. Nothing is merged before a value is asked for, so that an error can name its source.
#[derive(Clone, Default)]
pub struct Sources {
    /// Flags given explicitly, by key name.
    pub flags: BTreeMap<&'static str, String>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// The configuration file.
    pub file: BTreeMap<String, String>,
    /// The main ConfigMap.
    pub config_map: BTreeMap<String, String>,
}

/// Source of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// No source gave one.
    Default,
    /// The main ConfigMap.
    ConfigMap,
    /// The configuration file.
    File,
    /// An environment variable.
    Environment,
    /// A flag given explicitly.
    Flag,
}

impl Origin {
    /// Its name in a sentence.
    pub fn word(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::ConfigMap => "main ConfigMap",
            Self::File => "configuration file",
            Self::Environment => "environment",
            Self::Flag => "flag",
        }
    }
}

/// What is set, and not to what: raw values may be secrets.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { flags, environment, file, config_map } = self;
        f.debug_struct("Sources")
            .field("flags", &flags.keys())
            .field("environment", &environment.keys())
            .field("file", &file.keys())
            .field("config_map", &config_map.keys())
            .finish()
    }
}

impl Sources {
    /// Flags from parsed arguments, and the given environment.
    pub fn new(matches: &ArgMatches, environment: impl IntoIterator<Item = (String, String)>) -> Self {
        let given = |key: &Key| key.flag.and_then(|_| matches.get_one::<String>(key.name).cloned());
        Self {
            flags: KEYS.iter().filter_map(|key| Some((key.name, given(key)?))).collect(),
            environment: environment.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Reads the configuration file, if one is named.
    ///
    /// # Errors
    /// When it cannot be read, or is not flat YAML.
    pub fn read_file(&mut self) -> Result<(), Error> {
        let Some((path, _)) =
            keys::find(name::CONFIG_FILE).map(|key| self.value(key)).filter(|(path, _)| !path.is_empty())
        else {
            return Ok(());
        };
        let failed = |why| Error::File { path: path.to_owned(), why };
        let text = std::fs::read_to_string(path).map_err(|error| failed(format!("cannot be read: {error}")))?;
        self.file = uppercase(flat::parse(&text).map_err(failed)?);
        Ok(())
    }

    /// The value of a key and where it comes from.
    pub fn value(&self, key: &Key) -> (&str, Origin) {
        if let Some(flag) = self.flags.get(key.name) {
            return (flag, Origin::Flag);
        }
        if let Some(value) = given(&self.environment, key) {
            return (value, Origin::Environment);
        }
        let read = key.change != Change::NotRead;
        if let Some(value) = given(&self.file, key).filter(|_| read) {
            return (value, Origin::File);
        }
        if let Some(value) = given(&self.config_map, key).filter(|_| read) {
            return (value, Origin::ConfigMap);
        }
        (key.default, Origin::Default)
    }
}

/// The value of a key in one source, by its name or an older one. An empty value counts as not set, because a manifest
/// cannot leave one out conditionally.
pub fn given<'a>(source: &'a BTreeMap<String, String>, key: &Key) -> Option<&'a str> {
    key.names().filter_map(|name| source.get(name)).map(String::as_str).find(|value| !value.is_empty())
}

/// Keys in a file may be written in any case.
pub fn uppercase(values: BTreeMap<String, String>) -> BTreeMap<String, String> {
    values.into_iter().map(|(key, value)| (key.to_ascii_uppercase(), value)).collect()
}

/// The command line, made from the table of keys.
pub fn command() -> Command {
    Command::new("wva-controller")
        .about("Scales variants of model servers with their load")
        .long_about(
            "Scales variants of model servers with their load.\n\nEvery setting is an environment variable and a key \
             of the main ConfigMap, and some are flags. A flag given here wins over the environment, that over the \
             ConfigMap. Durations are written like 60s, 1h30m or 500ms.",
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
            Kind::Text | Kind::Url | Kind::Level | Kind::OneOf(_) | Kind::Selector | Kind::Matchers | Kind::Headers => {
                "TEXT"
            }
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
    let mut text = "Settings without a flag:\n".to_owned();
    for key in KEYS.iter().filter(|key| key.flag.is_none()) {
        let default = if key.default.is_empty() { String::new() } else { format!(" [default: {}]", key.default) };
        text.extend(["  ", key.name, "\n          ", key.help, &default, "\n"]);
    }
    text
}
