//! The screens of docs/kubectl-wva.md: what a terminal of 80 columns and 24 lines shows of one world. `UPDATE_DOCS=1` writes
//! them into the page.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kubectl_wva::commands::explain::{ExplainView, Found};
use kubectl_wva::commands::status::{Filter, Gathered, Loads, StatusView};
use kubectl_wva::commands::{doctor, explain, status};
use kubectl_wva::output::Format;
use kubectl_wva::output::console::Console;
use kubectl_wva::output::watch::Screen;
use kubectl_wva::readers::debug_state::{DebugState, LastCycle};
use kubectl_wva::readers::servers::Servers;
use serde_json::{Value, json};
use wva_engine::{Memory, Settings, Snapshot, decide};

use crate::objects::{NOW, controller, decided, deployment, hpa, hpas, typed, variant, variants};
use crate::{cost, history};

const COLUMNS: u16 = 80;
const LINES: u16 = 24;
const MODEL: &str = "meta-llama/Llama-3.1-8B";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// What stands on a terminal once a command has ended, or while it watches.
fn screen(text: &str) -> String {
    let mut terminal = vt100::Parser::new(LINES.try_into().unwrap(), COLUMNS.try_into().unwrap(), 0);
    terminal.process(text.replace('\n', "\r\n").as_bytes());
    let rows: Vec<String> = terminal.screen().rows(0, COLUMNS).map(|row| row.trim_end().to_owned()).collect();
    rows.join("\n").trim_end().to_owned()
}

