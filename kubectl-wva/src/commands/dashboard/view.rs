//! The answer as data: the views of `status`, `cost` and `history`, the thresholds in force, and what was read before.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use wva_engine::{Thresholds, VariantKey};

use super::samples::{Samples, Series};
use crate::commands::cost::{CostView, Gathered};
use crate::commands::history::HistoryView;
use crate::commands::status::StatusView;
use crate::readers::variants::Guarded;

/// How far back the page can show.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(24);

/// The whole answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DashboardView {
    /// When the cluster was asked.
    pub as_of: Timestamp,
    /// Namespace that is shown; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Controllers, variants and their problems, as `status` shows them.
    pub status: StatusView,
    /// Costs, as `cost` shows them.
    pub cost: CostView,
    /// What was decided of each variant, as `history` shows it; nothing where its controller could not be asked.
    pub histories: Vec<HistoryView>,
    /// The thresholds in force.
    pub thresholds: Vec<ModelThresholds>,
    /// Load and replicas since the page is served.
    pub samples: Vec<Series>,
}

/// The thresholds of one model.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelThresholds {
    /// Namespace.
    pub namespace: String,
    /// The model's id.
    pub model: String,
    /// The thresholds.
    #[serde(flatten)]
    pub thresholds: Thresholds,
}

impl DashboardView {
    /// Builds the view.
    pub fn build(gathered: &Gathered, listed: &[Guarded], namespace: Option<&str>, samples: &Samples) -> Self {
        let as_of = gathered.status.as_of;
        let since = as_of - LOOK_BACK;
        let history = |variant: &wva_api::VariantAutoscaling| {
            let key =
                VariantKey { namespace: variant.metadata.namespace.clone()?, name: variant.metadata.name.clone()? };
            let known = gathered.histories.iter().flatten().find_map(|history| history.of(&key))?;
            let mut view = HistoryView::build(variant, Some(known), since, as_of);
            view.call_by_known_names(listed);
            Some(view)
        };
        let readable = listed.iter().filter_map(|guarded| guarded.0.as_ref().ok());
        Self {
            as_of,
            namespace: namespace.map(str::to_owned),
            status: gathered.status.clone(),
            cost: CostView::build(gathered, None, None),
            histories: readable.filter_map(history).collect(),
            thresholds: thresholds(gathered),
            samples: samples.series(),
        }
    }
}

fn thresholds(gathered: &Gathered) -> Vec<ModelThresholds> {
    let shown: BTreeSet<(&str, &str)> = gathered
        .status
        .variants
        .iter()
        .filter_map(|variant| Some((variant.namespace.as_str(), variant.model.as_deref()?)))
        .collect();
    let of_cycles = gathered.cycles.iter().flat_map(|cycle| {
        cycle.snapshot.models.iter().map(move |model| (&model.key, *cycle.settings.thresholds_of(&model.key)))
    });
    of_cycles
        .filter(|(key, _)| shown.contains(&(key.namespace.as_str(), key.model_id.as_str())))
        .map(|(key, thresholds)| ModelThresholds {
            namespace: key.namespace.clone(),
            model: key.model_id.clone(),
            thresholds,
        })
        .collect()
}
