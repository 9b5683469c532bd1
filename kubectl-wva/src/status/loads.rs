//! The loads that controllers saw last: a few requests for each controller, none for a variant.

use std::collections::HashMap;
use std::time::Duration;

use futures::future::join_all;
use wva_engine::snapshot::Variant;

use super::view::LoadView;
use crate::controllers::Controller;
use crate::debug_state::{self, DebugState};
use crate::lists::Part;
use crate::session::Session;
use crate::variants::Guarded;

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
                if let Some(load) = load(variant) {
                    self.by_variant.insert((model.key.namespace.clone(), variant.name.clone()), load);
                }
            }
        }
    }

    /// The load of a variant.
    pub fn of(&self, namespace: &str, name: &str) -> Option<LoadView> {
        self.by_variant.get(&(namespace.to_owned(), name.to_owned())).copied()
    }
}

fn load(variant: &Variant) -> Option<LoadView> {
    let samples = variant.pods.iter().filter_map(|pod| pod.sample.as_ref());
    let readings: Vec<_> = samples.filter_map(|sample| sample.kv_usage.zip(sample.queue_length)).collect();
    let (pods, age) = (readings.len(), readings.iter().map(|(kv, queue)| kv.age.max(queue.age)).max()?);
    #[expect(clippy::cast_precision_loss, reason = "a count of pods")]
    let count = pods as f64;
    Some(LoadView {
        kv_usage: readings.iter().map(|(kv, _)| kv.value).sum::<f64>() / count,
        queue_length: readings.iter().map(|(_, queue)| queue.value).sum::<f64>() / count,
        pods,
        age_seconds: age.as_secs(),
    })
}
