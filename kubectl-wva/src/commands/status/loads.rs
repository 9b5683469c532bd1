//! The loads that controllers saw last: a few requests for each controller, none for a variant.

use std::collections::HashMap;
use std::time::Duration;

use futures::future::join_all;
use wva_engine::Thresholds;
use wva_engine::snapshot::{Load, Readiness, Variant};

use super::view::{Level, LoadView, PodLoad};
use crate::readers::controllers::Controller;
use crate::readers::debug_state::{self, DebugState};
use crate::readers::lists::Part;
use crate::readers::variants::Guarded;
use crate::session::Session;

/// How long a controller may take to answer: loads are worth less than a prompt answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Loads by variant.
#[derive(Clone, Debug, Default)]
pub struct Loads {
    by_variant: HashMap<(String, String), LoadView>,
    /// Why loads are missing.
    pub notes: Vec<String>,
}

impl Loads {
    /// Asks every controller that takes one of the variants and has a replica that is ready.
    pub(super) async fn gather(session: &Session, controllers: &Part<Controller>, variants: &[Guarded]) -> Self {
        let takes_any = |controller: &&Controller| {
            controller.ready > 0
                && variants.iter().filter_map(|guarded| guarded.0.as_ref().ok()).any(|variant| {
                    let labels = variant.metadata.labels.clone().unwrap_or_default();
                    controller.takes(&labels, variant.metadata.namespace.as_deref().unwrap_or_default(), None)
                })
        };
        let asked: Vec<&Controller> = controllers.iter().flatten().filter(takes_any).collect();
        let ask = |controller: &'_ Controller| {
            let controller = controller.clone();
            async move {
                match tokio::time::timeout(PATIENCE, debug_state::fetch(session, &controller)).await {
                    Ok(answer) => answer.and_then(|text| debug_state::parse(&controller.key(), &text)),
                    Err(_) => Err(debug_state::Error::Ask {
                        pod: controller.key(),
                        path: debug_state::STATE,
                        message: format!("no answer within {PATIENCE:?}"),
                    }),
                }
            }
        };
        let mut loads = Self::default();
        for answer in join_all(asked.into_iter().map(ask)).await {
            match answer {
                Ok(state) => loads.add(&state),
                Err(error) => loads.notes.push(format!("loads are not shown: {error}")),
            }
        }
        loads
    }

    /// Adds the loads of a controller.
    pub fn add(&mut self, state: &DebugState) {
        let models = state.last_cycle.iter().flat_map(|cycle| &cycle.snapshot.models);
        for model in models {
            for variant in &model.variants {
                let thresholds = state.last_cycle.as_ref().map(|cycle| *cycle.settings.thresholds_of(&model.key));
                if let Some(load) = load(variant, thresholds) {
                    self.by_variant.insert((model.key.namespace.clone(), variant.name.clone()), load);
                }
            }
        }
    }

    /// The load of a variant.
    pub fn of(&self, namespace: &str, name: &str) -> Option<LoadView> {
        self.by_variant.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }
}

fn level(kv: f64, queue: f64, thresholds: Option<Thresholds>) -> Level {
    let Some(thresholds) = thresholds else { return Level::Usual };
    let spare_kv = thresholds.kv_cache_threshold - kv;
    let spare_queue = thresholds.queue_length_threshold - queue;
    if spare_kv <= 0.0 || spare_queue <= 0.0 {
        Level::Saturated
    } else if spare_kv < thresholds.kv_spare_trigger || spare_queue < thresholds.queue_spare_trigger {
        Level::High
    } else {
        Level::Usual
    }
}

fn load(variant: &Variant, thresholds: Option<Thresholds>) -> Option<LoadView> {
    let pod = |pod: &wva_engine::snapshot::Pod| {
        let sample = pod.sample.as_ref();
        let (kv, queue) = (sample.and_then(|one| one.kv_usage), sample.and_then(|one| one.queue_length));
        let both = kv.zip(queue).map(|(kv, queue)| level(kv.value, queue.value, thresholds));
        PodLoad {
            name: pod.name.clone(),
            ready: matches!(pod.ready, Readiness::Ready { .. }),
            kv_usage: kv.map(|reading| reading.value),
            queue_length: queue.map(|reading| reading.value),
            level: both.unwrap_or_default(),
        }
    };
    let each: Vec<PodLoad> = variant.pods.iter().map(pod).collect();
    let Load { kv_usage, queue_length, pods, age } = variant.load()?;
    Some(LoadView {
        kv_usage,
        queue_length,
        level: level(kv_usage, queue_length, thresholds),
        each,
        pods,
        age_seconds: age.as_secs(),
    })
}
