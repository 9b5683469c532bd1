//! The ConfigMap with service classes and profiles, for the hybrid mode.
//!
//! It has two lists, [`config_maps::SERVICE_CLASSES`] and [`config_maps::PROFILES`]. Each item is read on its own, so
//! that a bad one spoils no other, and one that cannot be used stays as it was.

use std::collections::{BTreeMap, BTreeSet};

use wva_api::config_maps;
use wva_engine::accelerator::pool_of;
use wva_engine::settings::Profile;

use super::config_map_entries::Problem;
use super::fields::Fields;
use crate::config::flat;

/// Priority of a class that names none: the least important.
const LEAST: u32 = 100;

/// What was promised to the users of a model in one class.
#[derive(Clone, Debug, PartialEq)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// The model.
    pub model: String,
    /// How important it is: 1 most, 100 least.
    pub priority: u32,
    /// Milliseconds between two tokens.
    pub itl_ms: Option<f64>,
    /// Milliseconds to the first token.
    pub ttft_ms: Option<f64>,
    /// Tokens per second to be ready for.
    pub tps: Option<f64>,
}

/// What the ConfigMap says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceClasses {
    classes: List<Class>,
    profiles: List<Profile>,
    /// What is wrong with an item or a key, in words.
    problems: BTreeMap<String, Problem>,
}

/// Items by what they are about.
type List<T> = BTreeMap<(String, String), T>;

/// An item of one of the lists.
trait Item: Clone {
    /// Key of the list.
    const KEY: &'static str;

    /// What it is about: no two items are about the same.
    fn about(fields: &mut Fields) -> Result<(String, String), String>;

    /// Reads the rest.
    fn read(about: &(String, String), fields: &mut Fields) -> Result<Self, String>;

    /// How an item is told from others of the list, whatever the spelling.
    fn id(about: (String, String)) -> (String, String) {
        about
    }
}

impl ServiceClasses {
    /// Reads the ConfigMap; `before` is the last version of the same object.
    pub fn read(data: &BTreeMap<String, String>, before: Option<&Self>) -> Self {
        let mut problems = BTreeMap::new();
        let classes = list(data, before.map(|it| &it.classes), &mut problems);
        let profiles = list(data, before.map(|it| &it.profiles), &mut problems);
        let known = [config_maps::SERVICE_CLASSES, config_maps::PROFILES];
        for key in data.keys().filter(|key| !known.contains(&key.as_str())) {
            let why = format!("is not known (known are {})", known.join(" and "));
            problems.insert(key.clone(), Problem::Refused { why, kept: false });
        }
        Self { classes, profiles, problems }
    }

    /// How many items are in force.
    pub fn len(&self) -> usize {
        self.classes.len() + self.profiles.len()
    }

    /// Whether none is in force.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is wrong.
    pub fn problems(&self) -> &BTreeMap<String, Problem> {
        &self.problems
    }

    /// How fast models are.
    pub fn profiles(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.values()
    }

    /// Models of which something was promised.
    pub fn models(&self) -> BTreeSet<&str> {
        self.classes.values().map(|class| class.model.as_str()).collect()
    }

    /// The class that counts for a model: of those in `named`, or of all if none of these is there, the most important one;
    /// of equally important ones, the first by name.
    pub fn of_model(&self, model: &str, named: &BTreeSet<&str>) -> Option<&Class> {
        let of_model = || self.classes.values().filter(|class| class.model == model);
        let chosen = of_model().filter(|class| named.contains(class.name.as_str())).min_by_key(|class| class.priority);
        chosen.or_else(|| of_model().min_by_key(|class| class.priority))
    }

    /// Whether there is such a class for a model.
    pub fn has(&self, name: &str, model: &str) -> bool {
        self.classes.contains_key(&(name.to_owned(), model.to_owned()))
    }
}

