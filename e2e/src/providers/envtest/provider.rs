//! `PROVIDER=envtest`: the control plane, and nodes of this machine's processes.

use std::path::{Path, PathBuf};

use futures::future::BoxFuture;

use super::{ControlPlane, Error as EnvtestError, Options};
use crate::environment::Settings;
use crate::providers::{Capability, Cluster, Error, Facts, Provider, existing};

/// The folder of the programs.
const ASSETS: &str = "KUBEBUILDER_ASSETS";

/// Starts control planes.
#[derive(Clone, Copy, Debug)]
pub struct Envtest;

/// A running one, with its nodes.
struct Running {
    plane: ControlPlane,
    nodes: Box<dyn Cluster>,
    facts: Facts,
    dir: PathBuf,
}

impl Provider for Envtest {
    fn start<'a>(
        &'a self,
        settings: &'a Settings,
        progress: &'a mut (dyn FnMut(&str) + Send),
    ) -> BoxFuture<'a, Result<Box<dyn Cluster>, Error>> {
        Box::pin(async move {
            let assets = std::env::var_os(ASSETS).filter(|dir| !dir.is_empty()).ok_or(EnvtestError::NoAssets);
            let dir = settings.dir.join("control-plane");
            let mut options = Options::new(PathBuf::from(assets.map_err(Box::new)?), dir.clone());
            options.hpa_sync_period = settings.hpa_sync_period;
            let plane = ControlPlane::start(&options).await.map_err(Box::new)?;
            progress(&format!("Started: {}", plane.programs().join(", ")));
            // From here on a failure drops the control plane, which kills it.
            let nodes = existing::attach(plane.kubeconfig(), true, settings, progress).await?;
            let mut facts = nodes.facts().clone();
            "envtest".clone_into(&mut facts.provider);
            facts.temporary = true;
            facts.capabilities.insert(Capability::QuickHpa);
            Ok(Box::new(Running { plane, nodes, facts, dir }) as Box<dyn Cluster>)
        })
    }
}

impl Cluster for Running {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn collect<'a>(&'a self, dir: &'a Path) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let to = dir.join("nodes");
            let logs = self.plane.programs().iter().map(|name| format!("{name}.log"));
            for name in logs.chain(["audit.log".to_owned()]) {
                let copied =
                    std::fs::create_dir_all(&to).and_then(|()| std::fs::copy(self.dir.join(&name), to.join(&name)));
                if let Err(error) = copied {
                    tracing::warn!(name, %error, "A log of the control plane cannot be kept");
                }
            }
        })
    }

    fn stop(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let Self { plane, nodes, facts: _, dir: _ } = *self;
            nodes.stop().await;
            plane.stop().await;
        })
    }
}
