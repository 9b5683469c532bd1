//! `instances`: every controller of the cluster, what it takes, and what nobody or more than one takes.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use comfy_table::Color;
use futures::future::join_all;
use futures::join;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use serde::Serialize;
use wva_api::{Instance, config_keys, labels};

use crate::connection::Connection;

use crate::commands::pause;
use crate::output::Format;
use crate::output::console::Console;
use crate::output::table;
use crate::output::table::{Cell, Column};
use crate::output::watch::WatchArgs;
use crate::readers::controllers::{self, Controller};
use crate::readers::lists;
use crate::readers::variants::{self, Guarded};
use crate::session::Session;
use crate::{Error, Verdict};

/// Flags of `instances`.
#[derive(Args, Clone, Debug, Default)]
pub struct InstancesArgs {
    /// Taken for granted: controllers are shown wherever they are.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Looking again and again.
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// The whole answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstancesView {
    /// The controllers, by instance and name.
    pub controllers: Vec<ControllerView>,
    /// Variants that more than one controller takes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
    /// Instance ids on variants that no controller takes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub orphans: Vec<Orphan>,
    /// Parts that could not be read, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
}

/// One controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ControllerView {
    /// Its instance id; absent for the one without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Namespace of its Deployment.
    pub namespace: String,
    /// Name of its Deployment.
    pub name: String,
    /// Version of the program that leads, as its Lease says; the tag of its image where no Lease says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Replicas ready.
    pub ready: i32,
    /// Replicas asked for.
    pub replicas: i32,
    /// Who holds its Lease; absent without leader election or holder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// Name of its Lease; absent without leader election.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<String>,
    /// Namespaces it watches; empty means all.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub namespaces: BTreeSet<String>,
    /// Whether it takes variants of all instances.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub manages_all: bool,
    /// Variants it takes.
    pub variants: usize,
    /// Of these, variants that a person holds at a number.
    #[serde(skip_serializing_if = "is_zero")]
    pub paused: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A variant that more than one controller takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// `namespace/name`.
    pub variant: String,
    /// The controllers, `namespace/name`.
    pub controllers: Vec<String>,
}

/// Variants that nobody takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Orphan {
    /// The instance in their label; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// `namespace/name` of each.
    pub variants: Vec<String>,
}

/// Carries out `instances`.
///
/// # Errors
/// When controllers or variants cannot be listed.
pub async fn run(flags: &Connection, args: &InstancesArgs, console: &mut Console<'_>) -> Result<Verdict, Error> {
    let session = Session::open(flags).await?;
    let again = async |console: &mut Console<'_>| {
        let view = look(&session).await?;
        print(&view, console)?;
        Ok(view.verdict())
    };
    args.watch.repeat(console, again).await
}

pub(crate) async fn look(session: &Session) -> Result<InstancesView, Error> {
    let namespaces: Api<Namespace> = Api::all(session.client.clone());
    let all = ListParams::default();
    let (controllers, variants, namespaces) = join!(
        controllers::list(session),
        variants::list(session, None),
        session.ask("list namespaces", namespaces.list(&all)),
    );
    let controllers = controllers?;
    let leases = join_all(controllers.iter().map(|one| lease(session, one))).await;
    let (namespaces, unread) = match namespaces {
        Ok(list) => (list.items, Vec::new()),
        Err(error) => (Vec::new(), vec![error.to_string()]),
    };
    Ok(InstancesView::build(&controllers, &leases, &variants?, &namespaces, unread, Timestamp::now()))
}

/// What the Lease of a controller says: nothing without leader election.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Who holds it.
    pub by: Option<String>,
    /// Version of the program that wrote it last.
    pub version: Option<String>,
}

async fn lease(session: &Session, controller: &Controller) -> Result<Held, String> {
    if !elects(controller) {
        return Ok(Held::default());
    }
    let lease: Option<Lease> = lists::get(session, &controller.namespace, &controller.lease_name())
        .await
        .map_err(|error| error.to_string())?;
    Ok(lease.map(held).unwrap_or_default())
}

fn held(lease: Lease) -> Held {
    let version = lease.metadata.annotations.and_then(|mut annotations| annotations.remove(labels::PROGRAM_VERSION));
    let by = lease.spec.and_then(|spec| spec.holder_identity).filter(|holder| !holder.is_empty());
    Held { by, version }
}

