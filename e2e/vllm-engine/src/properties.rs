//! What holds for every sequence of arrivals, departures and passing time.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Action {
    Arrive {
        prompt: u32,
        output: u32,
    },
    /// Some request leaves: the number picks which.
    Leave(usize),
    Pass(u64),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        4 => (1..90_u32, 1..60_u32).prop_map(|(prompt, output)| Action::Arrive { prompt, output }),
        1 => any::<usize>().prop_map(Action::Leave),
        3 => (0..80_u64).prop_map(Action::Pass),
    ];
    prop::collection::vec(action, 1..80)
}

fn small_engines() -> impl Strategy<Value = Settings> {
    (1..6_u32, 0..6_u32, 1..64_u32, 10..40_u32, 1..20_u32, any::<bool>()).prop_map(
        |(max_num_seqs, max_num_waiting, max_num_batched_tokens, num_gpu_blocks, block_size, prefix_caching)| {
            Settings {
                max_num_seqs,
                max_num_waiting,
                max_num_batched_tokens,
                max_model_len: num_gpu_blocks * block_size,
                num_gpu_blocks,
                block_size,
                prefix_caching,
                iteration_time: IterationTime { base_ms: 5.0, per_computed_token_ms: 0.1, per_resident_token_ms: 0.01 },
                load_factor: LoadFactor(1.5),
            }
        },
    )
}

/// What a bystander sees of one run.
#[derive(Debug, Default)]
struct Seen {
    accepted: BTreeMap<RequestId, NewRequest>,
    admitted: Vec<RequestId>,
    tokens: BTreeMap<RequestId, u32>,
    finished: BTreeMap<RequestId, Finished>,
    computed: u64,
    preempted: u32,
}

impl Seen {
    fn take(&mut self, events: Vec<Event>) {
        for event in events {
            match event {
                Event::Admitted { id, .. } => self.admitted.push(id),
                Event::Token { id, .. } => *self.tokens.entry(id).or_default() += 1,
                Event::Finished(finished) => {
                    let again = self.finished.insert(finished.id, finished);
                    assert!(again.is_none(), "finished twice: {again:?}");
                }
                Event::Step { computed_tokens } => self.computed += u64::from(computed_tokens),
                Event::Preempted { .. } => self.preempted += 1,
            }
        }
    }
}

fn check_bounds(engine: &Engine) {
    let load = engine.load();
    let held: u32 = engine.running.iter().map(|s| s.blocks).sum();
    assert_eq!(load.used_blocks, held, "blocks belong to running sequences");
    assert!(load.used_blocks <= engine.settings.num_gpu_blocks, "{load:?}");
    assert!(load.running <= engine.settings.max_num_seqs, "{load:?}");
    assert!((0.0..=1.0).contains(&load.kv_usage), "{load:?}");
    assert!(engine.waiting.iter().all(|s| s.blocks == 0), "who waits holds nothing");
}

