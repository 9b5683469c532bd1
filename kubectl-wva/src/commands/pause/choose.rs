//! The variants that are meant.

use std::collections::BTreeSet;

use wva_api::Instance;

use super::Choice;
use crate::Error;
use crate::readers::variants::{self, Guarded};
use crate::session::Session;

/// The variants of a choice.
pub(super) async fn variants(session: &Session, choice: &Choice) -> Result<Vec<Guarded>, Error> {
    let instance = choice.instance.as_deref().map(Instance::parse).transpose()?;
    let namespace = (!choice.all_namespaces).then_some(session.namespace.as_str());
    let all = variants::list(session, namespace).await?;
    if let Some(name) = &choice.name {
        let chosen = all.iter().find(|variant| variants::is_named(variants::metadata(variant), name)).cloned();
        return chosen.map(|variant| vec![variant]).ok_or_else(|| Error::no_such_variant(name, namespace, &all));
    }
    let of = |variant: &Guarded| Instance::of_labels(&variants::metadata(variant).labels.clone().unwrap_or_default());
    if let Some(wanted) = instance.as_ref().filter(|wanted| !all.iter().any(|variant| of(variant) == **wanted)) {
        let known: BTreeSet<String> = all.iter().filter_map(|variant| of(variant).id().map(str::to_owned)).collect();
        let id = wanted.id().unwrap_or_default().to_owned();
        return Err(Error::NoSuchInstance { id, known: known.into_iter().collect() });
    }
    let model = |variant: &Guarded| variant.0.as_ref().ok().and_then(|variant| variant.spec.model().map(str::to_owned));
    if let Some(wanted) = &choice.model
        && !all.iter().any(|variant| model(variant).as_ref() == Some(wanted))
    {
        return Err(Error::not_served(wanted, namespace, &all));
    }
    let mut chosen = all;
    chosen.retain(|variant| {
        instance.as_ref().is_none_or(|instance| of(variant) == *instance)
            && choice.model.as_ref().is_none_or(|wanted| model(variant).as_ref() == Some(wanted))
    });
    Ok(chosen)
}
