//! Which cluster the flags, the environment and the home directory mean: kubectl's rules.

use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

use super::Error;
use crate::cli::Connection;

/// Loads the configuration for the context asked for; inside a pod without a kubeconfig, the pod's own.
pub(super) async fn load(flags: &Connection) -> Result<Config, Error> {
    let kubeconfig = match &flags.kubeconfig {
        Some(path) => Kubeconfig::read_from(path).map_err(Error::of_kubeconfig)?,
        None => match Kubeconfig::read() {
            Ok(kubeconfig) => kubeconfig,
            Err(error) if is_missing(&error) && flags.context.is_none() => {
                return Config::incluster().map_err(|_| Error::of_kubeconfig(error));
            }
            Err(error) => return Err(Error::of_kubeconfig(error)),
        },
    };
    let contexts: Vec<String> = kubeconfig.contexts.iter().map(|context| context.name.clone()).collect();
    let wanted = flags.context.clone().or_else(|| kubeconfig.current_context.clone()).filter(|name| !name.is_empty());
    let Some(wanted) = wanted else { return Err(Error::NoContext { contexts }) };
    if !contexts.contains(&wanted) {
        return Err(Error::NoSuchContext { name: wanted, contexts });
    }
    let options = KubeConfigOptions { context: Some(wanted), ..KubeConfigOptions::default() };
    Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(Error::of_kubeconfig)
}

fn is_missing(error: &KubeconfigError) -> bool {
    match error {
        KubeconfigError::FindPath => true,
        KubeconfigError::ReadConfig(source, _) => source.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}
