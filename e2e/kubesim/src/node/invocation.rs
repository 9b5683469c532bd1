//! What a container of a manifest is as a process: program, arguments, environment and mounts.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use k8s_openapi::api::core::v1::Container;

use super::{
    Agent,
    account::{self, ApiAddress},
    env,
    expand::expand,
    images::Program,
    launch::Launch,
    mount_namespace::{self, Mount, View},
    paths::Mounts,
    pod_context::PodContext,
    sources::{self, Sources},
    volumes,
};

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Invocation {
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) directory: PathBuf,
    /// What the process sees at places of its own; `None` where the agent may not mount.
    pub(super) mounts: Option<Vec<Mount>>,
    /// Mount paths where nothing is mounted, and what is to be read instead.
    pub(super) translated: Mounts,
    /// Whether its standard input is open for clients that attach.
    pub(super) stdin: bool,
    /// Whether the first of them closes it.
    pub(super) stdin_once: bool,
    /// Whether it has a terminal.
    pub(super) tty: bool,
}

impl Invocation {
    /// The address of the pod.
    pub(super) fn pod_ip(&self) -> Option<Ipv4Addr> {
        self.env.get(BIND_HOST)?.parse().ok()
    }

    /// What to start. `program` is where the program is on this machine.
    pub(super) fn launch(&self, program: PathBuf) -> Launch<'_> {
        let view = |mounts: &Vec<Mount>| View::New { mounts: mounts.clone(), stage: self.directory.join("mounts") };
        Launch {
            program,
            args: &self.args,
            env: &self.env,
            directory: &self.directory,
            view: self.mounts.as_ref().map(view),
            stdin: self.stdin,
            tty: self.tty,
        }
    }
}

/// Reads what the container refers to and puts it together; an error is one of its configuration.
pub(super) async fn prepare(
    agent: &Agent,
    pod: &PodContext,
    container: &Container,
    program: &Program,
    directory: PathBuf,
) -> Result<Invocation, String> {
    if let Some(problem) = root_by_mistake(pod, container) {
        return Err(problem);
    }
    let namespace = pod.namespace();
    let sources = Sources::read(&agent.client, &namespace, sources::of_env(container)).await;
    let sources = sources.map_err(|error| error.to_string())?;
    let account = pod.account_directory();
    let may_mount = mount_namespace::is_permitted();
    // In a cluster whose authority is not known there is no certificate beside the token.
    let kubeconfig = (!may_mount || agent.api.ca.is_none()).then(|| account::kubeconfig_path(&account));
    let base = base_env(&pod.name(), pod.ip(), &directory, kubeconfig.as_deref(), &agent.api);
    let env = env::resolve(container, &pod.facts(agent), &sources, base);
    let mut env = env.map_err(|error| error.to_string())?;
    let lookup = env.clone();
    let volumes = volumes::mounts(container, pod.places());
    let mut translated = Mounts::default();
    let mut mounts = Vec::new();
    for mount in volumes {
        if may_mount && !hides(&mount.target, &program.path, &directory) {
            mounts.push(mount);
        } else {
            translated.add(&mount.target.to_string_lossy(), mount.source);
        }
    }
    if !may_mount {
        translated.add(volumes::SERVICE_ACCOUNT_PATH, account);
    }
    for value in env.values_mut() {
        *value = translated.translate(value);
    }
    let text = |text: &String| translated.translate(&expand(text, |name| lookup.get(name).map(String::as_str)));
    // The image says what runs, so the first word of `command` has no meaning here.
    let command = container.command.iter().flatten().skip(1).map(text);
    let args = container.args.iter().flatten().map(text);
    let args = program.args.iter().cloned().chain(command).chain(args).collect();
    Ok(Invocation {
        program: program.path.clone(),
        args,
        env,
        directory,
        mounts: may_mount.then_some(mounts),
        translated,
        stdin: container.stdin == Some(true),
        stdin_once: container.stdin_once == Some(true),
        tty: container.tty == Some(true),
    })
}

