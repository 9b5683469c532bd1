//! How each instance fares, and the answer as an exit code.

use std::collections::BTreeMap;

use super::{ControllerView, Filter, InstanceView, StatusView, VariantView};
use crate::Verdict;
use crate::commands::status::gather::STARTING;
use crate::commands::status::problem::{Problem, ProblemKind};
use crate::readers::controllers::Controller;
use crate::readers::lists::Part;

impl StatusView {
    /// What the exit code says: a problem weighs more than a part that could not be read.
    pub fn verdict(&self) -> Verdict {
        if self.instances.iter().any(|instance| !instance.healthy) {
            Verdict::Found
        } else if self.unread.is_empty() {
            Verdict::Fine
        } else {
            Verdict::Unknown
        }
    }
}

/// What was asked for, and what is known of controllers besides.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) filter: &'a Filter,
    /// Whether controllers without a variant are shown too.
    pub(super) everything: bool,
    /// What keeps pods of controllers from being ready.
    pub(super) troubles: &'a BTreeMap<String, Vec<String>>,
}

/// The instances of the variants shown, and with `everything` those of all controllers.
pub(super) fn instances(
    variants: &[VariantView],
    controllers: &Part<Controller>,
    asked: &Asked<'_>,
) -> Vec<InstanceView> {
    let Asked { filter, everything, troubles } = *asked;
    let mut members: BTreeMap<Option<String>, Vec<&VariantView>> = BTreeMap::new();
    if everything && filter.name.is_none() && filter.model.is_none() {
        let ids = controllers.iter().flatten().map(|controller| &controller.scope.instance);
        for instance in ids.filter(|id| filter.instance.as_ref().is_none_or(|wanted| wanted == *id)) {
            members.entry(instance.id().map(str::to_owned)).or_default();
        }
    }
    for variant in variants {
        members.entry(variant.instance.clone()).or_default().push(variant);
    }
    let controllers = controllers.as_deref().ok();
    members.into_iter().map(|(instance, variants)| of_instance(instance, &variants, controllers, troubles)).collect()
}

fn of_instance(
    instance: Option<String>,
    variants: &[&VariantView],
    controllers: Option<&[Controller]>,
    troubles: &BTreeMap<String, Vec<String>>,
) -> InstanceView {
    let controllers: Option<Vec<ControllerView>> =
        controllers.map(|all| all.iter().filter(|one| takes(one, instance.as_deref())).map(view).collect());
    let (problems, starting) = controllers.as_deref().map(|own| judged(own, troubles)).unwrap_or_default();
    InstanceView {
        healthy: problems.is_empty() && variants.iter().all(|variant| variant.problems.is_empty()),
        variants: variants.len(),
        ready: variants.iter().filter(|v| v.ready.as_ref().is_some_and(|ready| ready.status == "True")).count(),
        instance,
        controllers,
        starting,
        problems,
    }
}

/// Whether a controller takes variants of an instance, in whichever namespace.
fn takes(controller: &Controller, instance: Option<&str>) -> bool {
    let own = controller.scope.instance.id();
    own == instance || (own.is_none() && controller.scope.manage_all)
}

/// What is wrong with the controllers of an instance, and what is only on its way.
fn judged(controllers: &[ControllerView], troubles: &BTreeMap<String, Vec<String>>) -> (Vec<Problem>, Vec<String>) {
    if controllers.is_empty() {
        return (vec![Problem::new(ProblemKind::NoController, "no controller found")], Vec::new());
    }
    let (mut problems, mut starting) = (Vec::new(), Vec::new());
    for controller in controllers {
        let key = format!("{}/{}", controller.namespace, controller.name);
        for said in troubles.get(&key).into_iter().flatten() {
            match said.strip_prefix(STARTING) {
                Some(said) => starting.push(format!("controller {key}: {said}")),
                None => problems.push(Problem::new(
                    if controller.ready == 0 { ProblemKind::ControllerDown } else { ProblemKind::RolloutStuck },
                    format!("controller {key}: {said}"),
                )),
            }
        }
    }
    let down = controllers.iter().all(|controller| controller.ready == 0);
    if down && problems.is_empty() && starting.is_empty() {
        problems.push(Problem::new(ProblemKind::ControllerDown, "no controller replica is ready"));
    }
    (problems, starting)
}

fn view(controller: &Controller) -> ControllerView {
    ControllerView {
        namespace: controller.namespace.clone(),
        name: controller.name.clone(),
        ready: controller.ready,
        replicas: controller.replicas,
        namespaces: controller.scope.namespaces.clone(),
        image: controller.image.clone(),
    }
}
