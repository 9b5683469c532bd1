//! The view as a tree: each model, its variants, their pods.

use std::collections::BTreeMap;

use anstyle::AnsiColor;

use super::text::{reason_text, replicas_text, verdicts};
use super::view::{Level, PodLoad, StatusView, VariantView};
use crate::Error;
use crate::output::console::Console;
use crate::output::table::{cut, wrapped};

/// Prints a view as a tree; `namespace` is the one it is about, `None` for all.
///
/// # Errors
/// When it cannot be written.
pub fn print(view: &StatusView, namespace: Option<&str>, console: &mut Console<'_>) -> Result<(), Error> {
    super::beside(view, console)?;
    console.prose(verdicts(view))?;
    if view.variants.is_empty() {
        return super::nothing(namespace, console);
    }
    let mut models: BTreeMap<(&str, &str), Vec<&VariantView>> = BTreeMap::new();
    for variant in &view.variants {
        models.entry((&variant.namespace, variant.model.as_deref().unwrap_or("no model"))).or_default().push(variant);
    }
    for ((namespace, model), variants) in models {
        let bold = anstyle::Style::new().bold();
        console.prose([String::new(), format!("{bold}{model}{bold:#} in namespace {namespace}")])?;
        let last = variants.len() - 1;
        for (at, variant) in variants.into_iter().enumerate() {
            let (branch, trunk) = if at == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            let lines = branch_lines(variant, view, console.width.map(usize::from));
            console.lines(lines.into_iter().enumerate().map(|(line, text)| {
                let before = if line == 0 { branch } else { trunk };
                format!("{before}{text}")
            }))?;
        }
    }
    Ok(())
}

fn branch_lines(variant: &VariantView, view: &StatusView, width: Option<usize>) -> Vec<String> {
    let red = AnsiColor::Red.on_default();
    let name = variant.shown();
    let name = if variant.problems.is_empty() { name.to_owned() } else { format!("{red}{name}{red:#}") };
    let accelerator = variant.accelerator.as_deref().unwrap_or("unknown accelerator");
    let facts = format!("{}, {accelerator}, cost {}", replicas_text(&variant.replicas), variant.cost);
    let inner = width.map(|width| width.saturating_sub(6));
    let below = |text: &str| {
        let lines = inner.map_or_else(|| vec![text.to_owned()], |inner| wrapped(text, inner));
        lines.into_iter().map(|line| format!("   {line}"))
    };
    // A name stays whole; what does not fit beside it stands below.
    let beside = inner.is_none_or(|inner| variant.shown().chars().count() + facts.chars().count() < inner);
    let mut lines = if beside { vec![format!("{name}  {facts}")] } else { vec![name] };
    if !beside {
        lines.extend(below(&facts));
    }
    lines.extend(below(&reason_text(variant, view)));
    let pods = variant.load.iter().flat_map(|load| &load.each);
    let pods: Vec<&PodLoad> = pods.collect();
    let last = pods.len().saturating_sub(1);
    for (at, pod) in pods.into_iter().enumerate() {
        let branch = if at == last { "└─ " } else { "├─ " };
        lines.push(format!("{branch}{}", pod_line(pod, inner)));
    }
    lines
}

fn pod_line(pod: &PodLoad, width: Option<usize>) -> String {
    let ready = if pod.ready { "ready" } else { "not ready" };
    let load = match (pod.kv_usage, pod.queue_length) {
        (Some(kv), Some(queue)) => format!("{:.0}% kv, {queue:.0} queued", kv * 100.0),
        _ => "no metrics".to_owned(),
    };
    let colour = match pod.level {
        Level::Usual => None,
        Level::High => Some(AnsiColor::Yellow.on_default()),
        Level::Saturated => Some(AnsiColor::Red.on_default()),
    };
    let name = width
        .map_or_else(|| pod.name.clone(), |width| cut(&pod.name, width.saturating_sub(ready.len() + load.len() + 7)));
    match colour {
        Some(style) => format!("{name}  {ready}  {style}{load}{style:#}"),
        None => format!("{name}  {ready}  {load}"),
    }
}
