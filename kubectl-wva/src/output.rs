//! What is printed, and how: the flags for it, the [`console`] every command writes to, tables, and screens.

pub mod console;
pub mod table;
pub mod watch;

use clap::{Args, ValueEnum};

/// The flags for what is printed, and how.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub struct Output {
    /// Form of the answer.
    #[arg(short = 'o', long = "output", global = true, value_enum, value_name = "FORM", default_value_t = Format::Table)]
    pub format: Format,
    /// Leave out column headers.
    #[arg(long, global = true)]
    pub no_headers: bool,
    /// When to use colour; auto means on a terminal, unless the variable `NO_COLOR` is set.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto)]
    pub color: Color,
}

/// Form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For people with wide terminals.
    Wide,
    /// Everything, for programs.
    Json,
    /// Everything, as YAML.
    Yaml,
    /// Only `kind.group/name` lines.
    Name,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal that supports it.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl From<Color> for anstream::ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::Always,
            Color::Never => Self::Never,
        }
    }
}
