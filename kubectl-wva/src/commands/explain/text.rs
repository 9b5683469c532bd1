//! The answer for people: a headline, the chain, the readings, what would change it.

use anstyle::AnsiColor;

use super::{ExplainView, Link, LinkView, PodView, State, WhatIf};
use crate::Error;
use crate::output::Format;
use crate::output::console::Console;
use crate::output::table;
use crate::output::table::{Cell, Column};

/// Prints a view.
///
/// # Errors
/// When it cannot be written.
pub fn print(view: &ExplainView, console: &mut Console<'_>) -> Result<(), Error> {
    match console.format {
        Format::Json => return console.json(view),
        Format::Yaml => return console.yaml(view),
        Format::Name => return console.prose([format!("variantautoscaling.llmd.ai/{}", view.name)]),
        Format::Table | Format::Wide => {}
    }
    if let Some(why) = &view.unread {
        console.note(&format!("note: the numbers of the last decision are missing: {why}"))?;
    }
    console.prose([headline(view)])?;
    let red = AnsiColor::Red.on_default();
    console.prose(view.cause.iter().map(|cause| format!("{red}cause:{red:#} {cause}")))?;
    console.lines([String::new()])?;
    console.prose(view.chain.iter().map(link_line))?;
    if !view.pods.is_empty() {
        console.prose([String::new()])?;
        let rows = view.pods.iter().map(row).collect();
        console.data(&table::render(&COLUMNS, rows, console.headers, console.width))?;
    }
    console.prose(view.idle.iter().flat_map(|idle| [String::new(), format!("idle: {idle}")]))?;
    if let Some(thresholds) = &view.thresholds {
        console.prose([
            String::new(),
            format!(
                "a replica is saturated at a KV cache of {:.2} or a queue of {}; the model grows when the average spare \
                 KV cache falls below {:.2} or the average spare queue below {}",
                thresholds.kv_cache_threshold,
                thresholds.queue_length_threshold,
                thresholds.kv_spare_trigger,
                thresholds.queue_spare_trigger
            ),
        ])?;
    }
    if let Some(forecast) = &view.forecast {
        console.prose([String::new(), forecast.to_string()])?;
    }
    let changes = view.what_if.as_ref().map(changes).unwrap_or_default();
    console.prose(changes)
}

const COLUMNS: [Column; 5] = [
    Column::new("POD", 0),
    Column::new("READY", 0),
    Column::new("KV CACHE", 0),
    Column::new("QUEUE", 0),
    Column::new("AGE", 1),
];

fn headline(view: &ExplainView) -> String {
    let number = |count: Option<u32>| count.map_or("?".to_owned(), |count| count.to_string());
    let model = view.model.as_deref().unwrap_or("no model");
    format!(
        "{}/{} ({model}): {} -> {} replicas",
        view.namespace,
        view.shown(),
        number(view.current),
        number(view.desired)
    )
}

fn link_line(link: &LinkView) -> String {
    let name = match link.link {
        Link::Servers => "vLLM",
        Link::Prometheus => "Prometheus",
        Link::Decision => "decision",
        Link::Metric => "metric",
        Link::Hpa => "HPA",
        Link::Replicas => "replicas",
    };
    let (colour, word) = match link.state {
        State::Fine => (AnsiColor::Green, "ok"),
        State::Broken => (AnsiColor::Red, "broken"),
        State::Unknown => (AnsiColor::Yellow, "unknown"),
    };
    let style = colour.on_default();
    format!("{name:<10}  {style}{word:<7}{style:#}  {}", link.says)
}

fn row(pod: &PodView) -> Vec<Cell> {
    let known = |text: Option<String>| Cell::new(text.unwrap_or_else(|| "-".to_owned()));
    vec![
        Cell::new(&pod.name),
        Cell::new(if pod.ready { "yes" } else { "no" }),
        known(pod.kv_usage.map(|value| format!("{value:.2}"))),
        known(pod.queue_length.map(|value| format!("{value}"))),
        known(pod.age_seconds.map(|age| format!("{age}s"))),
    ]
}

fn changes(what_if: &WhatIf) -> Vec<String> {
    let WhatIf { kv_now, kv_grows_at, kv_shrinks_at, queue_now, queue_grows_at, queue_shrinks_at } = what_if;
    let mut lines = Vec::new();
    let mut say = |what: &str, now: &Option<f64>, at: &Option<f64>, then: &str, digits: usize| {
        if let (Some(now), Some(at)) = (now, at) {
            lines.push(format!("{then} at a mean {what} of {at:.digits$} (now {now:.digits$})"));
        }
    };
    say("KV cache use", kv_now, kv_grows_at, "it would ask for more", 2);
    say("queue length", queue_now, queue_grows_at, "it would ask for more", 1);
    say("KV cache use", kv_now, kv_shrinks_at, "it would ask for less", 2);
    say("queue length", queue_now, queue_shrinks_at, "it would ask for less", 1);
    if lines.is_empty() && kv_now.is_some() {
        lines.push("no other load of its pods would change the number".to_owned());
    }
    lines
}
