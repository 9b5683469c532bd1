use std::collections::{BTreeMap, BTreeSet};

use wva_api::Instance;

use super::published::Numbers;
use super::*;
use crate::cluster::index::ObjectKey;

/// One row of the documentation: type, labels, meaning.
type Row = (String, BTreeSet<String>, String);

/// Metrics with at least one series each.
fn everything() -> Metrics {
    let metrics = Metrics::new(&Instance::default());
    let numbers =
        Numbers { accelerator: "A100", current: 1, desired: 2, before: None, reason: "saturation", paused: true };
    metrics.published.publish(&ObjectKey::new("ns", "llama"), numbers);
    metrics.loads.show(&loads::tests::snapshot(Some(0.5)), &wva_engine::Settings::default());
    metrics.cycle.decisions.get_or_create(&ReasonLabel { reason: "steady" }).inc();
    metrics.cycle.variants.get_or_create(&ClaimLabel { claim: "managed" }).set(1);
    metrics.cycle.conflicts.get_or_create(&ConflictLabel { kind: "target" }).set(1);
    metrics.prometheus.observe("kv_cache_usage", Duration::from_millis(1), false);
    metrics.status.count(WriteOutcome::Ok);
    metrics.events.count(WriteOutcome::Ok);
    metrics.zero.scraped(true, Duration::from_millis(1));
    metrics.zero.woken(true);
    metrics
}

/// What is written: per series its type, labels and help. A histogram counts as one, an info by its full name.
fn written(text: &str) -> BTreeMap<String, Row> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let mut help = BTreeMap::new();
    let mut family = (String::new(), String::new());
    for line in text.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "HELP", name, words] => drop(help.insert(name.to_owned(), words.trim_end_matches('.').to_owned())),
            ["#", "TYPE", name, type_] => family = (name.to_owned(), type_.to_owned()),
            ["#", ..] => {}
            _ => {
                let (name, type_) = &family;
                let suffix = match type_.as_str() {
                    "counter" => "_total",
                    "info" => "_info",
                    _ => "",
                };
                let labels = line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}')).map_or("", |(it, _)| it);
                let labels = labels.split("\",").filter_map(|label| label.split_once('=')).map(|(name, _)| name);
                let row = rows.entry(format!("{name}{suffix}")).or_default();
                *row =
                    (type_.clone(), labels.filter(|it| *it != "le").map(str::to_owned).collect(), help[name].clone());
            }
        }
    }
    rows
}

/// What is documented: the rows of every table on the page.
fn documented(page: &str) -> BTreeMap<String, Row> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [series, type_, labels, meaning] = cells[..] else { return None };
        let series = series.strip_prefix('`')?.strip_suffix('`')?;
        let labels = labels.split(',').map(|label| label.trim().trim_matches('`')).filter(|it| *it != "–");
        Some((series.to_owned(), (type_.to_owned(), labels.map(str::to_owned).collect(), meaning.to_owned())))
    };
    page.lines().filter(|line| line.starts_with('|')).filter_map(row).collect()
}

#[test]
fn every_series_is_documented_with_its_type_labels_and_meaning_and_no_other_is() {
    let text = everything().encode(true).unwrap();
    let page = include_str!("../../../docs/metrics.md");
    pretty(&written(&text), &documented(page));
}

/// Names the rows that differ, which a comparison of the whole would hide.
fn pretty(written: &BTreeMap<String, Row>, documented: &BTreeMap<String, Row>) {
    let names: BTreeSet<&String> = written.keys().chain(documented.keys()).collect();
    for name in names {
        assert_eq!(written.get(name), documented.get(name), "{name}: written, and in docs/metrics.md");
    }
}

#[test]
fn every_series_is_registered_once_and_has_a_meaning() {
    let text = everything().encode(true).unwrap();
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    assert!(names.iter().all(|name| name.starts_with("wva_")), "{names:?}");
}
