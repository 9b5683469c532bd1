//! What holds of demand sizing whatever loads come, carried out at once by servers that take time to start.

mod fleet;

use proptest::prelude::*;
use proptest::sample::select;
use wva_engine::plan::Reason;
use wva_engine::settings::{Analyzer, PerModel, ScaleUpPolicy, Settings, TokenThresholds};

use self::fleet::{Fleet, MAXIMUM, PER_REPLICA, Seen};

/// Half an hour of a load that changes every few minutes, on one variant or two.
fn run(analyzer: Analyzer, rates: &[f64], variants: usize, seed: u64) -> Fleet {
    let settings = Settings {
        scale_up: PerModel::all(ScaleUpPolicy::Demand),
        analyzer: PerModel::all(analyzer),
        ..Settings::default()
    };
    let mut fleet = Fleet::new(settings, &vec![1; variants], seed);
    fleet.compares_with_step = true;
    let each = 1800.0 / f64::from(u32::try_from(rates.len()).expect("a handful"));
    fleet.run(1800.0, |now, _| {
        let mut ends = (1_u32..).map(|it| each * f64::from(it));
        let place = ends.position(|end| now < end).unwrap_or(0);
        rates.get(place).copied().unwrap_or(1.0)
    });
    fleet
}

fn world() -> impl Strategy<Value = (Analyzer, Vec<f64>, usize, u64)> {
    let analyzer = select(vec![Analyzer::Threshold, Analyzer::Saturation(TokenThresholds::default())]);
    (analyzer, proptest::collection::vec(0.2..20.0_f64, 2..6), 1..3_usize, 1..1000_u64)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_saturated_model_is_never_to_have_fewer_replicas_than_it_has(
        (analyzer, rates, variants, seed) in world()
    ) {
        let fleet = run(analyzer, &rates, variants, seed);
        for (at, plan) in &fleet.decisions {
            let saturated = plan.models.iter().any(|it| it.analysis.as_ref().is_some_and(|it| it.should_scale_up));
            for target in plan.targets.iter().filter(|_| saturated) {
                prop_assert!(target.replicas >= target.current, "at {at} s: {target:?}");
            }
        }
    }

    #[test]
    fn a_load_that_is_more_than_replicas_take_gets_no_fewer_than_by_steps(
        (analyzer, rates, variants, seed) in world()
    ) {
        let fleet = run(analyzer, &rates, variants, seed);
        for ((at, plan), stepped) in fleet.decisions.iter().zip(&fleet.stepped) {
            let short = plan.targets.iter().any(|it| matches!(it.reason, Reason::LoadShort { .. }));
            let wanted: u32 = plan.targets.iter().map(|it| it.replicas).sum();
            prop_assert!(!short || wanted >= *stepped, "at {at} s: {wanted} of {stepped}: {:?}", plan.targets);
        }
    }

    /// By half, and two replicas: what is counted of a jump in its first seconds is counted too high by chance, and a backlog asks
    /// for one more.
    #[test]
    fn no_more_is_ordered_than_the_highest_load_needs_and_half_of_it_again(
        (analyzer, rates, variants, seed) in world()
    ) {
        let fleet = run(analyzer, &rates, variants, seed);
        let peak = rates.iter().copied().fold(0.0, f64::max);
        let most = Seen::most(&fleet.seen);
        prop_assert!(f64::from(most) <= (1.5 * peak / (0.9 * PER_REPLICA)).ceil() + 2.0, "{most} for {peak}");
        prop_assert!(most < MAXIMUM);
    }
}