fn list<T: Item>(
    data: &BTreeMap<String, String>,
    before: Option<&List<T>>,
    problems: &mut BTreeMap<String, Problem>,
) -> List<T> {
    let Some(text) = data.get(T::KEY) else { return List::new() };
    let items = match flat::parse_list(text) {
        Ok(items) => items,
        Err(why) => {
            problems.insert(T::KEY.to_owned(), Problem::Refused { why, kept: before.is_some() });
            return before.cloned().unwrap_or_default();
        }
    };
    let mut list = List::new();
    for (at, item) in items.into_iter().enumerate() {
        let mut fields = Fields::new(item);
        let (name, id, read) = match T::about(&mut fields) {
            Ok(about) => {
                let read = T::read(&about, &mut fields);
                (format!("{} of {}", about.0, about.1), Some(T::id(about)), read)
            }
            Err(why) => (format!("number {}", at + 1), None, Err(why)),
        };
        let name = format!("{}: {name}", T::KEY);
        let problem = match (read, id) {
            (Ok(_), Some(id)) if list.contains_key(&id) => {
                let why = "is there twice, and the first one counts; remove one of them".to_owned();
                Some(Problem::Refused { why, kept: false })
            }
            (Ok(item), Some(id)) => {
                list.insert(id, item);
                let notes = fields.finish();
                (!notes.is_empty()).then(|| Problem::Partly(notes.join("; ")))
            }
            (Err(why), id) => {
                let known = id.and_then(|id| Some((before?.get(&id)?.clone(), id)));
                let kept = known.is_some();
                if let Some((item, id)) = known {
                    list.entry(id).or_insert(item);
                }
                Some(Problem::Refused { why, kept })
            }
            (Ok(_), None) => None,
        };
        if let Some(problem) = problem {
            problems.insert(name, problem);
        }
    }
    list
}

impl Item for Class {
    const KEY: &'static str = config_maps::SERVICE_CLASSES;

    fn about(fields: &mut Fields) -> Result<(String, String), String> {
        let (name, model) = (fields.text(&["name"]), fields.text(&["model"]));
        let name = name.ok_or("names no class; add `name`")?;
        Ok((name, model.ok_or("names no model; add `model`, the name that clients ask for")?))
    }

    fn read((name, model): &(String, String), fields: &mut Fields) -> Result<Self, String> {
        let mut slo = |names: &[&'static str]| Ok::<_, String>(fields.amount_of(names)?.filter(|it| *it > 0.0));
        let itl_ms = slo(&["slo-itl", "slo-tpot"])?;
        let ttft_ms = slo(&["slo-ttw", "slo-ttft"])?;
        let tps = slo(&["slo-tps"])?;
        if [itl_ms, ttft_ms, tps].iter().all(Option::is_none) {
            return Err("promises nothing; add `slo-itl`, `slo-ttw` or both, in milliseconds".to_owned());
        }
        Ok(Self { name: name.clone(), model: model.clone(), priority: priority(fields)?, itl_ms, ttft_ms, tps })
    }
}

fn priority(fields: &mut Fields) -> Result<u32, String> {
    let Some(text) = fields.text(&["priority"]) else { return Ok(LEAST) };
    match text.parse() {
        Ok(priority) if (1..=LEAST).contains(&priority) => Ok(priority),
        _ => Err(format!("`priority: {text}` is not a whole number between 1 and {LEAST}")),
    }
}

impl Item for Profile {
    const KEY: &'static str = config_maps::PROFILES;

    fn about(fields: &mut Fields) -> Result<(String, String), String> {
        let (model, accelerator) = (fields.text(&["model"]), fields.text(&["accelerator"]));
        let model = model.ok_or("names no model; add `model`, the name that clients ask for")?;
        Ok((model, accelerator.ok_or("names no accelerator; add `accelerator`")?))
    }

    fn id((model, accelerator): (String, String)) -> (String, String) {
        (model, pool_of(&accelerator))
    }

    fn read((model, accelerator): &(String, String), fields: &mut Fields) -> Result<Self, String> {
        let mut time = |name: &'static str| {
            let given =
                fields.amount_of(&[name])?.ok_or_else(|| format!("has no `{name}`; add it, in milliseconds"))?;
            Ok::<_, String>(single(given))
        };
        let (alpha, beta, gamma) = (time("alpha")?, time("beta")?, time("gamma")?);
        if alpha <= 0.0 || !(alpha + beta + gamma).is_finite() {
            return Err("has an `alpha` that is not above 0, or a value out of range".to_owned());
        }
        Ok(Self { model_id: model.clone(), accelerator: accelerator.clone(), alpha, beta, gamma })
    }
}

/// The model computes in single precision.
#[expect(clippy::cast_possible_truncation, reason = "more than seven digits of a measured time mean nothing")]
pub(super) fn single(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests;
