//! A value that may differ between models.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::serde_pairs;
use crate::snapshot::ModelKey;

/// A value that may differ between models. Values are whole: what inherits from what was merged where they come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PerModel<T: Default> {
    /// For models without a value of their own.
    pub default: T,
    /// For models without a value of their own in single namespaces, by namespace.
    pub namespaces: BTreeMap<String, T>,
    /// For single models.
    #[serde(with = "serde_pairs")]
    pub models: BTreeMap<ModelKey, T>,
}

impl<T: Default> PerModel<T> {
    /// The same value for all models.
    pub fn all(default: T) -> Self {
        Self { default, ..Self::default() }
    }

    /// The value that holds for a model: its own, else its namespace's, else the default.
    pub fn of(&self, model: &ModelKey) -> &T {
        let Self { default, namespaces, models } = self;
        models.get(model).or_else(|| namespaces.get(&model.namespace)).unwrap_or(default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(namespace: &str, model_id: &str) -> ModelKey {
        ModelKey { namespace: namespace.into(), model_id: model_id.into() }
    }

    #[test]
    fn the_nearest_value_holds() {
        let values = PerModel {
            default: 1,
            namespaces: BTreeMap::from([("a".to_owned(), 2)]),
            models: BTreeMap::from([(key("a", "m"), 3)]),
        };

        let of = |namespace, model| *values.of(&key(namespace, model));
        assert_eq!((of("b", "m"), of("a", "other"), of("a", "m")), (1, 2, 3));
    }
}
