//! Which series the follower of a variant reads: that of the instance it is told.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::api::ApiResource;
use regex::Regex;
use serde_json::{Value, json};
use wva_api::{Instance, VariantAutoscaling, labels, metrics};

use super::label;
use crate::readers::followers::{self, Follower};
use crate::session::{self, Session};
use crate::writers::edit::Edit;

/// The changes of all followers of a variant.
pub(super) async fn edits(
    session: &Session,
    variant: &VariantAutoscaling,
    to: &Instance,
) -> Result<Vec<Edit>, session::Error> {
    let found = followers::of_target(session, &variant.spec.scale_target_ref).await?;
    let mut edits = Vec::new();
    for follower in found {
        let mut edit = match &follower {
            Follower::Hpa(name) => Edit::of(session, ApiResource::erase::<HorizontalPodAutoscaler>(&()), name).await?,
            Follower::ScaledObject(name) => Edit::of(session, followers::scaled_object(), name).await?,
        };
        // Those that people made by hand carry no label, and need none.
        if !edit.get(&["metadata", "labels", labels::CONTROLLER_INSTANCE]).is_null() || edit.is_of_chart() {
            label(&mut edit, to);
        }
        let (path, change): (_, fn(Value, &Instance) -> Value) = match follower {
            Follower::Hpa(_) => (["spec", "metrics"], metrics_of),
            Follower::ScaledObject(_) => (["spec", "triggers"], triggers_of),
        };
        let after = change(edit.get(&path).clone(), to);
        edit.set(&path, after);
        edits.push(edit);
    }
    Ok(edits)
}

/// An HPA's metrics with the instance in the selector of ours.
fn metrics_of(mut metrics: Value, to: &Instance) -> Value {
    for metric in metrics.as_array_mut().into_iter().flatten() {
        let Some(metric) = metric.pointer_mut("/external/metric") else { continue };
        if ![metrics::DESIRED_REPLICAS, metrics::DESIRED_RATIO].iter().any(|ours| metric["name"] == *ours) {
            continue;
        }
        let selector = &mut metric["selector"]["matchLabels"];
        match (to.metric_label(), selector.as_object_mut()) {
            (Some((label, id)), Some(selector)) => {
                selector.insert(label.to_owned(), json!(id));
            }
            (Some((label, id)), None) => *selector = json!({ label: id }),
            (None, Some(selector)) => {
                selector.remove(metrics::LABEL_CONTROLLER_INSTANCE);
            }
            (None, None) => {}
        }
    }
    metrics
}

/// The triggers of a `ScaledObject` with the instance in the queries of ours.
fn triggers_of(mut triggers: Value, to: &Instance) -> Value {
    for trigger in triggers.as_array_mut().into_iter().flatten() {
        let Some(query) = trigger.pointer_mut("/metadata/query") else { continue };
        if let Some(text) = query.as_str() {
            *query = json!(query_of(text, to));
        }
    }
    triggers
}

/// A query with the instance in every selector of ours.
fn query_of(query: &str, to: &Instance) -> String {
    let (ours, id) = (r"(wva_desired_(?:replicas|ratio))\{([^}]*)\}", metrics::LABEL_CONTROLLER_INSTANCE);
    let Ok(selector) = Regex::new(ours) else { return query.to_owned() };
    let replace = |found: &regex::Captures<'_>| {
        let matchers = found[2].split(',').map(str::trim).filter(|one| !one.is_empty() && !one.starts_with(id));
        let wanted = to.metric_label().map(|(label, id)| format!("{label}={id:?}"));
        let matchers: Vec<String> = matchers.map(str::to_owned).chain(wanted).collect();
        format!("{}{{{}}}", &found[1], matchers.join(","))
    };
    selector.replace_all(query, replace).into_owned()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::changed("team-b", json!({"variant_name": "a", "controller_instance": "team-b"}))]
    #[case::to_the_one_without_an_id("", json!({"variant_name": "a"}))]
    fn an_hpa_reads_the_series_of_the_new_instance_and_keeps_its_other_metrics(
        #[case] to: &str,
        #[case] expect: Value,
    ) {
        let metric = |name: &str, labels: &Value| {
            json!({"type": "External", "external": {
                "metric": {"name": name, "selector": {"matchLabels": labels}}, "target": {"type": "AverageValue", "averageValue": "1"},
            }})
        };
        let before = json!({"variant_name": "a", "controller_instance": "team-a"});
        let foreign = metric("queue_depth", &before);
        let after =
            metrics_of(json!([metric("wva_desired_replicas", &before), foreign]), &Instance::parse(to).unwrap());
        assert_eq!(after, json!([metric("wva_desired_replicas", &expect), foreign]));
    }

    #[rstest]
    #[case::changed(
        r#"max(wva_desired_replicas{variant_name="a",controller_instance="team-a"})"#,
        "team-b",
        r#"max(wva_desired_replicas{variant_name="a",controller_instance="team-b"})"#
    )]
    #[case::added(
        r#"max(wva_desired_replicas{variant_name="a"})"#,
        "team-b",
        r#"max(wva_desired_replicas{variant_name="a",controller_instance="team-b"})"#
    )]
    #[case::removed(
        r#"max(wva_desired_replicas{controller_instance="team-a", variant_name="a"})"#,
        "",
        r#"max(wva_desired_replicas{variant_name="a"})"#
    )]
    #[case::foreign("sum(rate(requests{a=\"b\"}[1m]))", "team-b", "sum(rate(requests{a=\"b\"}[1m]))")]
    fn a_query_selects_the_new_instance(#[case] query: &str, #[case] to: &str, #[case] expect: &str) {
        assert_eq!(query_of(query, &Instance::parse(to).unwrap()), expect);
    }
}
