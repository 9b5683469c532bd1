//! What was promised to the users of each model: by annotations of its variants, else by its service class. Pure.

use std::collections::{BTreeMap, BTreeSet};

use wva_api::{config_maps, labels};
use wva_engine::ModelKey;
use wva_engine::settings::{Proactive, Slo};

use super::service_class::{Class, ServiceClasses, single};
use super::store::Store;
use crate::cluster::index::ObjectKey;

/// What annotations of a model's variants say. Variants share their model's requests, so the tightest promise counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelSlo {
    /// Names of service classes, with a variant that names each.
    classes: BTreeMap<String, String>,
    /// Milliseconds between two tokens.
    itl_ms: Option<f32>,
    /// Milliseconds to the first token.
    ttft_ms: Option<f32>,
    /// What cannot be read, by variant.
    unreadable: BTreeMap<String, String>,
}

impl ModelSlo {
    /// Adds what the annotations of a variant say.
    pub fn add(&mut self, variant: &str, annotations: &BTreeMap<String, String>) {
        let Self { classes, itl_ms, ttft_ms, unreadable } = self;
        for (name, value) in annotations {
            let tightest = match name.as_str() {
                labels::SERVICE_CLASS => {
                    classes.entry(value.clone()).or_insert_with(|| variant.to_owned());
                    continue;
                }
                labels::SLO_TPOT_MS => &mut *itl_ms,
                labels::SLO_TTFT_MS => &mut *ttft_ms,
                _ => continue,
            };
            match value.parse::<f64>() {
                Ok(given) if given.is_finite() && given >= 0.0 => {
                    // 0 promises nothing, as in service classes.
                    let given = Some(single(given)).filter(|given| *given > 0.0);
                    *tightest = given.into_iter().chain(*tightest).reduce(f32::min);
                }
                _ => {
                    let why = format!("{name}={value:?} is not a number of milliseconds; its service class counts");
                    unreadable.insert(variant.to_owned(), why);
                }
            }
        }
    }

    fn slo(&self, model: &ModelKey, class: Option<&Class>) -> Slo {
        let of_class = |of: fn(&Class) -> Option<f64>| class.and_then(of).map(single);
        Slo {
            model_id: model.model_id.clone(),
            namespace: Some(model.namespace.clone()),
            ttft_ms: self.ttft_ms.or_else(|| of_class(|class| class.ttft_ms)),
            itl_ms: self.itl_ms.or_else(|| of_class(|class| class.itl_ms)),
            tps: of_class(|class| class.tps),
        }
    }
}

/// What the hybrid mode knows of servers and promises.
pub fn proactive(store: &Store, slos: &BTreeMap<ModelKey, ModelSlo>) -> Proactive {
    let none = ServiceClasses::default();
    let classes = store.service_classes().map_or(&none, |(_, _, classes)| classes);
    // Those of single namespaces come first: the first that fits counts.
    let annotated = slos.iter().map(|(model, slo)| {
        let named: BTreeSet<_> = slo.classes.keys().map(String::as_str).collect();
        slo.slo(model, classes.of_model(&model.model_id, &named))
    });
    let by_class = classes.models().into_iter().filter_map(|model| {
        let key = ModelKey { namespace: String::new(), model_id: model.to_owned() };
        let class = classes.of_model(model, &BTreeSet::new());
        class.map(|class| Slo { namespace: None, ..ModelSlo::default().slo(&key, Some(class)) })
    });
    Proactive {
        slos: annotated.chain(by_class).filter(Slo::promises).collect(),
        profiles: classes.profiles().cloned().collect(),
        ..Proactive::default()
    }
}

/// What is wrong with annotations, by variant.
pub fn problems(store: &Store, slos: &BTreeMap<ModelKey, ModelSlo>) -> BTreeMap<ObjectKey, String> {
    let classes = store.service_classes().map(|(_, _, classes)| classes);
    let mut problems = BTreeMap::new();
    for (model, slo) in slos {
        let variant = |name: &String| ObjectKey::new(&*model.namespace, name.as_str());
        let is_there = |class: &str| classes.is_some_and(|classes| classes.has(class, &model.model_id));
        for (class, name) in slo.classes.iter().filter(|(class, _)| !is_there(class)) {
            let why = format!(
                "{}={class:?}: ConfigMap {} has no such class for model {}; its most important class counts",
                labels::SERVICE_CLASS,
                config_maps::SERVICE_CLASS,
                model.model_id
            );
            problems.insert(variant(name), why);
        }
        problems.extend(slo.unreadable.iter().map(|(name, why)| (variant(name), why.clone())));
    }
    problems
}
