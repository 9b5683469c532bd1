//! What kinds of values there are, and how each is checked.

use super::{Headers, Matchers, address, value};

/// Values a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// An `http://` or `https://` address.
    Url,
    /// `host:port`, `:port`, or `0` for off.
    Address,
    /// True or false.
    Bool,
    /// A whole number of at least the given size.
    Int {
        /// Smallest value allowed.
        min: i64,
    },
    /// A duration longer than zero.
    Duration,
    /// A duration; zero means off.
    DurationOrOff,
    /// A log level by name.
    Level,
    /// A label selector.
    Selector,
    /// Label matchers of Prometheus.
    Matchers,
    /// Headers of HTTP.
    Headers,
    /// One of a few words.
    OneOf(&'static [&'static str]),
}

impl Kind {
    /// Checks a value.
    ///
    /// # Errors
    /// What is wrong with it, in words for a person.
    pub fn check(self, text: &str) -> Result<(), String> {
        match self {
            Self::Text => Ok(()),
            Self::Bool => value::parse_bool(text).map(drop).map_err(|why| format!("is not a boolean: {why}")),
            Self::Int { min } => match text.parse::<i64>() {
                Ok(number) if number >= min => Ok(()),
                Ok(_) => Err(format!("is less than {min}")),
                Err(_) => Err("is not a whole number".to_owned()),
            },
            Self::Duration => match value::parse_duration(text) {
                Ok(duration) if duration.is_zero() => Err("must be longer than zero".to_owned()),
                Ok(_) => Ok(()),
                Err(why) => Err(format!("is not a duration: {why}")),
            },
            Self::DurationOrOff => {
                value::parse_duration(text).map(drop).map_err(|why| format!("is not a duration: {why}"))
            }
            Self::Url => match reqwest::Url::parse(text) {
                Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(()),
                Ok(_) => Err("is not an http:// or https:// address".to_owned()),
                Err(why) => Err(format!("is not an address: {why}")),
            },
            Self::Selector => crate::cluster::selector::check(text).map_err(|why| why.to_string()),
            Self::Matchers => Matchers::parse(text).map(drop),
            Self::Headers => Headers::parse(text).map(drop),
            Self::Address => address::BindAddress::parse(text).map(drop),
            Self::Level => crate::telemetry::level_of_name(text)
                .map(drop)
                .ok_or_else(|| "is not a log level: use error, warn, info, debug or trace".to_owned()),
            Self::OneOf(words) if words.contains(&text) => Ok(()),
            Self::OneOf(words) => Err(format!("is not one of {}", words.join(", "))),
        }
    }

    /// Its name in `--help` and in the documentation.
    pub fn word(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int { .. } => "int",
            Self::Duration | Self::DurationOrOff => "duration",
            Self::Address => "address",
            Self::Url => "URL",
            Self::Text | Self::Level | Self::OneOf(_) | Self::Selector | Self::Matchers | Self::Headers => "text",
        }
    }
}
