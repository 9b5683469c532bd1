//! Flags of `helm template` that change nothing here, so that scripts may keep them, and those that ask for what
//! chart-render does not do, each refused by its name.

use anyhow::{Result, bail};
use clap::{ArgAction, Args};

/// What `helm template` takes beside that which chart-render does.
#[derive(Args, Default)]
#[command(next_help_heading = "Flags of helm")]
pub(super) struct HelmFlags {
    /// Name the release after the chart and the time.
    #[arg(short, long)]
    pub(super) generate_name: bool,
    /// Taken and without effect: errors always say where.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true, value_name = "BOOL", action = ArgAction::Set)]
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

/// Flags about an installation, which never happens here.
#[derive(Args, Default)]
#[expect(clippy::option_option, reason = "a switch that may be given a value")]
struct Ignored {
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    create_namespace: Option<Option<bool>>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, alias = "rollback-on-failure")]
    atomic: Option<Option<bool>>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    wait: Option<Option<String>>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    wait_for_jobs: Option<Option<bool>>,
    #[arg(long, hide = true)]
    timeout: Option<String>,
    #[arg(short, long, hide = true)]
    labels: Vec<String>,
    #[arg(long, hide = true)]
    description: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    hide_notes: Option<Option<bool>>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    disable_openapi_validation: Option<Option<bool>>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    force: Option<Option<bool>>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, alias = "force-conflicts")]
    force_replace: Option<Option<bool>>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    replace: Option<Option<bool>>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    take_ownership: Option<Option<bool>>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    hide_secret: Option<Option<bool>>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    devel: Option<Option<bool>>,
}

/// Flags that ask for a cluster, a network or another program.
#[derive(Args, Default)]
#[expect(clippy::option_option, reason = "a switch that may be given a value")]
struct Refused {
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    dependency_update: Option<Option<bool>>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    render_subchart_notes: Option<Option<bool>>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    validate: Option<Option<bool>>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    enable_dns: Option<Option<bool>>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
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
