//! Which instance is to scale the model.

use wva_api::{Claim, Instance};

use crate::commands::add_model::{Controllers, Facts, Refusal};
use crate::readers::controllers::Controller;
use crate::suggest;

/// The instance, and what is to be said about its controllers.
pub(super) struct Owner {
    pub(super) instance: Instance,
    pub(super) notes: Vec<String>,
}

/// An instance and the controllers that would take the model under it.
type Candidate<'a> = (Instance, Vec<&'a Controller>);

/// Takes the instance asked for, or else the only one that would take the model.
pub(super) fn choose(wanted: Option<&str>, facts: &Facts) -> Result<Owner, Refusal> {
    let wanted = wanted.map(Instance::parse).transpose()?;
    match (&facts.controllers, wanted) {
        (Controllers::Known(controllers), wanted) => pick(&candidates(controllers, wanted.as_ref(), facts)?),
        (Controllers::Hidden(message), Some(instance)) => {
            let note = format!("could not check that a controller takes the variants of {instance}: {message}");
            Ok(Owner { instance, notes: vec![note] })
        }
        (Controllers::Hidden(message), None) => Err(Refusal::ControllersHidden(message.clone())),
    }
}

/// The controllers that would take the model, by the instance it would have to be labelled for. Never empty.
fn candidates<'a>(
    controllers: &'a [Controller],
    wanted: Option<&Instance>,
    facts: &Facts,
) -> Result<Vec<Candidate<'a>>, Refusal> {
    if controllers.is_empty() {
        return Err(Refusal::NoController);
    }
    let mut candidates: Vec<Candidate<'a>> = Vec::new();
    let mut reasons = Vec::new();
    for controller in controllers {
        let instance = wanted.unwrap_or(&controller.scope.instance);
        match controller.scope.claim(&instance.labels(), &facts.namespace, facts.annotations.as_ref()) {
            Claim::Mine => match candidates.iter_mut().find(|(other, _)| other == instance) {
                Some((_, controllers)) => controllers.push(controller),
                None => candidates.push((instance.clone(), vec![controller])),
            },
            claim => reasons.push(format!("{} {}", controller.key(), why_not(&claim, controller))),
        }
    }
    if candidates.is_empty() {
        let ids = controllers.iter().filter_map(|controller| controller.scope.instance.id());
        let known = wanted.is_some_and(|wanted| controllers.iter().any(|one| one.scope.instance == *wanted));
        let typed = wanted.and_then(Instance::id).filter(|_| !known).unwrap_or_default();
        let meant = suggest::hint(typed, ids);
        return Err(Refusal::NotManaged { namespace: facts.namespace.clone(), reasons, meant });
    }
    Ok(candidates)
}

fn pick(candidates: &[Candidate<'_>]) -> Result<Owner, Refusal> {
    let [(instance, controllers)] = candidates else {
        let describe = |instance: &Instance, controller: &Controller| {
            format!(
                "instance {:?} ({}, watches {})",
                instance.id().unwrap_or_default(),
                controller.key(),
                controller.watches()
            )
        };
        let list = candidates.iter().flat_map(|(instance, all)| all.iter().map(move |one| describe(instance, one)));
        return Err(Refusal::SeveralControllers(list.collect()));
    };
    let mut notes = Vec::new();
    if controllers.iter().all(|controller| controller.ready == 0) {
        let keys: Vec<String> = controllers.iter().map(|controller| controller.key()).collect();
        notes.push(format!("no replica of {} is ready: nothing is scaled until one is", keys.join(", ")));
    }
    Ok(Owner { instance: instance.clone(), notes })
}

fn why_not(claim: &Claim, controller: &Controller) -> String {
    match claim {
        Claim::Mine => "takes it".to_owned(),
        Claim::OtherInstance(_) => match controller.scope.instance.id() {
            Some(id) => format!("takes only variants of instance {id:?}"),
            None => "takes only variants without an instance".to_owned(),
        },
        Claim::OutsideNamespaces => format!("watches only {}", controller.watches()),
        Claim::Excluded => format!("skips the namespace for its annotation {}=true", wva_api::labels::EXCLUDE),
    }
}
