//! YAML as Helm reads and writes it: YAML 1.1 on the way in (`yes` is true, `0644` is 420), go-yaml's layout on the
//! way out.

mod emit;
mod resolve;

pub(crate) use emit::to_yaml;
use serde_json::Value as Json;

/// Reads one document; an empty one is null.
pub(crate) fn parse(text: &str) -> Result<Json, String> {
    let mut options = serde_saphyr::Options::default();
    options.legacy_octal_numbers = true;
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}
