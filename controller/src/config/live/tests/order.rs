//! What happens in a cluster comes in any order, and what holds in the end does not depend on it.

use std::collections::VecDeque;

use proptest::prelude::*;
use wva_api::Scope;

use super::*;
use crate::cluster::index::{Index, Namespace, Variant};

/// Something that happens in a cluster.
#[derive(Clone, Debug)]
enum Happening {
    ConfigMap { namespace: &'static str, name: &'static str, entries: Option<Vec<(&'static str, &'static str)>> },
    Namespace { name: &'static str, opted_in: bool, excluded: bool },
    Variant { namespace: &'static str, model: Option<&'static str> },
}

impl Happening {
    /// The object it happens to. What happens to one object keeps its order.
    fn object(&self) -> (u8, &'static str, &'static str) {
        match self {
            Self::ConfigMap { namespace, name, .. } => (0, namespace, name),
            Self::Namespace { name, .. } => (1, "", name),
            Self::Variant { namespace, .. } => (2, namespace, "variant"),
        }
    }

    fn happens(&self, index: &mut Index, store: &mut Store) {
        match self {
            Self::ConfigMap { namespace, name, entries: Some(entries) } => {
                store.put(namespace, name, entries);
            }
            Self::ConfigMap { namespace, name, entries: None } => {
                store.delete(&ObjectKey::new(*namespace, *name));
            }
            Self::Namespace { name, opted_in, excluded } => {
                let mark = |set: bool, key: &str| {
                    if set { BTreeMap::from([(key.to_owned(), "true".to_owned())]) } else { BTreeMap::new() }
                };
                let namespace = Namespace {
                    labels: mark(*opted_in, wva_api::labels::CONFIG_ENABLED),
                    annotations: mark(*excluded, wva_api::labels::EXCLUDE),
                };
                let _effect = index.apply(ObjectKey::new("", *name), namespace);
            }
            Self::Variant { namespace, model: Some(model) } => {
                let text = crate::fixtures::variant("v").replace("modelID: llama", &format!("modelID: {model}"));
                let _effect = index.apply_variant(&text.replace("namespace: ns", &format!("namespace: {namespace}")));
            }
            Self::Variant { namespace, model: None } => {
                let _effect = index.delete::<Variant>(&ObjectKey::new(*namespace, "v"));
            }
        }
    }
}

fn happening() -> impl Strategy<Value = Happening> {
    let namespaces: &'static [&str] = &[GLOBAL, "team-a", "team-b"];
    let contents: Vec<Vec<(&str, &str)>> = vec![
        vec![],
        vec![("default", "kvCacheThreshold: 0.7")],
        vec![("default", "kvSpareTrigger: 0.75"), ("x", "model_id: m\nnamespace: team-a\nkvCacheThreshold: 0.9")],
        vec![("default", "enable_scale_to_zero: true"), ("m", "model_id: m\nretention_period: 5m")],
        vec![("default", "analyzerName: saturation\nenableLimiter: true")],
        vec![("serviceClasses", "- {name: a, model: m, slo-itl: 10}"), ("profiles", "- {model: m}")],
    ];
    let names: &'static [&str] =
        &[SATURATION, ZERO, "wva-saturation-config", "model-scale-to-zero-config", "serviceclass"];
    let config_map = (
        prop::sample::select(namespaces),
        prop::sample::select(names),
        prop::option::weighted(0.8, prop::sample::select(contents)),
    )
        .prop_map(|(namespace, name, entries)| Happening::ConfigMap { namespace, name, entries });
    let namespace = (prop::sample::select(namespaces), any::<bool>(), any::<bool>())
        .prop_map(|(name, opted_in, excluded)| Happening::Namespace { name, opted_in, excluded });
    let variant = (prop::sample::select(namespaces), prop::option::of(prop::sample::select(vec!["m", "n"])))
        .prop_map(|(namespace, model)| Happening::Variant { namespace, model });
    prop_oneof![4 => config_map, 2 => namespace, 2 => variant]
}

fn outcome(happenings: &[Happening]) -> (Settings, ConfigScope, InForce) {
    let (mut index, mut store) = (Index::default(), Store::nothing());
    for happening in happenings {
        happening.happens(&mut index, &mut store);
    }
    let config_scope = ConfigScope::of(&index, &Scope::default());
    (
        resolve(&store, &config_scope, &live(), Fixed { proactive: true, ..fixed(false) }),
        config_scope.clone(),
        InForce::of(&store, &config_scope),
    )
}

/// Another order, in which what happens to one object keeps its own.
fn reordered(happenings: &[Happening], keys: &[u32]) -> Vec<Happening> {
    let mut order: Vec<usize> = (0..happenings.len()).collect();
    order.sort_by_key(|&at| keys.get(at).copied().unwrap_or(0));
    let mut queues: BTreeMap<_, VecDeque<&Happening>> = BTreeMap::new();
    for happening in happenings {
        queues.entry(happening.object()).or_default().push_back(happening);
    }
    order.iter().map(|&at| queues.get_mut(&happenings[at].object()).unwrap().pop_front().unwrap().clone()).collect()
}

proptest! {
    #[test]
    fn the_order_of_events_does_not_matter(
        happenings in prop::collection::vec(happening(), 0..30),
        keys in prop::collection::vec(any::<u32>(), 30),
    ) {
        prop_assert_eq!(outcome(&happenings), outcome(&reordered(&happenings, &keys)));
    }

    #[test]
    fn a_restart_finds_the_same(happenings in prop::collection::vec(happening(), 0..30)) {
        let mut last: BTreeMap<_, &Happening> = BTreeMap::new();
        for happening in &happenings {
            last.insert(happening.object(), happening);
        }
        let left: Vec<Happening> = last.into_values().cloned().collect();
        prop_assert_eq!(outcome(&happenings), outcome(&left));
    }
}

fn config_scope(scope: &Scope, happenings: &[Happening]) -> BTreeSet<String> {
    let (mut index, mut store) = (Index::default(), Store::nothing());
    for happening in happenings {
        happening.happens(&mut index, &mut store);
    }
    ConfigScope::of(&index, scope).namespaces
}

#[test]
fn a_namespace_counts_that_holds_a_variant_or_opted_in_and_is_not_excluded() {
    let namespace = |opted_in, excluded| Happening::Namespace { name: "team-a", opted_in, excluded };
    let variant = Happening::Variant { namespace: "team-a", model: Some("m") };
    let counts = |happenings: &[Happening]| !config_scope(&Scope::default(), happenings).is_empty();
    assert!(!counts(&[namespace(false, false)]));
    assert!(counts(&[namespace(true, false)]), "before it holds a variant");
    assert!(!counts(&[namespace(true, true)]));
    assert!(counts(&[namespace(false, false), variant.clone()]));
    assert!(!counts(&[variant.clone(), namespace(false, true)]));
    let named = Scope { namespaces: ["team-b".to_owned()].into(), ..Scope::default() };
    let excluded = Happening::Namespace { name: "team-b", opted_in: false, excluded: true };
    assert_eq!(config_scope(&named, &[variant, excluded]), ["team-b".to_owned()].into(), "a list of names beats both");
}