/// What a command prints on a terminal; standard error goes there, too.
fn printed(width: u16, print: impl FnOnce(&mut Console<'_>)) -> String {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut plain = anstream::StripStream::new(&mut out);
    print(&mut Console { out: &mut plain, err: &mut err, format: Format::Table, headers: true, width: Some(width) });
    [err, out].map(|text| String::from_utf8(text).unwrap()).concat()
}

fn observed(name: &str, cost: f64, replicas: u32, pods: &[(&str, f64, f64)]) -> Value {
    let reading = |value: f64| json!({"value": value, "age": "PT1S"});
    let since = now() - SignedDuration::from_mins(10);
    let pod = |(suffix, kv, queue): &(&str, f64, f64)| {
        json!({
            "name": format!("{name}-{suffix}"), "ready": {"ready": {"since": since}},
            "sample": {"model_id": MODEL, "kv_usage": reading(*kv), "queue_length": reading(*queue)},
        })
    };
    json!({
        "name": format!("{name}-va"), "accelerator": name, "cost": cost, "spec_replicas": replicas, "current": replicas,
        "desired": replicas, "bounds": {"min": 1, "max": 4}, "gpus_per_replica": 1,
        "pods": pods.iter().map(pod).collect::<Vec<_>>(),
    })
}

/// Two variants of a model, of which the cheaper one is full, as their controller decides on them.
fn cycle() -> LastCycle {
    let snapshot: Snapshot = typed(&json!({"models": [{
        "key": {"namespace": "team-a", "model_id": MODEL}, "source": "answered",
        "variants": [
            observed("llama-a100", 40.0, 2, &[("5d4f8c7b9-2xw7k", 0.93, 7.0), ("5d4f8c7b9-q9zlp", 0.88, 4.0)]),
            observed("llama-h100", 90.0, 1, &[("7c9d6f5b8-mt4vn", 0.71, 1.0)]),
        ],
    }]}));
    let settings = Settings::default();
    let plan = decide(&snapshot, &mut Memory::default(), &settings, now());
    LastCycle { at: now() - SignedDuration::from_secs(3), settings, snapshot, before: Memory::default(), plan }
}

/// The same cluster as its API server tells it.
fn gathered() -> Gathered {
    let cycle = cycle();
    let one = |name: &str, cost: &str| {
        let replicas = cycle.plan.targets.iter().find(|target| target.variant.name == format!("{name}-va")).unwrap();
        let mut one = decided(variant("team-a", name, name, "team-a"), i32::try_from(replicas.replicas).unwrap());
        one["spec"]["modelID"] = json!(MODEL);
        one["spec"]["variantCost"] = json!(cost);
        one["status"]["conditions"][2]["message"] = json!(replicas.reason.to_string());
        one
    };
    let mut loads = Loads::default();
    let all = [one("llama-a100", "40"), one("llama-h100", "90")];
    loads.add(&DebugState { last_cycle: Some(cycle) });
    Gathered {
        variants: variants(&all),
        deployments: Ok(vec![
            typed(&deployment("team-a", "llama-a100", 2)),
            typed(&deployment("team-a", "llama-h100", 1)),
        ]),
        hpas: Ok(hpas(&[hpa("team-a", "llama-a100", 2), hpa("team-a", "llama-h100", 1)])),
        controllers: Ok(vec![controller("wva-a", "team-a", &[])]),
        loads,
        servers: Servers::default(),
        troubles: BTreeMap::new(),
    }
}

fn status(gathered: &Gathered, width: u16) -> String {
    let view = StatusView::build(gathered, &Filter::default(), false, now());
    printed(width, |console| status::print(&view, Some("team-a"), console).unwrap())
}

fn watched() -> String {
    let mut before = gathered();
    let mut balanced = decided(variant("team-a", "llama-a100", "llama-a100", "team-a"), 2);
    balanced["spec"]["modelID"] = json!(MODEL);
    balanced["status"]["conditions"][2]["message"] = json!("Load and capacity are in balance");
    before.variants[0] = typed(&balanced);
    let mut screen = Screen::new(COLUMNS, Some(LINES), Duration::from_secs(2));
    let width = screen.inner_width();
    let first = screen.draw(&status(&before, width), "18:42:05");
    format!("{}{first}{}", Screen::ENTER, screen.draw(&status(&gathered(), width), "18:42:07"))
}

fn explained() -> String {
    let found = Found {
        variant: typed(&serde_json::to_value(gathered().variants[0].0.as_ref().unwrap()).unwrap()),
        deployment: Ok(vec![typed(&deployment("team-a", "llama-a100", 2))]),
        hpa: Ok(hpas(&[hpa("team-a", "llama-a100", 2)])),
        published: Ok(vec![3.0]),
        orphaned: None,
        controller: Some(controller("wva-a", "team-a", &[])),
        state: Ok(serde_json::to_string(&DebugState { last_cycle: Some(cycle()) }).unwrap()),
    };
    let view = ExplainView::build(&found, now());
    printed(COLUMNS, |console| explain::print(&view, console).unwrap())
}

fn examined() -> String {
    let view = doctor::examine(&crate::doctor::with_wrong_selector());
    printed(COLUMNS, |console| doctor::print(&view, console).unwrap())
}

#[test]
fn the_page_shows_screens_as_they_look() {
    let screens = [
        ("status", "kubectl wva status -n team-a", screen(&status(&gathered(), COLUMNS))),
        ("watch", "kubectl wva status -n team-a -w", screen(&watched())),
        ("explain", "kubectl wva explain llama-a100 -n team-a", screen(&explained())),
        ("doctor", "kubectl wva doctor -n models", screen(&examined())),
        ("history", "kubectl wva history llama-a100 -n models", screen(&history::shown(false, COLUMNS))),
        ("chart", "kubectl wva history llama-a100 -n models --chart", screen(&history::shown(true, COLUMNS))),
        ("cost", "kubectl wva cost -n models", screen(&cost::shown())),
    ];
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/kubectl-wva.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let mut right = page.clone();
    for (name, command, screen) in screens {
        let (begin, end) = (format!("<!-- screen {name} -->\n"), "<!-- end of screen -->\n");
        let (before, rest) = right.split_once(&begin).unwrap_or_else(|| panic!("the page has no {begin}"));
        let (_, after) = rest.split_once(end).unwrap();
        right = format!("{before}{begin}```text\n$ {command}\n{screen}\n```\n{end}{after}");
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, right).unwrap();
    } else {
        assert_eq!(page, right, "docs/kubectl-wva.md shows other screens; UPDATE_DOCS=1 writes those of today");
    }
}
