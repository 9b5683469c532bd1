//! The answer as data. Text and JSON are both made from it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use wva_engine::snapshot::Variant as Observed;
use wva_engine::{ModelKey, VariantKey};

use super::mix::{Offer, cheapest};
use super::spent::{spent, spent_before};
use super::{ByVariant, Capacities, Gathered, Prices, Since};
use crate::commands::status::{Unread, VariantView};
use crate::readers::debug_state::LastCycle;
use crate::readers::recorded::Recorded;

/// Hours of a month, on average.
const HOURS_OF_A_MONTH: f64 = 730.0;

/// The whole answer. Money is in the currency of `variantCost`, or of the price list.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CostView {
    /// When the cluster was asked.
    pub as_of: Timestamp,
    /// Begin of the time whose spending was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The models, by namespace and name.
    pub models: Vec<ModelCost>,
    /// All of them.
    pub total: Amounts,
    /// Parts of the answer that could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<Unread>,
    /// Why numbers are missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Costs of the replicas there are and of those decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Amounts {
    /// Per hour, of the replicas there are.
    pub per_hour: f64,
    /// Per hour, of the replicas decided.
    pub per_hour_decided: f64,
    /// Per month of 730 hours, of the replicas there are.
    pub per_month: f64,
    /// Per month, of the replicas decided.
    pub per_month_decided: f64,
    /// What was spent in the time that was asked for, as far as it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spent: Option<f64>,
}

/// One model.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelCost {
    /// Namespace.
    pub namespace: String,
    /// The model's id.
    pub model: String,
    /// Its costs, without variants whose cost is not known.
    #[serde(flatten)]
    pub amounts: Amounts,
    /// Its variants.
    pub variants: Vec<VariantCost>,
    /// The cheapest mix that serves as much as what is decided.
    pub cheapest: MixView,
}

/// One variant.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VariantCost {
    /// Name of the variant.
    pub name: String,
    /// The name given to add-model or helm, else its own.
    pub shown: String,
    /// Its accelerator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accelerator: Option<String>,
    /// Replicas there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<u32>,
    /// Replicas decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided: Option<u32>,
    /// Cost of one replica for an hour; absent when the price list does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_replica_hour: Option<f64>,
    /// Its costs.
    #[serde(flatten)]
    pub amounts: Amounts,
    /// Since when what was spent is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spent_since: Option<Timestamp>,
}

/// The cheapest mix of a model's variants.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum MixView {
    /// It is known.
    #[serde(rename_all = "camelCase")]
    Known {
        /// What it has to serve.
        capacity: f64,
        /// The unit of that.
        unit: &'static str,
        /// Replicas by variant.
        replicas: BTreeMap<String, u32>,
        /// Its cost per hour.
        per_hour: f64,
        /// What it would save per hour against what is decided.
        saves_per_hour: f64,
    },
    /// It is not.
    Unknown {
        /// Why.
        why: String,
    },
}

impl CostView {
    /// Builds the view; with `prices` by these, else by `variantCost`.
    pub fn build(gathered: &Gathered, prices: Option<&Prices>, since: Since) -> Self {
        let Gathered { status, cycles, histories, recorded, notes } = gathered;
        let observed = observed(cycles);
        let mut notes = notes.clone();
        let mut models: BTreeMap<(String, String), Vec<(&VariantView, VariantCost)>> = BTreeMap::new();
        for variant in &status.variants {
            let seen = observed.get(&(variant.namespace.as_str(), variant.name.as_str())).map(|(_, seen)| *seen);
            let mut cost = cost_of(variant, seen, prices, &mut notes);
            let key = VariantKey { namespace: variant.namespace.clone(), name: variant.name.clone() };
            let history = histories.iter().flatten().find_map(|history| history.of(&key));
            if let (Some(from), Some(history)) = (since, history)
                && let Some((amount, known)) = spent(history, prices.and(cost.per_replica_hour), from, status.as_of)
            {
                (cost.amounts.spent, cost.spent_since) = (Some(amount), Some(known));
            }
            if let (Some(from), Some(price)) = (since, cost.per_replica_hour) {
                let known = cost.spent_since.unwrap_or(status.as_of);
                let of = (variant.namespace.as_str(), variant.name.as_str());
                let before = |one: &Recorded| Some((spent_before(one, of, price, from, known)?, one.service.clone()));
                if let Some(((amount, begin), service)) = recorded.iter().find_map(before) {
                    cost.amounts.spent = Some(cost.amounts.spent.unwrap_or(0.0) + amount);
                    cost.spent_since = Some(begin);
                    notes.push(format!(
                        "what was spent before the controllers' own memory is by the replicas that Prometheus {service} \
                         recorded, at today's cost of each"
                    ));
                }
            }
            let model = (variant.namespace.clone(), variant.model.clone().unwrap_or_default());
            models.entry(model).or_default().push((variant, cost));
        }
        notes.extend(status.notes.iter().cloned());
        notes.sort();
        notes.dedup();
        let model = |((namespace, model), variants): ((String, String), Vec<(&VariantView, VariantCost)>)| {
            let key = ModelKey { namespace: namespace.clone(), model_id: model.clone() };
            let cheapest = mix(&key, &variants, cycles);
            let variants: Vec<VariantCost> = variants.into_iter().map(|(_, cost)| cost).collect();
            let amounts = sum(variants.iter().map(|variant| variant.amounts));
            ModelCost { namespace, model, amounts, variants, cheapest }
        };
        let models: Vec<ModelCost> = models.into_iter().map(model).collect();
        let total = sum(models.iter().map(|model| model.amounts));
        Self { as_of: status.as_of, since, models, total, unread: status.unread.clone(), notes }
    }
}