fn run(settings: Settings, actions: Vec<Action>) -> Seen {
    let mut engine = Engine::new(settings);
    let mut seen = Seen::default();
    let mut now = Duration::ZERO;
    for action in actions {
        match action {
            Action::Arrive { prompt, output } => {
                let request = NewRequest {
                    prompt_tokens: prompt,
                    block_hashes: (0..u64::from(prompt / engine.settings.block_size)).collect(),
                    output_tokens: output,
                    finish_reason: FinishReason::Length,
                };
                if let Ok(id) = engine.submit(request.clone(), now) {
                    seen.accepted.insert(id, request);
                }
            }
            Action::Leave(pick) => {
                let here: Vec<_> = engine.running.iter().chain(&engine.waiting).map(|s| s.id).collect();
                if let Some(id) = here.get(pick % here.len().max(1)) {
                    engine.cancel(*id, now);
                }
            }
            Action::Pass(ms) => now += Duration::from_millis(ms),
        }
        seen.take(engine.advance(now));
        check_bounds(&engine);
    }
    let mut iterations = 0;
    while let Some(at) = engine.next_event() {
        seen.take(engine.advance(at));
        check_bounds(&engine);
        iterations += 1;
        assert!(iterations < 100_000, "the engine does not come to rest");
    }
    assert_eq!(engine.load().used_blocks, 0, "an idle engine holds nothing");
    seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_accepted_request_ends_once_with_all_its_tokens(settings in small_engines(), actions in actions()) {
        let seen = run(settings, actions);
        for (id, request) in &seen.accepted {
            let finished = seen.finished.get(id).expect("every accepted request ends");
            let tokens = seen.tokens.get(id).copied().unwrap_or(0);
            prop_assert_eq!(finished.generated_tokens, tokens);
            if finished.reason == FinishReason::Abort {
                prop_assert!(tokens < request.output_tokens);
            } else {
                prop_assert_eq!(tokens, request.output_tokens);
            }
        }
        prop_assert_eq!(seen.finished.len(), seen.accepted.len());
    }

    #[test]
    fn requests_are_admitted_in_order_of_arrival(settings in small_engines(), actions in actions()) {
        let seen = run(settings, actions);
        prop_assert!(seen.admitted.is_sorted(), "{:?}", seen.admitted);
    }

    #[test]
    fn without_caching_and_preemption_each_token_is_computed_once(settings in small_engines(), actions in actions()) {
        let stay = actions.into_iter().filter(|action| !matches!(action, Action::Leave(_))).collect();
        let seen = run(Settings { prefix_caching: false, ..settings }, stay);
        // The last token of an answer is never fed back.
        let needed: u64 = seen.accepted.values().map(|r| u64::from(r.prompt_tokens + r.output_tokens - 1)).sum();
        if seen.preempted == 0 {
            prop_assert_eq!(seen.computed, needed);
        } else {
            prop_assert!(seen.computed > needed);
        }
    }

    #[test]
    fn how_often_the_engine_is_asked_does_not_matter(settings in small_engines(), prompts in prop::collection::vec(1..60_u32, 1..8)) {
        let submit_all = |engine: &mut Engine| {
            for prompt in &prompts {
                let request = NewRequest {
                    prompt_tokens: *prompt,
                    block_hashes: Vec::new(),
                    output_tokens: 5,
                    finish_reason: FinishReason::Length,
                };
                let _ = engine.submit(request, Duration::ZERO);
            }
        };
        let (mut once, mut often) = (Engine::new(settings.clone()), Engine::new(settings));
        submit_all(&mut once);
        submit_all(&mut often);
        let mut in_steps = Vec::new();
        for ms in 0..20_000 {
            in_steps.extend(often.advance(Duration::from_millis(ms)));
        }
        prop_assert_eq!(once.advance(Duration::from_millis(19_999)), in_steps);
    }

    /// What one that skips iterations tells, and when, is what the other tells, without its single tokens.
    #[test]
    fn skipping_iterations_changes_nothing(settings in small_engines(), actions in actions()) {
        let mut full = Engine::new(settings.clone());
        let mut quick = Engine::without_tokens(settings);
        let mut now = Duration::ZERO;
        let told = |events: Vec<Event>| -> Vec<Event> {
            let is_told = |event: &Event| match event {
                Event::Step { .. } | Event::Token { completes_prompt: None, .. } => false,
                Event::Admitted { .. } | Event::Preempted { .. } | Event::Token { .. } | Event::Finished(_) => true,
            };
            events.into_iter().filter(is_told).collect()
        };
        let passing = [Action::Pass(10_000), Action::Pass(600_000)];
        for action in actions.into_iter().chain(passing) {
            for engine in [&mut full, &mut quick] {
                match &action {
                    Action::Arrive { prompt, output } => {
                        let request = NewRequest {
                            prompt_tokens: *prompt,
                            block_hashes: Vec::new(),
                            // Long answers, so that there is something to skip.
                            output_tokens: *output * 5,
                            finish_reason: FinishReason::Length,
                        };
                        let _ = engine.submit(request, now);
                    }
                    Action::Leave(pick) => {
                        let here: Vec<_> = engine.running.iter().chain(&engine.waiting).map(|s| s.id).collect();
                        if let Some(id) = here.get(pick % here.len().max(1)) {
                            engine.cancel(*id, now);
                        }
                    }
                    Action::Pass(_) => {}
                }
            }
            if let Action::Pass(ms) = action {
                now += Duration::from_millis(ms);
            }
            prop_assert_eq!(told(full.advance(now)), quick.advance(now));
            prop_assert_eq!(full.load(), quick.load());
            prop_assert_eq!(full.gaps(), quick.gaps());
            prop_assert_eq!(full.next_event(), quick.next_event());
        }
        prop_assert_eq!(quick.load().running, 0, "all has come to an end");
    }
}
