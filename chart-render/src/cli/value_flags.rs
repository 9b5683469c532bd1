//! The flags that carry values, as helm has them.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::values::Values;

/// Values for the chart.
#[derive(Args, Default)]
pub(super) struct ValueFlags {
    /// Values file, `-` for the standard input; may be given several times, the last one wins.
    #[arg(short = 'f', long = "values", value_name = "FILE", value_delimiter = ',')]
    files: Vec<PathBuf>,
    /// Values on the command line: key1=val1,key2=val2.
    #[arg(long, value_name = "SETTINGS")]
    set: Vec<String>,
    /// Values that stay strings: key1=val1,key2=val2.
    #[arg(long, value_name = "SETTINGS")]
    set_string: Vec<String>,
    /// Values read from files: key1=path1,key2=path2.
    #[arg(long, value_name = "SETTINGS")]
    set_file: Vec<String>,
    /// JSON values: key1=json1,key2=json2, or one JSON object.
    #[arg(long, value_name = "SETTINGS")]
    set_json: Vec<String>,
    /// One value as it stands, commas and all: key=text.
    #[arg(long, value_name = "SETTING")]
    set_literal: Vec<String>,
}

impl ValueFlags {
    /// All files first, then each sort of setting, whatever their order on the command line: helm's rule.
    pub(super) fn read(&self) -> Result<Values> {
        let Self { files, set, set_string, set_file, set_json, set_literal } = self;
        let mut values = Values::new();
        for path in files {
            let name = path.display().to_string();
            if name.contains("://") {
                bail!("read values file {name}: chart-render reads no URL; fetch the file first");
            }
            let text = if name == "-" { std::io::read_to_string(std::io::stdin()) } else { fs::read_to_string(path) };
            values.merge_yaml(&name, &text.with_context(|| format!("read values file {name}"))?)?;
        }
        set_json.iter().try_for_each(|input| values.set_json(input).map(drop))?;
        set.iter().try_for_each(|input| values.set(input).map(drop))?;
        set_string.iter().try_for_each(|input| values.set_string(input).map(drop))?;
        set_file.iter().try_for_each(|input| {
            values.set_file(input, &|path| fs::read(path).map(|data| crate::bytes::to_text(&data))).map(drop)
        })?;
        set_literal.iter().try_for_each(|input| values.set_literal(input).map(drop))?;
        Ok(values)
    }
}
