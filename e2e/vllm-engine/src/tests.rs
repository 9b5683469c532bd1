use rstest::rstest;

use super::*;

/// 10 ms an iteration, 1 ms a computed token, 0.1 ms a resident token: round numbers to work with.
const ROUND: IterationTime = IterationTime { base_ms: 10.0, per_computed_token_ms: 1.0, per_resident_token_ms: 0.1 };

fn settings() -> Settings {
    Settings {
        max_num_seqs: 4,
        max_num_waiting: 2,
        max_num_batched_tokens: 100,
        max_model_len: 160,
        num_gpu_blocks: 10,
        block_size: 16,
        prefix_caching: true,
        iteration_time: ROUND,
        load_factor: LoadFactor(1.0),
    }
}

fn request(prompt_tokens: u32, output_tokens: u32) -> NewRequest {
    NewRequest { prompt_tokens, block_hashes: Vec::new(), output_tokens, finish_reason: FinishReason::Length }
}

fn ms(ms: f64) -> Duration {
    Duration::from_secs_f64(ms / 1000.0)
}

/// Runs until idle; every event with the time of the call that gave it.
fn run_out(engine: &mut Engine) -> Vec<(Duration, Event)> {
    let mut all = Vec::new();
    while let Some(at) = engine.next_event() {
        all.extend(engine.advance(at).into_iter().map(|event| (at, event)));
    }
    all
}

fn token_times(events: &[(Duration, Event)], wanted: RequestId) -> Vec<f64> {
    let of_wanted = events.iter().filter(|(_, event)| matches!(event, Event::Token { id, .. } if *id == wanted));
    of_wanted.map(|(at, _)| (at.as_secs_f64() * 1e6).round() / 1e3).collect()
}

fn ends(events: &[(Duration, Event)]) -> Vec<RequestId> {
    events.iter().filter_map(|(_, event)| if let Event::Finished(f) = event { Some(f.id) } else { None }).collect()
}

#[rstest]
// 6.97 + 512·0.027 + 512·0.0003
#[case::prefill_on_an_h100(crate::gpu::Gpu::H100, 512, 512, 20.9476)]
// 6.97 + 0.027 + 513·0.0003
#[case::decode_on_an_h100(crate::gpu::Gpu::H100, 1, 513, 7.1509)]
// 64 sequences of 640 tokens: 6.97 + 64·0.027 + 40960·0.0003
#[case::full_batch_on_an_h100(crate::gpu::Gpu::H100, 64, 40_960, 20.986)]
// 6.97·3350/864 + 512·0.027·989/362 + 512·0.0003·3350/864
#[case::prefill_on_an_l40s(crate::gpu::Gpu::L40s, 512, 512, 65.388)]
fn an_iteration_takes_what_its_tokens_cost(
    #[case] gpu: crate::gpu::Gpu,
    #[case] computed: u32,
    #[case] resident: u32,
    #[case] expected_ms: f64,
) {
    let time = gpu.iteration_time(1).of(computed, resident).as_secs_f64() * 1000.0;
    assert!((time - expected_ms).abs() < 1e-3, "{time}");
}

#[rstest]
#[case::h100(crate::gpu::Gpu::H100, 0.71)]
#[case::a100(crate::gpu::Gpu::A100, 1.17)]
#[case::l40s(crate::gpu::Gpu::L40s, 2.73)]
fn a_lone_answer_of_100_tokens_takes_what_the_docs_say(#[case] gpu: crate::gpu::Gpu, #[case] seconds: f64) {
    let mut engine = Engine::new(Settings {
        max_model_len: 200,
        num_gpu_blocks: 100,
        iteration_time: gpu.iteration_time(1),
        ..settings()
    });
    engine.submit(request(100, 100), Duration::ZERO).unwrap();
    let (end, _) = run_out(&mut engine).pop().unwrap();
    assert!((end.as_secs_f64() - seconds).abs() < 0.005, "{end:?}");
}

#[rstest]
#[case::alone(1, 1.0)]
#[case::half_way(3, 1.5)]
#[case::full(5, 2.0)]
fn the_load_factor_grows_with_the_slots_taken(#[case] running: u32, #[case] expected: f64) {
    assert!((LoadFactor(2.0).at(running, 5) - expected).abs() < 1e-9);
}

#[test]
fn a_lone_request_prefills_then_decodes() {
    let mut engine = Engine::new(settings());
    let id = engine.submit(request(20, 3), Duration::ZERO).unwrap();
    let events = run_out(&mut engine);
    // Prefill 10 + 20 + 2 = 32; decodes 10 + 1 + 2.1 and 10 + 1 + 2.2.
    assert_eq!(token_times(&events, id), [32.0, 45.1, 58.3]);
    assert_eq!(engine.load().used_blocks, 0);
}