fn elects(controller: &Controller) -> bool {
    controller.literal(config_keys::LEADER_ELECT).as_deref() == Some("true")
}

impl InstancesView {
    /// Builds the view. `leases` are in the order of the controllers, each what it says or why it could not be read.
    pub fn build(
        controllers: &[Controller],
        leases: &[Result<Held, String>],
        variants: &[Guarded],
        namespaces: &[Namespace],
        mut unread: Vec<String>,
        now: Timestamp,
    ) -> Self {
        let annotations: BTreeMap<String, &BTreeMap<String, String>> =
            namespaces.iter().map(|namespace| (namespace.name_any(), namespace.annotations())).collect();
        let mut taken = vec![(0, 0); controllers.len()];
        let (mut conflicts, mut orphans) = (Vec::new(), BTreeMap::<Option<String>, Vec<String>>::new());
        for variant in variants {
            let metadata = variants::metadata(variant);
            let labels = metadata.labels.clone().unwrap_or_default();
            let namespace = metadata.namespace.clone().unwrap_or_default();
            let key = format!("{namespace}/{}", metadata.name.clone().unwrap_or_default());
            let annotations = annotations.get(&namespace).copied();
            let is_owner = |index: &usize| controllers[*index].takes(&labels, &namespace, annotations);
            let owners: Vec<usize> = (0..controllers.len()).filter(is_owner).collect();
            for index in &owners {
                taken[*index].0 += 1;
                taken[*index].1 += usize::from(pause::told(variant, now).is_some());
            }
            match owners.as_slice() {
                [_] => {}
                // Excluded on purpose.
                [] if annotations.is_some_and(wva_api::scope::is_excluded) => {}
                [] => orphans.entry(Instance::of_labels(&labels).id().map(str::to_owned)).or_default().push(key),
                several => {
                    let controllers = several.iter().map(|index| controllers[*index].key()).collect();
                    conflicts.push(Conflict { variant: key, controllers });
                }
            }
        }
        let mut views = Vec::new();
        for ((controller, held), (variants, paused)) in controllers.iter().zip(leases).zip(taken) {
            let Held { by: leader, version } = held.clone().unwrap_or_else(|why| {
                unread.push(why);
                Held::default()
            });
            views.push(ControllerView {
                instance: controller.scope.instance.id().map(str::to_owned),
                namespace: controller.namespace.clone(),
                name: controller.name.clone(),
                version: version.or_else(|| controller.image.as_deref().and_then(tag)),
                ready: controller.ready,
                replicas: controller.replicas,
                leader,
                lease: elects(controller).then(|| controller.lease_name()),
                namespaces: controller.scope.namespaces.clone(),
                manages_all: controller.scope.manage_all,
                variants,
                paused,
            });
        }
        views.sort_by(|a, b| (&a.instance, &a.namespace, &a.name).cmp(&(&b.instance, &b.namespace, &b.name)));
        let orphans = orphans.into_iter().map(|(instance, variants)| Orphan { instance, variants }).collect();
        Self { controllers: views, conflicts, orphans, unread }
    }

    /// What the exit code says.
    pub fn verdict(&self) -> Verdict {
        let down = self.controllers.iter().any(|one| one.ready == 0 || (one.lease.is_some() && one.leader.is_none()));
        if !self.unread.is_empty() {
            Verdict::Unknown
        } else if down || self.controllers.is_empty() || !self.conflicts.is_empty() || !self.orphans.is_empty() {
            Verdict::Found
        } else {
            Verdict::Fine
        }
    }
}

/// The tag of an image reference; a digest is no tag.
fn tag(image: &str) -> Option<String> {
    let name = image.split('@').next()?.rsplit('/').next()?;
    Some(name.split_once(':')?.1.to_owned())
}

