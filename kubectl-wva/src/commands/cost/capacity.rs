//! What one replica of each variant takes, as far as the controllers' engines know it.

use std::collections::BTreeMap;

use wva_engine::ModelKey;

use crate::readers::debug_state::LastCycle;

/// What one replica of each variant of a model takes, all in one unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Capacities {
    /// The unit, as a number of it is written.
    pub unit: &'static str,
    /// By the variant's name.
    pub of: BTreeMap<String, f64>,
}

impl Capacities {
    /// What is known of a model's variants, by the first of these that knows all of them: the rate within what was promised
    /// (hybrid mode), the rate of replicas seen full (`scaleUpPolicy: demand`), tokens (`saturation` analyzer).
    ///
    /// # Errors
    /// When none knows all, the variants of which nothing is known.
    pub fn of_model(cycle: &LastCycle, model: &ModelKey, variants: &[String]) -> Result<Self, Vec<String>> {
        let outcome = cycle.plan.models.iter().find(|outcome| outcome.key == *model);
        let forecast = outcome.and_then(|outcome| outcome.forecast.as_ref());
        let promised =
            |name: &String| forecast?.variants.iter().find(|it| it.variant == *name).map(|it| it.per_replica);
        let full = |name: &String| cycle.before.rate_of_full_replica(model, name);
        let tokens = outcome.and_then(|outcome| outcome.tokens.as_ref());
        #[expect(clippy::cast_precision_loss, reason = "tokens of a KV cache")]
        let room =
            |name: &String| tokens?.variants.iter().find(|it| it.variant == *name).map(|it| it.per_replica as f64);
        let all = |of: &dyn Fn(&String) -> Option<f64>| -> BTreeMap<String, f64> {
            let known = variants.iter().filter_map(|name| Some((name.clone(), of(name).filter(|it| *it > 0.0)?)));
            known.collect()
        };
        let found = [("requests/s", all(&promised)), ("requests/s", all(&full)), ("tokens", all(&room))];
        if let Some((unit, of)) = found.iter().find(|(_, of)| of.len() == variants.len()) {
            return Ok(Self { unit, of: of.clone() });
        }
        let most = found.iter().max_by_key(|(_, of)| of.len()).map(|(_, of)| of);
        Err(variants.iter().filter(|name| !most.is_some_and(|of| of.contains_key(*name))).cloned().collect())
    }
}