#[test]
fn a_request_joins_the_batch_at_the_next_iteration() {
    let mut engine = Engine::new(settings());
    let first = engine.submit(request(20, 3), Duration::ZERO).unwrap();
    engine.advance(ms(5.0));
    let second = engine.submit(request(10, 1), ms(5.0)).unwrap();
    let events = run_out(&mut engine);
    // From 32 ms the first decodes while the second prefills: 10 + (1 + 10) + (21 + 10)·0.1 = 24.1.
    assert_eq!(token_times(&events, second), [56.1]);
    assert_eq!(token_times(&events, first), [32.0, 56.1, 69.3]);
}

#[test]
fn a_long_prompt_is_computed_in_chunks_of_the_token_budget() {
    let mut engine = Engine::new(settings());
    let id = engine.submit(request(120, 1), Duration::ZERO).unwrap();
    let events = run_out(&mut engine);
    // 10 + 100 + 10 = 120 for the first hundred tokens, 10 + 20 + 12 for the rest.
    assert_eq!(token_times(&events, id), [162.0]);
}

#[test]
fn blocks_fill_token_by_token() {
    let mut engine = Engine::new(settings());
    engine.submit(request(31, 4), Duration::ZERO).unwrap();
    let mut used = Vec::new();
    while let Some(at) = engine.next_event() {
        used.push(engine.load().used_blocks);
        engine.advance(at);
    }
    // 31 tokens in the first iteration, then 32, 33 and 34: the third iteration needs a third block.
    assert_eq!(used, [2, 2, 3, 3]);
    assert!(engine.load().kv_usage.abs() < f64::EPSILON);
}

#[test]
fn requests_beyond_the_slots_wait_in_order() {
    let mut engine = Engine::new(Settings { max_num_seqs: 1, ..settings() });
    let ids: Vec<_> = (0..3).map(|_| engine.submit(request(5, 2), Duration::ZERO).unwrap()).collect();
    assert_eq!(engine.load().running, 1);
    assert_eq!(ends(&run_out(&mut engine)), ids);
}

#[test]
fn waiting_counts_what_the_last_iteration_left_behind() {
    let mut engine = Engine::new(Settings { max_num_seqs: 1, ..settings() });
    engine.submit(request(5, 2), Duration::ZERO).unwrap();
    engine.submit(request(5, 2), ms(1.0)).unwrap();
    assert_eq!(engine.load().waiting, 0, "arrived during the iteration, not seen yet");
    let at = engine.next_event().unwrap();
    engine.advance(at);
    assert_eq!(engine.load().waiting, 1, "no slot for it");
}

#[test]
fn a_full_queue_refuses() {
    let mut engine = Engine::new(Settings { max_num_seqs: 1, ..settings() });
    for _ in 0..3 {
        engine.submit(request(5, 2), Duration::ZERO).unwrap();
    }
    let refused = engine.submit(request(5, 2), Duration::ZERO).unwrap_err();
    assert_eq!(refused, Refused::QueueFull { waiting: 2, limit: 2 });
}

#[test]
fn a_burst_for_free_slots_is_not_a_queue() {
    let mut engine = Engine::new(settings());
    // One runs at once; three more will find a slot at the next iteration, two may wait.
    for _ in 0..6 {
        engine.submit(request(5, 2), Duration::ZERO).unwrap();
    }
    assert!(matches!(engine.submit(request(5, 2), Duration::ZERO), Err(Refused::QueueFull { .. })));
}

#[rstest]
#[case::exactly_the_context(150, 10, true)]
#[case::one_too_many(151, 10, false)]
#[case::absurd(u32::MAX, u32::MAX, false)]
fn a_request_must_fit_the_context(#[case] prompt: u32, #[case] output: u32, #[case] fits: bool) {
    let mut engine = Engine::new(settings());
    assert_eq!(engine.submit(request(prompt, output), Duration::ZERO).is_ok(), fits);
}

