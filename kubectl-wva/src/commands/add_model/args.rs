//! The flags of `add-model`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::duration;

/// Longest Helm release name.
const MAX_RELEASE_NAME: usize = 53;

/// Flags of `add-model`.
#[derive(Args, Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one for each switch of the command line")]
pub struct AddModelArgs {
    /// Name of the install, as a Helm release name; the objects' names begin with it.
    #[arg(value_name = "NAME", value_parser = release_name)]
    pub name: String,
    /// Model id as the servers report it, e.g. meta-llama/Llama-3.1-8B.
    #[arg(long, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub model_id: Option<String>,
    /// Deployment to scale; if not given, NAME or NAME-decode, whichever exists.
    #[arg(long, value_name = "NAME")]
    pub deployment: Option<String>,
    /// Value of the pods' label llm-d.ai/model; if not given, read from the Deployment.
    #[arg(long, value_name = "VALUE")]
    pub model_name: Option<String>,
    /// Accelerator the replicas run on, e.g. A100.
    #[arg(long, value_name = "NAME")]
    pub accelerator: Option<String>,
    /// Cost of one replica, relative to other variants of the model.
    #[arg(long, value_name = "NUMBER", value_parser = cost)]
    pub cost: Option<String>,
    /// Fewest replicas.
    #[arg(long, value_name = "N")]
    pub min: Option<u32>,
    /// Most replicas.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max: Option<u32>,
    /// Controller instance that is to scale the model; needed only when several could. "" is the one without an id.
    #[arg(long, value_name = "ID")]
    pub instance: Option<String>,
    /// Set a value of the chart, as helm does (repeatable).
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Read values of the chart from a file, as helm does (repeatable).
    #[arg(short = 'f', long, value_name = "FILE")]
    pub values: Vec<PathBuf>,
    /// Add the model before its Deployment exists.
    #[arg(long)]
    pub create_before_target: bool,
    /// Forget what was given at earlier calls for this NAME; without it that stays in force where nothing else is given.
    #[arg(long)]
    pub reset_values: bool,
    /// Take over fields that somebody else manages.
    #[arg(long)]
    pub force_conflicts: bool,
    /// Only show what would happen: client renders the objects, server also has the API server check them.
    #[arg(long, value_enum, value_name = "WHERE")]
    pub dry_run: Option<DryRun>,
    /// Only show how the objects in the cluster would change, as `kubectl diff` does; exit code 1 when they would.
    #[arg(long, conflicts_with_all = ["dry_run", "wait"])]
    pub diff: bool,
    /// Wait until the controller has accepted the model and taken its first decision.
    #[arg(long)]
    pub wait: bool,
    /// How long to wait.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration::parse)]
    pub timeout: Duration,
}

/// How far a dry run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// Render only.
    Client,
    /// Let the API server admit and validate the objects, without storing them.
    Server,
}

impl DryRun {
    /// What follows an outcome that was not carried out.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Client => " (dry run)",
            Self::Server => " (server dry run)",
        }
    }
}

pub(crate) fn release_name(text: &str) -> Result<String, String> {
    let part = |part: &str| {
        part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && !part.starts_with('-')
            && !part.ends_with('-')
            && !part.is_empty()
    };
    if text.len() > MAX_RELEASE_NAME || !text.split('.').all(part) {
        return Err(format!(
            "use at most {MAX_RELEASE_NAME} lower-case letters, digits, '-' or '.', beginning and ending with a letter or digit"
        ));
    }
    Ok(text.to_owned())
}

/// Reads a cost: what the definition of `VariantAutoscaling` takes.
pub(crate) fn cost(text: &str) -> Result<String, String> {
    let digits = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if digits(whole) && digits(fraction) {
        Ok(text.to_owned())
    } else {
        Err("give a decimal number such as 40 or 12.5".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("llama-a100", true)]
    #[case("llama.8b", true)]
    #[case("", false)]
    #[case("Llama", false)]
    #[case("-llama", false)]
    #[case("a..b", false)]
    #[case(&"x".repeat(54), false)]
    fn a_name_is_what_helm_takes_as_a_release_name(#[case] name: &str, #[case] valid: bool) {
        assert_eq!(release_name(name).is_ok(), valid);
    }

    #[rstest]
    #[case("40", true)]
    #[case("12.5", true)]
    #[case("-1", false)]
    #[case("1e3", false)]
    #[case("5.", false)]
    fn a_cost_is_what_the_crd_takes(#[case] text: &str, #[case] valid: bool) {
        assert_eq!(cost(text).is_ok(), valid);
    }
}
