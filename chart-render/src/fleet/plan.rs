//! From a fleet to releases that get on with one another.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::{Controller, Fleet, Model, Variant};
use crate::check::{Installed, Report, check};
use crate::profile::{self, Profile};
use crate::values::{self, Values};
use crate::{Chart, Options, Release, Rendered, render, yaml};

/// Why a fleet cannot be installed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The description contradicts itself.
    #[error("the fleet cannot be installed:{}", list(.0))]
    Contradiction(Vec<String>),
    /// The releases would get into each other's way.
    #[error("the releases of the fleet collide:\n{0}")]
    Collision(Report),
    /// The chart refuses the values of a release.
    #[error("release {release}: {reason}")]
    Release {
        /// The release.
        release: String,
        /// Why.
        reason: Box<crate::Error>,
    },
    /// Values could not be written.
    #[error(transparent)]
    Profile(#[from] profile::Error),
}

fn list(problems: &[String]) -> String {
    problems.iter().fold(String::new(), |text, problem| text + "\n- " + problem)
}

/// One release.
#[derive(Clone, Debug)]
pub struct Install {
    /// Name and namespace.
    pub release: Release,
    /// Id of the controller instance it belongs to; empty for the one without.
    pub instance: String,
    /// The controller a model needs, as `namespace/name`; none for a controller.
    pub needs: Option<String>,
    /// What it watches or scales, in a few words.
    pub scope: String,
    /// Its values file.
    pub values: String,
    /// What that renders to.
    pub rendered: Rendered,
}

/// The releases of a fleet, controllers first.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The releases.
    pub installs: Vec<Install>,
    /// The chart they are rendered from.
    pub(super) chart: Chart,
}

impl Fleet {
    /// Plans the releases of the fleet and checks them, each for itself and all together.
    ///
    /// # Errors
    /// When the fleet contradicts itself, the chart refuses values, or releases collide.
    pub fn plan(&self, chart: Chart) -> Result<Plan, Error> {
        let problems = self.problems();
        if !problems.is_empty() {
            return Err(Error::Contradiction(problems));
        }
        let mut installs = Vec::new();
        for controller in &self.controllers {
            installs.push(self.controller(controller, &chart)?);
        }
        for model in &self.models {
            for variant in &model.variants {
                installs.push(self.variant(model, variant, &chart)?);
            }
        }
        let installed: Vec<Installed> =
            installs.iter().map(|install| Installed::rendered(&install.release, &install.rendered)).collect();
        let report = check(&installed);
        if report.is_clean() { Ok(Plan { installs, chart }) } else { Err(Error::Collision(report)) }
    }

    fn controller(&self, controller: &Controller, chart: &Chart) -> Result<Install, Error> {
        let Controller { name, namespace, instance, watch, prometheus, openshift, values } = controller;
        let profile = Profile {
            title: format!("Controller {name} in {namespace}."),
            controller: true,
            instance: instance.clone().unwrap_or_default(),
            prometheus: prometheus.clone().or_else(|| self.prometheus.clone()),
            watch: watch.clone(),
            openshift: *openshift,
            ..Profile::default()
        };
        let scope = if watch.is_empty() { "all namespaces".to_owned() } else { watch.join(", ") };
        install(Release::new(name, namespace), &profile, values, chart, None, format!("watches {scope}"))
    }

    fn variant(&self, model: &Model, variant: &Variant, chart: &Chart) -> Result<Install, Error> {
        let owner = self.owner(model).ok();
        let profile = Profile {
            title: format!("Model {} on {}.", model.id, variant.accelerator),
            instance: owner.and_then(|owner| owner.instance.clone()).unwrap_or_default(),
            model: Some(profile::Model {
                name: variant.name.clone(),
                namespace: model.namespace.clone(),
                id: model.id.clone(),
                deployment: variant.deployment.clone().unwrap_or_default(),
                accelerator: variant.accelerator.clone(),
                cost: variant.cost.unwrap_or(10.0).to_string(),
                min: variant.min,
                max: variant.max,
            }),
            ..Profile::default()
        };
        let needs = owner.map(|owner| format!("{}/{}", owner.namespace, owner.name));
        let scope = format!("scales {}/{} on {}", model.namespace, variant.target(), variant.accelerator);
        install(Release::new(&variant.name, &model.namespace), &profile, &variant.values, chart, needs, scope)
    }
}

fn install(
    release: Release,
    profile: &Profile,
    extra: &BTreeMap<String, Json>,
    chart: &Chart,
    needs: Option<String>,
    scope: String,
) -> Result<Install, Error> {
    let refused = |source: crate::Error| Error::Release {
        release: format!("{}/{}", release.namespace, release.name),
        reason: Box::new(source),
    };
    let mut text = profile.values()?;
    if !extra.is_empty() {
        let mut tree: Map<String, Json> = values::documents(&text)
            .map_err(|message| refused(values::Error::File { file: "values.yaml".to_owned(), message }.into()))?;
        let extra: Map<String, Json> = extra.clone().into_iter().collect();
        values::layer(&mut tree, extra);
        text = format!("# {}\n{}\n", profile.title, yaml::to_yaml(&Json::Object(tree)));
    }
    let mut given = Values::new();
    given.merge_yaml("values.yaml", &text).map_err(|error| refused(error.into()))?;
    let rendered = render(chart, given, &release, &Options::default()).map_err(refused)?;
    Ok(Install { release, instance: profile.instance.clone(), needs, scope, values: text, rendered })
}
