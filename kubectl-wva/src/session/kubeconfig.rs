//! Which cluster the flags, the environment and the home directory mean: kubectl's rules.

use std::ffi::OsStr;
use std::path::Path;

use kube::Config;
use kube::config::{Cluster, Context, KubeConfigOptions, Kubeconfig, KubeconfigError, NamedCluster, NamedContext};

use super::{Error, overrides};
use crate::connection::Connection;

/// Name of the context that everything is put together in.
const RESOLVED: &str = "resolved";

/// Loads the configuration that the flags mean; inside a pod without a kubeconfig, the pod's own.
pub(super) async fn load(flags: &Connection) -> Result<Config, Error> {
    let mut config = match read(flags.kubeconfig.as_deref(), std::env::var_os("KUBECONFIG").as_deref()) {
        Ok(kubeconfig) => of_file(kubeconfig, flags).await?,
        Err(error) if is_missing(&error) && flags.kubeconfig.is_none() && flags.context.is_none() => {
            // With an address nothing else is needed.
            if flags.server.is_some() {
                of_file(Kubeconfig::default(), flags).await?
            } else {
                Config::incluster().map_err(|_| Error::of_kubeconfig(error))?
            }
        }
        Err(error) => return Err(Error::of_kubeconfig(error)),
    };
    overrides::of_user(&mut config.auth_info, flags)?;
    Ok(config)
}

/// Reads the file given, else those of the variable, else the one in the home directory. Of several files in the
/// variable, those that do not exist are left out.
fn read(given: Option<&Path>, variable: Option<&OsStr>) -> Result<Kubeconfig, KubeconfigError> {
    if let Some(path) = given {
        return Kubeconfig::read_from(path);
    }
    let (mut found, mut missing) = (None::<Kubeconfig>, None);
    for path in variable.into_iter().flat_map(std::env::split_paths).filter(|path| !path.as_os_str().is_empty()) {
        match (Kubeconfig::read_from(&path), found.take()) {
            (Ok(next), None) => found = Some(next),
            (Ok(next), Some(first)) => found = Some(first.merge(next)?),
            (Err(error), before) if is_missing(&error) => {
                found = before;
                missing = missing.or(Some(error));
            }
            (Err(error), _) => return Err(error),
        }
    }
    match (found, missing) {
        (Some(kubeconfig), _) => Ok(kubeconfig),
        (None, Some(error)) => Err(error),
        (None, None) => Kubeconfig::read(),
    }
}

async fn of_file(kubeconfig: Kubeconfig, flags: &Connection) -> Result<Config, Error> {
    let resolved = resolve(kubeconfig, flags)?;
    Config::from_custom_kubeconfig(resolved, &KubeConfigOptions::default()).await.map_err(Error::of_kubeconfig)
}

/// The kubeconfig with one context that holds what the flags choose and change.
fn resolve(mut kubeconfig: Kubeconfig, flags: &Connection) -> Result<Kubeconfig, Error> {
    let context = context(&kubeconfig, flags)?;
    let known = kubeconfig.clusters.iter().find(|named| named.name == context.cluster);
    let mut cluster = match known.and_then(|named| named.cluster.clone()) {
        Some(cluster) => cluster,
        None if flags.server.is_some() => Cluster::default(),
        None => return Err(Error::of_kubeconfig(KubeconfigError::LoadClusterOfContext(context.cluster))),
    };
    overrides::of_cluster(&mut cluster, flags);
    let cluster = NamedCluster { name: RESOLVED.to_owned(), cluster: Some(cluster), ..NamedCluster::default() };
    let context = Context { cluster: RESOLVED.to_owned(), ..context };
    let context = NamedContext { name: RESOLVED.to_owned(), context: Some(context), ..NamedContext::default() };
    kubeconfig.clusters = vec![cluster];
    kubeconfig.contexts = vec![context];
    kubeconfig.current_context = Some(RESOLVED.to_owned());
    Ok(kubeconfig)
}

/// The context asked for, or the current one, with the cluster and the user asked for.
fn context(kubeconfig: &Kubeconfig, flags: &Connection) -> Result<Context, Error> {
    let names = || kubeconfig.contexts.iter().map(|context| context.name.clone()).collect::<Vec<_>>();
    let wanted = [&flags.context, &kubeconfig.current_context];
    let wanted = wanted.into_iter().flatten().find(|name| !name.is_empty());
    let mut context = match wanted {
        Some(name) => kubeconfig
            .contexts
            .iter()
            .find(|context| context.name == *name)
            .map(|named| named.context.clone().unwrap_or_default())
            .ok_or_else(|| Error::NoSuchEntry { what: "context", name: name.clone(), known: names() })?,
        // Whoever names cluster or server needs no context.
        None if flags.cluster.is_some() || flags.server.is_some() => Context::default(),
        None => return Err(Error::NoContext { contexts: names() }),
    };
    if let Some(name) = &flags.cluster {
        let known = kubeconfig.clusters.iter().map(|cluster| cluster.name.clone());
        context.cluster = chosen("cluster", name, known.collect())?;
    }
    if let Some(name) = &flags.user {
        let known = kubeconfig.auth_infos.iter().map(|user| user.name.clone());
        context.user = Some(chosen("user", name, known.collect())?);
    }
    Ok(context)
}