/// Prints a view.
///
/// # Errors
/// When it cannot be written.
pub fn print(view: &InstancesView, console: &mut Console<'_>) -> Result<(), Error> {
    for why in &view.unread {
        console.note(&format!("warning: {why}"))?;
    }
    match console.format {
        Format::Json => return console.json(view),
        Format::Yaml => return console.yaml(view),
        Format::Name => {
            return console.lines(view.controllers.iter().map(|one| format!("deployment.apps/{}", one.name)));
        }
        Format::Table | Format::Wide => {}
    }
    if view.controllers.is_empty() {
        console.note("no controller found")?;
    } else {
        let wide = console.format == Format::Wide;
        let mut columns = vec![
            Column::new("INSTANCE", 0),
            Column::new("NAMESPACE", 1),
            Column::or_below("CONTROLLER", 3),
            Column::new("VERSION", 2),
            Column::new("READY", 0),
            Column::or_below("LEADER", 4),
            Column::or_below("WATCHES", 2),
            Column::new("VARIANTS", 0),
        ];
        if wide {
            columns.push(Column::or_below("LEASE", 5));
        }
        let rows = view.controllers.iter().map(|one| row(one, wide)).collect();
        console.data(&table::render(&columns, rows, console.headers, console.width))?;
    }
    let label = labels::CONTROLLER_INSTANCE;
    console.prose(
        view.conflicts
            .iter()
            .map(|one| format!("conflict: {} is taken by {}", one.variant, one.controllers.join(" and "))),
    )?;
    console.prose(view.orphans.iter().map(|orphan| {
        let carries =
            orphan.instance.as_ref().map_or(format!("without label {label}"), |id| format!("labelled {label}={id}"));
        format!("orphaned: nobody takes variants {carries}: {}", orphan.variants.join(", "))
    }))
}

fn row(one: &ControllerView, wide: bool) -> Vec<Cell> {
    let ready = Cell::new(format!("{}/{}", one.ready, one.replicas));
    let watches = match (one.namespaces.is_empty(), one.manages_all) {
        (true, true) => "all namespaces, all instances".to_owned(),
        (true, false) => "all namespaces".to_owned(),
        (false, _) => one.namespaces.iter().cloned().collect::<Vec<_>>().join(","),
    };
    let leader = match (&one.lease, &one.leader) {
        (None, _) => Cell::new("no election"),
        (Some(_), None) => Cell::new("none").fg(Color::Red),
        (Some(_), Some(holder)) => Cell::new(holder.split('_').next().unwrap_or(holder)),
    };
    let mut cells = vec![
        Cell::new(one.instance.as_deref().unwrap_or("-")),
        Cell::new(&one.namespace),
        Cell::new(&one.name),
        Cell::new(one.version.as_deref().unwrap_or("-")),
        if one.ready == 0 { ready.fg(Color::Red) } else { ready },
        leader,
        Cell::new(watches),
        Cell::new(match one.paused {
            0 => one.variants.to_string(),
            paused => format!("{} ({paused} paused)", one.variants),
        }),
    ];
    if wide {
        cells.push(Cell::new(one.lease.as_deref().unwrap_or("-")));
    }
    cells
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The version shown of a controller with this image, whose Lease has these annotations.
    fn version(image: &str, annotations: &serde_json::Value) -> Option<String> {
        let deployment = json!({
            "metadata": {"namespace": "wva", "name": "wva"},
            "spec": {"selector": {}, "template": {"spec": {"containers": [
                {"name": "manager", "image": image, "args": ["--leader-elect=true"]},
            ]}}},
        });
        let controller = Controller::of(&serde_json::from_value(deployment).unwrap()).unwrap();
        let lease = json!({"metadata": {"annotations": annotations}, "spec": {"holderIdentity": "wva-1_x"}});
        let held = held(serde_json::from_value(lease).unwrap());
        assert_eq!(held.by.as_deref(), Some("wva-1_x"));
        InstancesView::build(&[controller], &[Ok(held)], &[], &[], Vec::new(), Timestamp::UNIX_EPOCH)
            .controllers
            .remove(0)
            .version
    }

    #[test]
    fn the_version_is_that_of_the_program_whatever_its_image_is_tagged() {
        let said = json!({labels::PROGRAM_VERSION: "0.6.0"});
        assert_eq!(version("registry.example/wva:latest", &said).as_deref(), Some("0.6.0"));
        assert_eq!(version("registry.example/wva@sha256:0000", &said).as_deref(), Some("0.6.0"));
        assert_eq!(version("registry.example:5000/wva:v0.5.1", &json!({})).as_deref(), Some("v0.5.1"));
        assert_eq!(version("registry.example:5000/wva@sha256:0000", &json!({})), None);
    }
}
