//! What becomes of a model that a controller observed: a scenario with its servers, limits and costs.

use rstest::rstest;
use wva_engine::fixtures::{model, snapshot, variant};
use wva_engine::settings::{PerModel, Proactive, Profile, ScaleUpPolicy, Slo};
use wva_engine::snapshot::{Reading, Sample, Tokens};
use wva_engine::{Memory, Settings};
use wva_simulator::Policy;
use wva_simulator::load::Load;
use wva_simulator::observed::{Asked, Shape, observed};

const ASKED: Asked = Asked { shape: Shape::Step, rate: None, times: 3.0, start_up_seconds: 60.0 };

fn known() -> (wva_engine::snapshot::Model, Settings) {
    let reading = |value| Some(Reading { value, age: jiff::SignedDuration::ZERO });
    let tokens = Tokens {
        kv_blocks: Some(1000),
        kv_block_size: Some(16),
        avg_input: reading(800.0),
        avg_output: reading(100.0),
        ..Tokens::default()
    };
    let built = model("llama").with(variant("a").cost(7.5).at_most(9));
    let mut model = snapshot([built]).models.remove(0);
    let of = &mut model.variants[0];
    "H100".clone_into(&mut of.accelerator);
    let sample = Sample { model_id: "llama".to_owned(), tokens, ..Sample::default() };
    let since = jiff::Timestamp::UNIX_EPOCH;
    of.pods = vec![wva_engine::snapshot::Pod {
        name: "a-1".to_owned(),
        ready: wva_engine::snapshot::Readiness::Ready { since },
        obstacle: None,
        sample: Some(sample),
    }];
    model.demand.arrival_rate = reading(4.0);
    let profile =
        Profile { model_id: "llama".to_owned(), accelerator: "H100".to_owned(), alpha: 5.0, beta: 0.05, gamma: 0.0005 };
    let slo = Slo { model_id: "llama".to_owned(), ttft_ms: Some(500.0), itl_ms: Some(50.0), ..Slo::default() };
    let proactive = Proactive { profiles: vec![profile], slos: vec![slo], ..Proactive::default() };
    let settings =
        Settings { proactive: Some(proactive), scale_up: PerModel::all(ScaleUpPolicy::Demand), ..Settings::default() };
    (model, settings)
}

#[test]
fn what_is_known_is_taken_over_and_nothing_is_assumed() {
    let (model, settings) = known();
    let found = observed(&model, &settings, &Memory::default(), ASKED);
    assert_eq!(found.assumed, Vec::<String>::new());
    let scenario = found.scenario;
    assert_eq!(scenario.check(), Ok(()));
    assert_eq!(scenario.load, Load::Step { from: 4.0, to: 12.0, at_seconds: 300.0 });
    assert_eq!((scenario.requests.prompt.mean, scenario.requests.output.mean), (800.0, 100.0));
    assert_eq!((scenario.slo.ttft_seconds, scenario.start_up_seconds, scenario.interval_seconds), (0.5, 60.0, 60.0));
    let variant = &scenario.variants[0];
    assert_eq!((variant.cost, variant.max, variant.server.kv_tokens), (7.5, 9, 16_000));
    assert!((variant.server.alpha_ms - 5.0).abs() < 1e-6);
    assert!(matches!(found.policy, Policy::Wva { scale_up: ScaleUpPolicy::Demand, hybrid: true, .. }));
}

#[test]
fn what_is_not_known_is_assumed_and_said() {
    let (mut model, _) = known();
    model.demand.arrival_rate = None;
    model.variants[0].pods.clear();
    model.variants[0].bounds.max = None;
    model.variants[0].server = None;
    let found = observed(&model, &Settings::default(), &Memory::default(), ASKED);
    let said = found.assumed.join("\n");
    for expect in [
        "no requests were seen",
        "how long requests are",
        "nobody is known to limit a",
        "how fast a is",
        "how much fits into a",
        "nothing is promised",
    ] {
        assert!(said.contains(expect), "no {expect}: {said}");
    }
    assert_eq!(found.scenario.check(), Ok(()));
}

#[rstest]
fn every_shape_can_be_simulated(
    #[values(Shape::Step, Shape::Ramp, Shape::Wave, Shape::Bursts, Shape::Noise)] shape: Shape,
) {
    let (model, settings) = known();
    let asked = Asked { shape, rate: Some(2.0), ..ASKED };
    let found = observed(&model, &settings, &Memory::default(), asked);
    assert_eq!(found.scenario.check(), Ok(()));
    assert!(found.scenario.description.starts_with(&shape.to_string()));
}