#[test]
fn short_of_blocks_the_youngest_is_preempted_and_computed_again() {
    // Five blocks; each request grows from 2 to 3 blocks with its second token, and the older one is there first.
    let mut engine = Engine::new(Settings { num_gpu_blocks: 5, max_model_len: 80, ..settings() });
    let old = engine.submit(request(32, 3), Duration::ZERO).unwrap();
    let young = engine.submit(request(32, 3), ms(1.0)).unwrap();
    let events = run_out(&mut engine);
    let preempted: Vec<_> = events.iter().filter(|(_, e)| matches!(e, Event::Preempted { .. })).collect();
    assert_eq!(preempted.len(), 1);
    assert!(matches!(preempted[0].1, Event::Preempted { id } if id == young));
    assert_eq!(ends(&events), [old, young]);
    assert_eq!(token_times(&events, young).len(), 3, "the token from before the preemption is not sent twice");
}

#[test]
fn what_a_preemption_freed_is_not_given_away_in_the_same_iteration() {
    // A small token budget: a chunk of the preempted request would fit into the blocks it has just lost.
    let settings = Settings { num_gpu_blocks: 5, max_model_len: 80, max_num_batched_tokens: 17, ..settings() };
    let mut engine = Engine::new(settings);
    engine.submit(request(32, 8), Duration::ZERO).unwrap();
    engine.submit(request(32, 8), ms(1.0)).unwrap();
    let is_preemption = |event: &Event| matches!(event, Event::Preempted { .. });
    while !engine.advance(engine.next_event().unwrap()).iter().any(is_preemption) {}
    let load = engine.load();
    assert_eq!((load.running, load.waiting, load.used_blocks), (1, 1, 3));
}

#[test]
fn a_request_without_blocks_waits_although_slots_are_free() {
    let mut engine = Engine::new(settings());
    engine.submit(request(96, 2), Duration::ZERO).unwrap();
    engine.submit(request(96, 2), ms(1.0)).unwrap();
    let at = engine.next_event().unwrap();
    engine.advance(at);
    let load = engine.load();
    assert_eq!((load.running, load.waiting, load.used_blocks), (1, 1, 7), "7 of 10 blocks, the other prompt needs 6");
}

#[test]
fn a_client_that_leaves_frees_slot_and_blocks_at_once() {
    let mut engine = Engine::new(Settings { max_num_seqs: 1, ..settings() });
    let leaves = engine.submit(request(40, 50), Duration::ZERO).unwrap();
    let stays = engine.submit(request(5, 1), Duration::ZERO).unwrap();
    engine.cancel(leaves, ms(3.0));
    assert_eq!(engine.load().used_blocks, 0);
    let events = run_out(&mut engine);
    let reasons: Vec<_> = events
        .iter()
        .filter_map(|(_, e)| if let Event::Finished(f) = e { Some((f.id, f.reason)) } else { None })
        .collect();
    assert_eq!(reasons, [(leaves, FinishReason::Abort), (stays, FinishReason::Length)]);
}

#[test]
fn a_known_prompt_beginning_is_not_computed_again() {
    let mut engine = Engine::new(settings());
    let prompt = NewRequest { block_hashes: vec![1, 2], ..request(40, 1) };
    engine.submit(prompt.clone(), Duration::ZERO).unwrap();
    run_out(&mut engine);
    let start = ms(1000.0);
    let again = engine.submit(prompt, start).unwrap();
    let events = run_out(&mut engine);
    // 32 of 40 tokens are cached: 10 + 8 + 4 = 22 instead of 54.
    assert_eq!(token_times(&events, again), [1022.0]);
    let admitted = events.iter().find_map(|(_, e)| match e {
        Event::Admitted { prompt_tokens, cached_tokens, .. } => Some((*prompt_tokens, *cached_tokens)),
        _ => None,
    });
    assert_eq!(admitted, Some((40, 32)));
}

#[test]
fn the_last_prompt_token_is_always_computed() {
    let mut engine = Engine::new(settings());
    let prompt = NewRequest { block_hashes: vec![1, 2], ..request(32, 1) };
    engine.submit(prompt.clone(), Duration::ZERO).unwrap();
    run_out(&mut engine);
    engine.submit(prompt, ms(1000.0)).unwrap();
    let events = run_out(&mut engine);
    assert!(events.iter().any(|(_, e)| matches!(e, Event::Admitted { cached_tokens: 31, .. })), "{events:?}");
}

#[test]
fn the_last_prompt_token_makes_the_first_answer_token() {
    let mut engine = Engine::new(settings());
    engine.submit(request(20, 2), Duration::ZERO).unwrap();
    let flags: Vec<_> = run_out(&mut engine)
        .into_iter()
        .filter_map(|(_, e)| match e {
            Event::Token { completes_prompt, last, .. } => Some((completes_prompt, last)),
            _ => None,
        })
        .collect();
    assert_eq!(flags, [(Some(20), false), (None, true)]);
}
