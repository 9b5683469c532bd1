//! Whether the chart renders for the cluster, and whether whoever asks may write what it renders.

use chart_render::{Release, Values};
use serde_json::Value;

use super::{Check, State, rights};
use crate::commands::add_model::DryRun;
use crate::commands::release::{self, Served};
use crate::session::Session;
use crate::writers::install;

const NAME: &str = "chart";

/// The chart's own look at the cluster, the rights that its objects need, and the API server's word on the objects.
pub(super) async fn checks(session: &Session, served: &Served, name: &str, values: Values) -> Vec<Check> {
    let chart = match install::chart() {
        Ok(chart) => chart,
        Err(error) => return vec![Check::new(NAME, State::Missing, error.to_string())],
    };
    let release = Release::new(name, &session.namespace);
    let version = chart.version().to_owned();
    let rendered = match release::render(session, served, chart, values, release).await {
        Ok(rendered) => rendered,
        // The chart's own sentences hold the command.
        Err(error) => return vec![Check::new(NAME, State::Missing, error.to_string())],
    };
    let mut objects: Vec<Value> =
        rendered.manifests.iter().map(|manifest| manifest.object.clone()).filter(Value::is_object).collect();
    let counted = objects.len();
    let mut checks = vec![Check::new(NAME, State::Ok, format!("version {version} renders to {counted} objects"))];
    let rights = rights::check(session, served, &objects).await;
    let may = rights.state == State::Ok;
    checks.push(rights);
    if may && session.require_namespace(&session.namespace).await.is_ok() {
        release::mark(&mut objects, name, &session.namespace);
        checks.push(match release::rehearse(session, &objects, name, DryRun::Server, false).await {
            Ok(_) => Check::new("objects", State::Ok, "the API server admits all of them (dry run)"),
            Err(error) => Check::new("objects", State::Missing, error.to_string()).fixed_by(error.hint()),
        });
    }
    checks
}
