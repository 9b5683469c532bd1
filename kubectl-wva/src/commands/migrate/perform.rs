//! Takes the steps.

use std::fs;
use std::path::{Path, PathBuf};

use chart_render::Chart;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use serde_json::Value;
use tokio::process::Command;

use super::Failure;
use super::journal::{Done, Journal};
use super::plan::{Action, Step};
use super::survey::{self, DEFINITION, Kind};
use crate::Error;
use crate::connection::Connection;
use crate::session::{self, Session};
use crate::writers::apply::{self, FIELD_MANAGER};
use crate::writers::install;

/// Name of the definition.
pub(super) const DEFINITION_NAME: &str = "variantautoscalings.llmd.ai";

/// The helm to run, and the cluster it is to talk to.
pub(super) struct Helm {
    program: PathBuf,
    flags: Vec<String>,
}

impl Helm {
    /// helm with the flags of this command's connection.
    pub(super) fn new(program: &Path, flags: &Connection) -> Self {
        let kubeconfig = flags.kubeconfig.as_ref().map(|path| format!("--kubeconfig={}", path.display()));
        let context = flags.context.as_ref().map(|context| format!("--kube-context={context}"));
        let server = flags.server.as_ref().map(|server| format!("--kube-apiserver={server}"));
        let user = flags.as_user.as_ref().map(|user| format!("--kube-as-user={user}"));
        let authority = flags.certificate_authority.as_ref().map(|path| format!("--kube-ca-file={}", path.display()));
        let flags = [kubeconfig, context, server, user, authority].into_iter().flatten().collect();
        Self { program: program.to_owned(), flags }
    }

    /// Runs it.
    ///
    /// # Errors
    /// When there is no such program, or it exits with anything but 0.
    pub(super) async fn run(&self, args: &[&str]) -> Result<(), Failure> {
        let failed = |why| Failure::Helm { command: format!("{} {}", self.program.display(), args.join(" ")), why };
        let output = Command::new(&self.program).args(args).args(&self.flags).output().await;
        let output = output.map_err(|error| failed(error.to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }
}

/// Takes one step, and notes before what there was.
///
/// # Errors
/// When the cluster or helm refuses it.
pub(super) async fn step(session: &Session, helm: &Helm, step: &Step, journal: &mut Journal) -> Result<(), Error> {
    let title = step.title.clone();
    match &step.action {
        Action::Define => {
            let api = survey::api(session, DEFINITION, None);
            if let Some(before) = session.ask("read the definition", api.get_opt(DEFINITION_NAME)).await? {
                journal.note(changed(title, &before)?)?;
            }
            define(session).await
        }
        Action::Patch(kind, object, patch) => {
            journal.note(changed(title, object)?)?;
            merge(session, *kind, object, patch).await
        }
        Action::Delete(kind, object) => {
            journal.note(changed(title, object)?)?;
            let name = object.name_any();
            let api = survey::api(session, *kind, object.namespace().as_deref());
            match session.ask(format!("delete {} {name}", kind.2), api.delete(&name, &DeleteParams::default())).await {
                Ok(_) | Err(session::Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }
        Action::Upgrade(release) => {
            let (name, namespace) = (release.name.clone(), release.namespace.clone());
            journal.note(Done::Upgraded { title, release: name, namespace, revision: release.version })?;
            let chart = Unpacked::new()?;
            let path = chart.0.to_string_lossy();
            let line = ["upgrade", &release.name, &path, "--namespace", &release.namespace, "--reuse-values"];
            Ok(helm.run(&line).await?)
        }
    }
}

/// Applies this program's definition.
async fn define(session: &Session) -> Result<(), Error> {
    let rendered = install::render("wva", "default", serde_json::Map::new())?;
    let read = |text: &str| serde_saphyr::from_str::<Value>(text).map_err(|error| Error::Encode(error.to_string()));
    let definitions = rendered.crds.iter().map(|file| read(&file.text)).collect::<Result<Vec<_>, _>>()?;
    let objects: Vec<&Value> = definitions.iter().collect();
    apply::Run::prepare(session, &objects, true).await?.perform().await?;
    Ok(())
}

async fn merge(session: &Session, kind: Kind, object: &DynamicObject, patch: &Value) -> Result<(), Error> {
    let name = object.name_any();
    let api = survey::api(session, kind, object.namespace().as_deref());
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    session.ask(format!("patch {} {name}", kind.2), api.patch(&name, &params, &Patch::Merge(patch))).await?;
    Ok(())
}

fn changed(title: String, before: &DynamicObject) -> Result<Done, Error> {
    let before = serde_json::to_value(before).map_err(|error| Error::Encode(error.to_string()))?;
    Ok(Done::Changed { title, before })
}

/// This program's chart in a folder of its own, for helm; gone with this value.
struct Unpacked(PathBuf);

impl Unpacked {
    fn new() -> Result<Self, Error> {
        let folder = std::env::temp_dir().join(format!("kubectl-wva-chart-{}", std::process::id()));
        let unpacked = Self(folder.clone());
        for (path, data) in Chart::embedded_files() {
            let path = folder.join(path);
            let failed = |source| Error::File { path: path.clone(), source };
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(failed)?;
            }
            fs::write(&path, data).map_err(failed)?;
        }
        Ok(unpacked)
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        // A folder for temporary files may keep one.
        let _gone = fs::remove_dir_all(&self.0);
    }
}
