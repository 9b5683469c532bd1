//! How each instance fares, and the answer as an exit code.

use std::collections::BTreeMap;

use super::{ControllerView, Filter, InstanceView, StatusView, VariantView};
use crate::Verdict;
use crate::controllers::Controller;
use crate::lists::Part;
use crate::status::problem::{Problem, ProblemKind};

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

/// The instances of the variants shown, and with `everything` those of all controllers.
pub(super) fn instances(
    variants: &[VariantView],
    controllers: &Part<Controller>,
    filter: &Filter,
    everything: bool,
) -> Vec<InstanceView> {
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
    members.into_iter().map(|(instance, variants)| of_instance(instance, &variants, controllers)).collect()
}

fn of_instance(
    instance: Option<String>,
    variants: &[&VariantView],
    controllers: Option<&[Controller]>,
) -> InstanceView {
    let controllers: Option<Vec<ControllerView>> =
        controllers.map(|all| all.iter().filter(|one| takes(one, instance.as_deref())).map(view).collect());
    let problems: Vec<Problem> = controllers.as_deref().and_then(controller_problem).into_iter().collect();
    InstanceView {
        healthy: problems.is_empty() && variants.iter().all(|variant| variant.problems.is_empty()),
        variants: variants.len(),
        ready: variants.iter().filter(|v| v.ready.as_ref().is_some_and(|ready| ready.status == "True")).count(),
        instance,
        controllers,
        problems,
    }
}

/// Whether a controller takes variants of an instance, in whichever namespace.
fn takes(controller: &Controller, instance: Option<&str>) -> bool {
    let own = controller.scope.instance.id();
    own == instance || (own.is_none() && controller.scope.manage_all)
}

fn controller_problem(controllers: &[ControllerView]) -> Option<Problem> {
    if controllers.is_empty() {
        return Some(Problem::new(ProblemKind::NoController, "no controller found"));
    }
    let down = controllers.iter().all(|controller| controller.ready == 0);
    down.then(|| Problem::new(ProblemKind::ControllerDown, "no controller replica is ready"))
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