/// What the kubelet refuses before it asks for a container: a user that the same manifest rules out. What user an image
/// names is not known here.
fn root_by_mistake(pod: &PodContext, container: &Container) -> Option<String> {
    let of_pod = pod.spec().and_then(|spec| spec.security_context.as_ref());
    let of_container = container.security_context.as_ref();
    let must_not = of_container
        .and_then(|context| context.run_as_non_root)
        .or_else(|| of_pod.and_then(|context| context.run_as_non_root));
    let user =
        of_container.and_then(|context| context.run_as_user).or_else(|| of_pod.and_then(|context| context.run_as_user));
    (must_not == Some(true) && user == Some(0)).then(|| {
        format!(
            "container's runAsUser breaks non-root policy (pod: \"{}_{}({})\", container: {})",
            pod.name(),
            pod.namespace(),
            pod.uid(),
            container.name
        )
    })
}

/// Whether a mount at `target` would take the program, its directory or the machine's own programs out of sight: an
/// image would bring them along.
fn hides(target: &Path, program: &Path, directory: &Path) -> bool {
    let needed = ["/bin", "/dev", "/lib", "/lib64", "/proc", "/sys", "/usr/bin", "/usr/lib"].map(Path::new);
    let program = std::path::absolute(program).unwrap_or_else(|_| program.to_owned());
    needed.into_iter().chain([program.as_path(), directory]).any(|path| path.starts_with(target))
}

/// The address a pod's processes are asked to listen on.
const BIND_HOST: &str = "BIND_HOST";

/// What every container gets beyond its manifest. Where the API server is, is said as by the kubelet, which makes
/// variables of the Service `kubernetes`; a kubeconfig is for processes that do not see the service account.
fn base_env(
    pod_name: &str,
    ip: Ipv4Addr,
    home: &Path,
    kubeconfig: Option<&Path>,
    api: &ApiAddress,
) -> BTreeMap<String, String> {
    let authority = api.url.trim_start_matches("https://").trim_end_matches('/');
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "443"));
    let mut env: BTreeMap<String, String> = [
        ("KUBERNETES_SERVICE_HOST", host.to_owned()),
        ("KUBERNETES_SERVICE_PORT", port.to_owned()),
        ("KUBERNETES_SERVICE_PORT_HTTPS", port.to_owned()),
        ("HOSTNAME", pod_name.to_owned()),
        // An image has a home of its own: nothing of the machine's user is found by accident.
        ("HOME", home.to_string_lossy().into_owned()),
        (BIND_HOST, ip.to_string()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    if let Some(kubeconfig) = kubeconfig {
        env.insert("KUBECONFIG".to_owned(), kubeconfig.to_string_lossy().into_owned());
    }
    env
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::a_place_of_its_own("/etc/app", false)]
    #[case::the_work_directory("/tmp", true)]
    #[case::the_programs_directory("/opt/server", true)]
    #[case::the_shells_directory("/usr", true)]
    #[case::a_sibling("/opt/server/config", false)]
    fn a_mount_that_hides_the_program_is_not_made(#[case] target: &str, #[case] hidden: bool) {
        let (program, directory) = (Path::new("/opt/server/bin/server"), Path::new("/tmp/kubesim/pods/a"));
        assert_eq!(hides(Path::new(target), program, directory), hidden);
    }

    #[test]
    fn the_api_server_is_named_as_the_kubelet_names_it() {
        let api = ApiAddress { url: "https://127.20.0.1:6443".to_owned(), ca: None };
        let env = base_env("web-0", Ipv4Addr::new(127, 20, 1, 0), Path::new("/w"), None, &api);
        assert_eq!(env["KUBERNETES_SERVICE_HOST"], "127.20.0.1");
        assert_eq!(env["KUBERNETES_SERVICE_PORT"], "6443");
        assert!(!env.contains_key("KUBECONFIG"));
    }
}