/// Variants as the controllers saw them last, with the cycle that did.
fn observed(cycles: &[LastCycle]) -> ByVariant<'_, (&LastCycle, &Observed)> {
    let all = cycles.iter().flat_map(|cycle| {
        cycle.snapshot.models.iter().flat_map(move |model| {
            model.variants.iter().map(move |it| ((model.key.namespace.as_str(), it.name.as_str()), (cycle, it)))
        })
    });
    all.collect()
}

fn cost_of(
    variant: &VariantView,
    seen: Option<&Observed>,
    prices: Option<&Prices>,
    notes: &mut Vec<String>,
) -> VariantCost {
    let count = |count: Option<i32>| count.and_then(|count| u32::try_from(count).ok());
    let (current, decided) = (count(variant.replicas.current), count(variant.replicas.desired));
    let per_replica_hour = match prices {
        None => variant.cost.parse().ok(),
        Some(prices) => {
            let name = variant.accelerator.as_deref().unwrap_or("unknown");
            let price = prices.of(name);
            if price.is_none() {
                notes.push(format!("the price list has no accelerator {name}: what runs on it is not counted"));
            }
            if seen.is_none() && price.is_some() {
                let shown = variant.shown();
                notes.push(format!("GPUs per replica of {shown} are not known: counted as 1"));
            }
            price.map(|price| price * f64::from(seen.map_or(1, |seen| seen.gpus_per_replica).max(1)))
        }
    };
    let of = |replicas: Option<u32>| per_replica_hour.unwrap_or(0.0) * f64::from(replicas.unwrap_or(0));
    let (per_hour, per_hour_decided) = (of(current), of(decided.or(current)));
    VariantCost {
        name: variant.name.clone(),
        shown: variant.shown().to_owned(),
        accelerator: variant.accelerator.clone(),
        current,
        decided,
        per_replica_hour,
        amounts: amounts(per_hour, per_hour_decided),
        spent_since: None,
    }
}

fn amounts(per_hour: f64, per_hour_decided: f64) -> Amounts {
    let (per_month, per_month_decided) = (per_hour * HOURS_OF_A_MONTH, per_hour_decided * HOURS_OF_A_MONTH);
    Amounts { per_hour, per_hour_decided, per_month, per_month_decided, spent: None }
}

fn sum(all: impl Iterator<Item = Amounts>) -> Amounts {
    all.fold(Amounts::default(), |sum, one| {
        let spent = match (sum.spent, one.spent) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0.0) + b.unwrap_or(0.0)),
        };
        Amounts { spent, ..amounts(sum.per_hour + one.per_hour, sum.per_hour_decided + one.per_hour_decided) }
    })
}

/// The cheapest mix that serves as much as the replicas decided.
fn mix(model: &ModelKey, variants: &[(&VariantView, VariantCost)], cycles: &[LastCycle]) -> MixView {
    let unknown = |why: String| MixView::Unknown { why };
    if variants.len() < 2 {
        return unknown("the model has one variant".to_owned());
    }
    let of_model = |cycle: &&LastCycle| cycle.snapshot.models.iter().any(|it| it.key == *model);
    let Some(cycle) = cycles.iter().find(of_model) else {
        return unknown("no controller tells what it knows of the model".to_owned());
    };
    if let Some((_, cost)) = variants.iter().find(|(_, cost)| cost.per_replica_hour.is_none()) {
        return unknown(format!("a replica of {} has no price", cost.shown));
    }
    let names: Vec<String> = variants.iter().map(|(variant, _)| variant.name.clone()).collect();
    let capacities = match Capacities::of_model(cycle, model, &names) {
        Ok(capacities) => capacities,
        Err(missing) => {
            let shown = variants.iter().filter(|(one, _)| missing.contains(&one.name)).map(|(one, _)| one.shown());
            let shown = shown.collect::<Vec<_>>().join(", ");
            return unknown(format!("what a replica of {shown} takes has not been seen yet: none has been full"));
        }
    };
    let of = |variant: &VariantView| capacities.of.get(&variant.name).copied().unwrap_or_default();
    let replicas = |cost: &VariantCost| f64::from(cost.decided.or(cost.current).unwrap_or(0));
    let needed: f64 = variants.iter().map(|(variant, cost)| of(variant) * replicas(cost)).sum();
    let offers: Vec<Offer> = variants.iter().map(|(variant, cost)| offer(variant, cost, of(variant))).collect();
    let Some(chosen) = cheapest(&offers, needed) else {
        return unknown("the limits of the HPAs leave no mix for as much".to_owned());
    };
    let per_hour: f64 = offers.iter().zip(&chosen).map(|(offer, replicas)| offer.cost * f64::from(*replicas)).sum();
    let decided: f64 = variants.iter().map(|(_, cost)| cost.amounts.per_hour_decided).sum();
    let shown = variants.iter().map(|(_, cost)| cost.shown.clone());
    let saves_per_hour = (decided - per_hour).max(0.0);
    let (unit, replicas) = (capacities.unit, shown.zip(chosen).collect());
    MixView::Known { capacity: needed, unit, replicas, per_hour, saves_per_hour }
}

/// What a variant offers within the limits of its HPA.
fn offer(variant: &VariantView, cost: &VariantCost, capacity: f64) -> Offer {
    /// Without an HPA nothing says how many there may be.
    const UNLIMITED: u32 = 10_000;
    let limit = |limit: i32| u32::try_from(limit).unwrap_or(0);
    let (min, max) = variant.hpa.as_ref().map_or((0, UNLIMITED), |hpa| (limit(hpa.min), limit(hpa.max)));
    Offer { cost: cost.per_replica_hour.unwrap_or_default(), capacity, min, max }
}
