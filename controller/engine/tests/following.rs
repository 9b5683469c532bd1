//! What the status says while whoever follows the number does not carry it out.

use jiff::SignedDuration;
use wva_engine::fixtures::{MODEL, ModelBuilder, Script, VariantBuilder, model, variant};
use wva_engine::snapshot::{Autoscaler, ScalingRules};

const SATURATED: (f64, f64) = (0.95, 9.0);
const IDLE: (f64, f64) = (0.05, 0.0);

/// An HPA as the chart makes it.
fn hpa() -> Autoscaler {
    let rules = ScalingRules { window_seconds: 240, tolerance: 0.0, ..ScalingRules::up() };
    let (kind, name) = ("HorizontalPodAutoscaler".to_owned(), "llama-hpa".to_owned());
    Autoscaler { kind, name, follows: true, up: rules.clone(), down: rules, ..Autoscaler::default() }
}

fn only(variant: VariantBuilder) -> [ModelBuilder; 1] {
    [model(MODEL).with(variant)]
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

#[test]
fn a_saturated_model_says_until_when_its_autoscaler_holds_the_growth_back() {
    let mut script = Script::new();
    let models = || only(variant("llama").ready(1, SATURATED).followed_by(hpa()));
    let until = (script.now() + seconds(240)).strftime("%TZ").to_string();
    let held = format!("; saturated, held by HPA llama-hpa until {until} (its window of 240 s)");
    let first = script.cycle(models()).target("llama").explanation();
    assert!(first.ends_with(&held), "{first}");

    let second = script.pass(seconds(60)).cycle(models()).target("llama").explanation();
    assert!(second.starts_with("waiting for llama to go from 1 to 2 replicas"), "{second}");
    assert!(second.ends_with(&held), "the time stays the same: {second}");
    let third = script.pass(seconds(60)).cycle(models()).target("llama").explanation();
    assert_eq!(second, third, "what does not change is not written again");
    let late = script.pass(seconds(180)).cycle(models()).target("llama").explanation();
    assert!(!late.contains("held by"), "its time is over: {late}");
}

#[test]
fn a_new_leader_counts_the_window_from_when_the_number_was_published() {
    let mut script = Script::new();
    let mut waiting = variant("llama").ready(1, SATURATED).followed_by(hpa()).desired(2);
    waiting.0.desired_since = Some(script.now() - seconds(200));
    let until = (script.now() + seconds(40)).strftime("%TZ").to_string();

    let explanation = script.cycle(only(waiting)).target("llama").explanation();

    assert!(explanation.contains(&format!("held by HPA llama-hpa until {until}")), "{explanation}");
}

#[test]
fn an_idle_model_is_not_called_saturated_and_one_that_was_followed_is_not_held() {
    let mut script = Script::new();
    let shrinking =
        script.cycle(only(variant("llama").ready(3, IDLE).followed_by(hpa()))).target("llama").explanation();
    assert!(shrinking.contains("; held by HPA llama-hpa until ") && !shrinking.contains("saturated"), "{shrinking}");

    let starting = variant("llama").ready(1, SATURATED).pending_since(1, script.now()).followed_by(hpa()).desired(2);
    let explanation = Script::new().cycle(only(starting)).target("llama").explanation();
    assert!(!explanation.contains("held by"), "the pod is on its way: {explanation}");
}

#[test]
fn what_an_autoscaler_ignores_or_never_does_is_said() {
    let told = |autoscaler: Autoscaler| {
        let variant = variant("llama").ready(20, SATURATED).followed_by(autoscaler);
        Script::new().cycle(only(variant)).target("llama").explanation()
    };
    let tolerant = ScalingRules { tolerance: 0.1, ..hpa().up };
    let ignored = told(Autoscaler { up: tolerant, ..hpa() });
    let expect = "saturated, held by HPA llama-hpa, which ignores changes within its tolerance of 10 %";
    assert!(ignored.ends_with(expect), "{ignored}");
    let disabled = told(Autoscaler { up: ScalingRules { disabled: true, ..hpa().up }, ..hpa() });
    assert!(disabled.ends_with("saturated, held by HPA llama-hpa, which never scales this way"), "{disabled}");
    let why = Some("it is paused by an annotation".to_owned());
    let paused = told(Autoscaler { kind: "ScaledObject".into(), name: "llama".into(), paused: why, ..hpa() });
    assert!(paused.ends_with("saturated, held by ScaledObject llama: it is paused by an annotation"), "{paused}");
}
