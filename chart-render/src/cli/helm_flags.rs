//! Flags of `helm template` that change nothing here, so that scripts may keep them, and those that ask for what
//! chart-render does not do, each refused by its name.

use anyhow::{Result, bail};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

/// What `helm template` takes beside that which chart-render does.
#[derive(Args, Default)]
#[command(next_help_heading = "Flags of helm")]
pub(super) struct HelmFlags {
    /// Name the release after the chart and the time.
    #[arg(short, long)]
    pub(super) generate_name: bool,
    /// Taken and without effect: errors always say where.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = switch, value_name = "BOOL", action = ArgAction::Set)]
    debug: Option<bool>,
    /// Taken when it is `client`, `none`, `true` or `false`: nothing is ever installed.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "client", value_name = "STRATEGY")]
    dry_run: Option<String>,
    /// Taken and without effect: no chart is fetched.
    #[arg(long, value_name = "CONSTRAINT")]
    version: Option<String>,
    #[command(flatten)]
    ignored: Ignored,
    #[command(flatten)]
    refused: Refused,
}

/// Switches about an installation, a download or a cluster, none of which happens here.
const SWITCHES: &[&str] = &[
    "atomic",
    "create-namespace",
    "devel",
    "disable-openapi-validation",
    "force",
    "force-conflicts",
    "force-replace",
    "hide-notes",
    "hide-secret",
    "insecure-skip-tls-verify",
    "kube-insecure-skip-tls-verify",
    "pass-credentials",
    "plain-http",
    "replace",
    "rollback-on-failure",
    "server-side",
    // Definitions are printed only when asked for, and then whatever this one says.
    "skip-crds",
    "take-ownership",
    "wait-for-jobs",
];

/// Flags of the same kind that come with a value.
const WITH_VALUE: &[&str] = &[
    "burst-limit",
    "ca-file",
    "cert-file",
    "color",
    "colour",
    "content-cache",
    "description",
    "key-file",
    "keyring",
    "kube-apiserver",
    "kube-as-group",
    "kube-as-user",
    "kube-ca-file",
    "kube-context",
    "kube-tls-server-name",
    "kube-token",
    "kubeconfig",
    "password",
    "post-renderer-args",
    "qps",
    "registry-config",
    "repository-cache",
    "repository-config",
    "timeout",
    "username",
];

/// Takes the flags without effect, and keeps nothing of them.
#[derive(Default)]
struct Ignored;

impl Args for Ignored {
    fn augment_args(command: Command) -> Command {
        let hidden = |name: &'static str| Arg::new(name).long(name).hide(true).action(ArgAction::Append);
        let with_value = WITH_VALUE.iter().map(|name| hidden(name));
        let switches =
            SWITCHES.iter().map(|name| hidden(name).num_args(0..=1).require_equals(true).value_parser(switch));
        command
            .args(switches)
            .args(with_value)
            .arg(hidden("wait").num_args(0..=1).require_equals(true))
            .arg(hidden("labels").short('l'))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Ignored {
    fn from_arg_matches(_: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self)
    }

    fn update_from_arg_matches(&mut self, _: &ArgMatches) -> Result<(), clap::Error> {
        Ok(())
    }
}

/// The value of a switch, in every spelling that helm takes.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err("a switch is true or false".to_owned()),
    }
}

/// Flags that ask for a cluster, a network or another program.
#[derive(Args, Default)]
#[expect(clippy::option_option, reason = "a switch that may be given a value")]
struct Refused {
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, value_parser = switch)]
    dependency_update: Option<Option<bool>>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, value_parser = switch)]
    render_subchart_notes: Option<Option<bool>>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, value_parser = switch)]
    validate: Option<Option<bool>>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, value_parser = switch)]
    enable_dns: Option<Option<bool>>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, value_parser = switch)]
    verify: Option<Option<bool>>,
    #[arg(long, hide = true)]
    repo: Option<String>,
    #[arg(long, hide = true)]
    post_renderer: Option<String>,
}

impl HelmFlags {
    /// An error for a flag that asks for what is not done here.
    pub(super) fn refuse(&self) -> Result<()> {
        let asked = |flag: &Option<Option<bool>>| flag.is_some_and(|value| value != Some(false));
        let Refused { dependency_update, render_subchart_notes, validate, enable_dns, verify, repo, post_renderer } =
            &self.refused;
        let refused = [
            (asked(dependency_update), "--dependency-update", "run `helm dependency update` on the chart first"),
            (asked(render_subchart_notes), "--render-subchart-notes", "notes are not printed; leave it out"),
            (asked(validate), "--validate", "it asks a cluster; use helm"),
            (asked(enable_dns), "--enable-dns", "it asks a name server; use helm"),
            (asked(verify), "--verify", "run `helm verify` on the archive first"),
            (repo.is_some(), "--repo", "fetch the chart with `helm pull` and give the file"),
            (post_renderer.is_some(), "--post-renderer", "run the other program on the output"),
            (self.dry_run.as_deref() == Some("server"), "--dry-run=server", "it asks a cluster; use helm"),
        ];
        match refused.iter().find(|(given, ..)| *given) {
            Some((_, flag, instead)) => bail!("chart-render has no {flag}: {instead}"),
            None => Ok(()),
        }
    }
}
