//! Where the model comes from: a file, or the controllers of a cluster.

use std::path::Path;

use wva_engine::ModelKey;

use super::Refusal;
use crate::Error;
use crate::commands::replay;
use crate::connection::Connection;
use crate::readers::controllers;
use crate::readers::debug_state::{self, LastCycle};
use crate::session::Session;

/// The model that is meant, and the last decision that was made of it.
pub(super) async fn find(
    flags: &Connection,
    file: Option<&Path>,
    name: Option<&str>,
) -> Result<(ModelKey, LastCycle), Error> {
    let (place, cycles, reasons) = match file {
        Some(file) => (format!("in {}", file.display()), vec![replay::read(file)?], Vec::new()),
        None => of_cluster(flags).await?,
    };
    let namespace = flags.namespace.as_deref();
    let models = || {
        let of = |cycle: &LastCycle| cycle.snapshot.models.iter().map(|it| it.key.clone()).collect::<Vec<_>>();
        let all = cycles.iter().flat_map(of);
        all.filter(|key| namespace.is_none_or(|it| key.namespace == it)).collect::<Vec<_>>()
    };
    let known = models();
    if known.is_empty() {
        return Err(Refusal::NoModel { place, reasons }.into());
    }
    let meant: Vec<_> = known.iter().filter(|key| name.is_none_or(|it| key.model_id == it)).collect();
    let [key] = meant.as_slice() else {
        let mut known: Vec<_> = known.iter().map(|key| key.model_id.clone()).collect();
        known.sort();
        known.dedup();
        return Err(Refusal::Which { known }.into());
    };
    let key = (*key).clone();
    let is_of = |cycle: &LastCycle| cycle.snapshot.models.iter().any(|it| it.key == key);
    let cycle = cycles.iter().find(|cycle| is_of(cycle)).cloned();
    cycle.map(|cycle| (key, cycle)).ok_or_else(|| Refusal::NoModel { place, reasons }.into())
}

/// What every controller that answers decided last, and why the others do not.
async fn of_cluster(flags: &Connection) -> Result<(String, Vec<LastCycle>, Vec<String>), Error> {
    let session = Session::open(flags).await?;
    let (mut cycles, mut reasons) = (Vec::new(), Vec::new());
    for controller in controllers::list(&session).await? {
        let key = controller.key();
        let state = debug_state::fetch(&session, &controller).await;
        match state.and_then(|text| debug_state::parse(&key, &text)) {
            Ok(state) => cycles.extend(state.last_cycle),
            Err(error) => reasons.push(error.to_string()),
        }
    }
    let place = match &flags.namespace {
        Some(namespace) => format!("in namespace {namespace}"),
        None => "in the cluster".to_owned(),
    };
    Ok((place, cycles, reasons))
}
