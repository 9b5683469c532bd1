//! One variant and one autoscaler for each target, and both for the same one.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::objects::Object;
use super::{Finding, Rule};

/// The metric an autoscaler follows.
const DESIRED_REPLICAS: &str = "wva_desired_replicas";

pub(super) fn findings(objects: &[Object<'_>]) -> Vec<Finding> {
    let variants = || objects.iter().filter(|object| object.kind() == "VariantAutoscaling");
    let scalers =
        || objects.iter().filter(|object| matches!(object.kind(), "HorizontalPodAutoscaler" | "ScaledObject"));
    let mut findings = shared(
        variants(),
        "several VariantAutoscalings scale one target, so none of them is acted upon: keep one for each Deployment",
    );
    findings.extend(shared(
        scalers(),
        "several autoscalers scale one target and work against each other: keep one for each Deployment",
    ));
    for scaler in scalers() {
        for metric in metrics(scaler) {
            let meant = || variants().filter(|variant| metric.is_about(variant));
            let found = meant().find(|variant| variant.release == scaler.release).or_else(|| meant().next());
            match found {
                None => findings.push(metric.finding(
                    Rule::Metric,
                    format!(
                        "asks for {DESIRED_REPLICAS} of {}, which is none of the VariantAutoscalings here: correct \
                         variant_name and exported_namespace",
                        metric.variant()
                    ),
                    None,
                )),
                Some(variant) => findings.extend(metric.disagreements(variant)),
            }
        }
    }
    findings
}

fn shared<'o>(objects: impl Iterator<Item = &'o Object<'o>>, message: &str) -> Vec<Finding> {
    let mut targets: BTreeMap<(&str, &str, &str), Vec<&Object<'_>>> = BTreeMap::new();
    for object in objects {
        if let Some(target) = object.target() {
            targets.entry(target).or_default().push(object);
        }
    }
    let several = targets.into_values().filter(|objects| {
        // The same object twice is another finding.
        objects.iter().any(|object| object.name() != objects[0].name())
    });
    several
        .map(|objects| Finding {
            rule: Rule::Target,
            objects: objects.iter().map(|object| object.reference()).collect(),
            message: message.to_owned(),
        })
        .collect()
}

/// The selector of one external metric.
struct Metric<'a> {
    scaler: &'a Object<'a>,
    labels: BTreeMap<String, String>,
}

/// The metrics of an HPA, or those in the queries of a KEDA `ScaledObject`.
fn metrics<'a>(scaler: &'a Object<'a>) -> Vec<Metric<'a>> {
    let items = |json: &'a Json| json.as_array().map(Vec::as_slice).unwrap_or_default();
    let external = items(&scaler.json["spec"]["metrics"]).iter().map(|metric| &metric["external"]["metric"]);
    let of_hpa = external
        .filter(|metric| metric["name"].as_str() == Some(DESIRED_REPLICAS))
        .map(|metric| super::objects::labels(&metric["selector"]["matchLabels"]));
    let queries =
        items(&scaler.json["spec"]["triggers"]).iter().filter_map(|trigger| trigger["metadata"]["query"].as_str());
    let of_keda = queries.filter_map(matchers);
    of_hpa.chain(of_keda).map(|labels| Metric { scaler, labels }).collect()
}

/// The labels in `wva_desired_replicas{a="b",c="d"}`.
fn matchers(query: &str) -> Option<BTreeMap<String, String>> {
    let (_, rest) = query.split_once(DESIRED_REPLICAS)?;
    let inside = rest.trim_start().strip_prefix('{')?.split('}').next()?;
    let pair = |matcher: &str| {
        let (key, value) = matcher.split_once('=')?;
        Some((key.trim().to_owned(), value.trim().trim_matches('"').to_owned()))
    };
    Some(inside.split(',').filter_map(pair).collect())
}

impl Metric<'_> {
    fn label(&self, key: &str) -> Option<&str> {
        self.labels.get(key).map(String::as_str)
    }

    fn namespace(&self) -> &str {
        self.label("exported_namespace").unwrap_or(self.scaler.namespace())
    }

    fn variant(&self) -> String {
        format!("{}/{}", self.namespace(), self.label("variant_name").unwrap_or("any variant"))
    }

    fn is_about(&self, variant: &Object<'_>) -> bool {
        self.label("variant_name").is_none_or(|name| name == variant.name()) && self.namespace() == variant.namespace()
    }

    fn disagreements(&self, variant: &Object<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.scaler.target() != variant.target() {
            let message = "the autoscaler follows this variant's metric but scales another target: make both \
                           scaleTargetRefs the same";
            findings.push(self.finding(Rule::Target, message.to_owned(), Some(variant)));
        }
        let (asked, given) = (self.label("controller_instance"), variant.label(super::instances::LABEL));
        if asked != given {
            let say = |id: Option<&str>| id.map_or("no instance id".to_owned(), |id| format!("instance {id:?}"));
            let message = format!(
                "the autoscaler's metric selector has {}, the variant {}: use one wva.controllerInstance for both",
                say(asked),
                say(given)
            );
            findings.push(self.finding(Rule::Instance, message, Some(variant)));
        }
        findings
    }

    fn finding(&self, rule: Rule, message: String, variant: Option<&Object<'_>>) -> Finding {
        let objects = std::iter::once(self.scaler.reference()).chain(variant.map(Object::reference)).collect();
        Finding { rule, objects, message }
    }
}
