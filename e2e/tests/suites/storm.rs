//! Eight instances under changing load, of which one is killed in each round: whose writes are they, and whose series?
//!
//! `STORM_ROUNDS=100` is what `make test-e2e-storm` runs. What is asserted comes from the API server's record of writes
//! and from Prometheus.

use std::collections::BTreeMap;

use futures::future::join_all;
use serde_json::Value;
use wva_e2e::instances::{Wva, with_instances};
use wva_e2e::providers::Capability;
use wva_e2e::workload::A100;

/// Kinds without a namespace that a controller writes to be told something: who somebody is, and what he may do.
const QUESTIONS: [&str; 2] = ["tokenreviews", "subjectaccessreviews"];

/// The record of writes, as the API server keeps it: the last 20,000.
async fn writes(wva: &Wva<'_>) -> Vec<Value> {
    let request = http::Request::get("/debug/writes").body(Vec::new()).unwrap();
    let text = wva.environment().client().request_text(request).await.unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Writes of instances to what is another's, and how many writes there were of each.
fn foreign(instances: &[Wva<'_>; 8], writes: &[Value]) -> (Vec<String>, BTreeMap<String, usize>) {
    let (mut foreign, mut counts) = (Vec::new(), BTreeMap::new());
    for write in writes {
        let text = |key: &str| write[key].as_str().unwrap_or_default();
        let Some(account) = text("user").strip_prefix("system:serviceaccount:") else { continue };
        let Some(wva) = instances.iter().find(|wva| account.split(':').next() == Some(&wva.namespace())) else {
            continue;
        };
        *counts.entry(wva.id().to_owned()).or_default() += 1;
        let own = [wva.namespace(), wva.models()].iter().any(|own| own == text("namespace"));
        if !own && !QUESTIONS.contains(&text("resource")) {
            foreign.push(write.to_string());
        }
    }
    (foreign, counts)
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_instances_write_nothing_foreign_and_share_no_series_while_one_after_the_other_is_killed() {
    let rounds: u64 = std::env::var("STORM_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    with_instances(async |instances: &[Wva<'_>; 8]| {
        let facts = instances[0].environment().facts();
        if !facts.can(Capability::RequestRecord) {
            anstream::println!(
                "SKIPPED: the cluster of {} does not have {}",
                facts.provider,
                Capability::RequestRecord
            );
            return;
        }
        let models = join_all(instances.iter().map(|wva| wva.add_model("llama", A100, "10", 3))).await;
        join_all(models.iter().map(|model| model.desired("a first decision", |desired| desired == 1))).await;
        let ids = instances.iter().map(Wva::id).collect::<Vec<_>>().join("|");
        let shared = format!(
            "count by (exported_namespace, variant_name) (wva_desired_replicas{{controller_instance=~\"{ids}\"}}) > 1"
        );
        let mut state = 42_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let mut total: BTreeMap<String, usize> = BTreeMap::new();
        let mut seen_until = String::new();
        for round in 0..rounds {
            let (busy, victim) = (random(256), usize::try_from(random(8)).unwrap());
            join_all(models.iter().enumerate().map(async |(index, model)| {
                if busy >> index & 1 == 1 { model.saturate().await } else { model.idle().await }
            }))
            .await;
            let wva = &instances[victim];
            let selector = "control-plane=controller-manager";
            let kill = ["delete", "pods", "-n", &wva.namespace(), "-l", selector, "--force", "--grace-period=0"];
            wva.kubectl().run(&kill).await.unwrap();
            wva.ready().await;

            let record = writes(wva).await;
            let at = |write: &Value| write["at"].as_str().unwrap_or_default().to_owned();
            // Nothing between two looks was forgotten: the record begins before the last look, or is not full yet.
            let oldest = record.first().map(at).unwrap_or_default();
            assert!(record.len() < 20_000 || oldest <= seen_until, "round {round}: the record is too short");
            let fresh: Vec<Value> = record.into_iter().filter(|write| at(write) > seen_until).collect();
            seen_until = fresh.last().map(at).unwrap_or(seen_until);
            let (foreign, counts) = foreign(instances, &fresh);
            assert!(foreign.is_empty(), "round {round}: foreign writes: {foreign:?}");
            for (id, count) in counts {
                *total.entry(id).or_default() += count;
            }
            let series = wva.environment().prometheus().query(&shared).await.unwrap();
            assert!(series.is_empty(), "round {round}: variants with more than one series: {series:?}");
        }
        assert_eq!(total.len(), 8, "every instance wrote something of its own: {total:?}");
        anstream::println!("{rounds} rounds, 0 foreign of {} writes: {total:?}", total.values().sum::<usize>());
    })
    .await;
}