fn chosen(what: &'static str, name: &str, known: Vec<String>) -> Result<String, Error> {
    if known.iter().any(|known| known == name) {
        return Ok(name.to_owned());
    }
    Err(Error::NoSuchEntry { what, name: name.to_owned(), known })
}

fn is_missing(error: &KubeconfigError) -> bool {
    match error {
        KubeconfigError::FindPath => true,
        KubeconfigError::ReadConfig(source, _) => source.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::cli::Cli;

    /// Two clusters, two users, and a context for each pair.
    fn kubeconfig() -> Kubeconfig {
        let cluster = |name: &str| json!({"name": name, "cluster": {"server": format!("https://{name}"), "certificate-authority-data": "YQ=="}});
        let context = |name: &str, user: &str| json!({"name": name, "context": {"cluster": name, "user": user, "namespace": format!("of-{name}")}});
        serde_json::from_value(json!({
            "current-context": "a",
            "clusters": [cluster("a"), cluster("b")],
            "users": [{"name": "ann", "user": {"token": "t"}}, {"name": "bob", "user": {}}],
            "contexts": [context("a", "ann"), context("b", "bob")],
        }))
        .unwrap()
    }

    /// Flags of the command line.
    fn flags(words: &[&str]) -> Connection {
        let words = ["kubectl-wva", "status"].iter().chain(words);
        Cli::try_parse_from(words).unwrap().connection
    }

    #[rstest]
    #[case::current(&[], "https://a", "ann", "of-a")]
    #[case::context(&["--context", "b"], "https://b", "bob", "of-b")]
    #[case::cluster(&["--cluster", "b"], "https://b", "ann", "of-a")]
    #[case::user(&["--user", "bob"], "https://a", "bob", "of-a")]
    #[case::server(&["--server", "https://c"], "https://c", "ann", "of-a")]
    fn the_flags_choose_before_the_kubeconfig_does(
        #[case] words: &[&str],
        #[case] server: &str,
        #[case] user: &str,
        #[case] namespace: &str,
    ) {
        let resolved = resolve(kubeconfig(), &flags(words)).unwrap();
        let context = resolved.contexts[0].context.clone().unwrap();
        let found = resolved.clusters[0].cluster.clone().unwrap().server.unwrap();
        let seen = (found, context.user.unwrap(), context.namespace.unwrap());
        assert_eq!(seen, (server.to_owned(), user.to_owned(), namespace.to_owned()));
    }

    #[rstest]
    #[case::context(&["--context", "c"], "the kubeconfig has no context \"c\"", "choose one with --context: a, b")]
    #[case::cluster(&["--cluster", "c"], "the kubeconfig has no cluster \"c\"", "choose one with --cluster: a, b")]
    #[case::user(&["--user", "c"], "the kubeconfig has no user \"c\"", "choose one with --user: ann, bob")]
    fn what_the_kubeconfig_lacks_is_named_with_what_it_has(
        #[case] words: &[&str],
        #[case] says: &str,
        #[case] hint: &str,
    ) {
        let error = resolve(kubeconfig(), &flags(words)).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.hint().as_deref()), (says, Some(hint)));
    }

    #[test]
    fn an_address_needs_neither_context_nor_kubeconfig() {
        let resolved = resolve(Kubeconfig::default(), &flags(&["--server", "localhost:8001"])).unwrap();
        assert_eq!(resolved.clusters[0].cluster.clone().unwrap().server.as_deref(), Some("http://localhost:8001"));
    }

    #[test]
    fn of_several_files_in_the_variable_the_missing_ones_are_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config");
        std::fs::write(&file, serde_json::to_string(&kubeconfig()).unwrap()).unwrap();
        let gone = directory.path().join("gone");
        let both = std::env::join_paths([&gone, &file]).unwrap();
        assert_eq!(read(None, Some(&both)).unwrap().current_context.as_deref(), Some("a"));
        assert!(is_missing(&read(None, Some(gone.as_os_str())).unwrap_err()));
        assert!(is_missing(&read(Some(&gone), Some(&both)).unwrap_err()), "the file asked for must be there");
    }
}
