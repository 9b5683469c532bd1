//! The Pod Security Standards, one function a rule: `None`, or what is forbidden and by which part of the pod.

use std::collections::BTreeSet;

use serde_json::Value;

/// How much is asked of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Privileged,
    Baseline,
    Restricted,
}

impl Level {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "privileged" => Some(Self::Privileged),
            "baseline" => Some(Self::Baseline),
            "restricted" => Some(Self::Restricted),
            _ => None,
        }
    }
}

type Check = fn(&Value) -> Option<String>;

/// A rule, and the minor versions of the standards in which it stands.
struct Rule {
    from: u32,
    until: u32,
    check: Check,
}

const fn always(check: Check) -> Rule {
    since(0, check)
}

const fn since(from: u32, check: Check) -> Rule {
    between(from, u32::MAX, check)
}

const fn between(from: u32, until: u32, check: Check) -> Rule {
    Rule { from, until, check }
}

/// Of `baseline`, and also of `restricted`.
const BASELINE: &[Rule] = &[
    always(app_armor),
    always(host_namespaces),
    always(host_ports),
    since(34, host_probes),
    always(privileged),
    always(proc_mount),
    since(31, se_linux),
    between(0, 31, |spec| forbidden_se_linux(spec, &SE_LINUX_TYPES[..4])),
    since(32, sysctls),
    between(29, 32, |spec| forbidden_sysctls(spec, &SAFE_SYSCTLS[..10])),
    between(27, 29, |spec| forbidden_sysctls(spec, &SAFE_SYSCTLS[..6])),
    between(0, 27, |spec| forbidden_sysctls(spec, &SAFE_SYSCTLS[..5])),
    always(windows_host_process),
];

/// Of `baseline` where `restricted` has one that asks for more.
const BASELINE_ONLY: &[Rule] = &[always(added_capabilities), always(host_paths), since(19, unconfined_seccomp)];

const RESTRICTED: &[Rule] = &[
    since(8, privilege_escalation),
    since(22, capabilities),
    between(0, 22, added_capabilities),
    always(volume_types),
    always(run_as_non_root),
    since(23, run_as_root),
    since(19, seccomp),
];

/// What the level has against a pod, in its order and as of a minor version of Kubernetes.
pub(super) fn violations(level: Level, minor: u32, spec: &Value) -> Vec<String> {
    let rules: &[&[Rule]] = match level {
        Level::Privileged => &[],
        Level::Baseline => &[BASELINE, BASELINE_ONLY],
        Level::Restricted => &[BASELINE, RESTRICTED],
    };
    let stand = rules.iter().copied().flatten().filter(|rule| (rule.from..rule.until).contains(&minor));
    stand.filter_map(|rule| (rule.check)(spec)).collect()
}

/// All containers, as the real one visits them.
fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    lists.into_iter().flat_map(|list| spec[list].as_array().into_iter().flatten())
}

/// Names of the containers that are `bad`.
fn named(spec: &Value, bad: impl Fn(&Value) -> bool) -> Vec<&str> {
    containers(spec).filter(|container| bad(container)).filter_map(|container| container["name"].as_str()).collect()
}

fn quoted<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    texts.into_iter().map(|text| format!("{:?}", text.as_ref())).collect::<Vec<_>>().join(", ")
}

const fn plural<'a>(one: &'a str, many: &'a str, count: usize) -> &'a str {
    if count == 1 { one } else { many }
}

/// `container "a"` or `containers "a", "b"`.
fn listed(names: &[&str]) -> String {
    format!("{} {}", plural("container", "containers", names.len()), quoted(names))
}

/// `pod`, containers, or both: whoever sets what is forbidden.
fn setters(pod: bool, names: &[&str]) -> Option<String> {
    let containers = (!names.is_empty()).then(|| listed(names));
    let setters: Vec<String> = pod.then(|| "pod".to_owned()).into_iter().chain(containers).collect();
    (!setters.is_empty()).then(|| setters.join(" and "))
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn app_armor(spec: &Value) -> Option<String> {
    let unconfined = |context: &Value| context["appArmorProfile"]["type"] == "Unconfined";
    let names = named(spec, |container| unconfined(&container["securityContext"]));
    let setters = setters(unconfined(&spec["securityContext"]), &names)?;
    Some(format!(
        "forbidden AppArmor profile ({setters} must not set securityContext.appArmorProfile.type to \"Unconfined\")"
    ))
}

fn host_namespaces(spec: &Value) -> Option<String> {
    let fields = ["hostNetwork", "hostPID", "hostIPC"].into_iter().filter(|field| spec[*field] == true);
    let shared: Vec<String> = fields.map(|field| format!("{field}=true")).collect();
    (!shared.is_empty()).then(|| format!("host namespaces ({})", shared.join(", ")))
}

fn host_ports(spec: &Value) -> Option<String> {
    let of = |container: &Value| -> Vec<u64> {
        let ports = container["ports"].as_array().into_iter().flatten();
        ports.filter_map(|port| port["hostPort"].as_u64()).filter(|port| *port != 0).collect()
    };
    let names = named(spec, |container| !of(container).is_empty());
    let ports: BTreeSet<String> = containers(spec).flat_map(of).map(|port| port.to_string()).collect();
    (!names.is_empty()).then(|| {
        format!(
            "hostPort ({} {} {} {})",
            listed(&names),
            plural("uses", "use", names.len()),
            plural("hostPort", "hostPorts", ports.len()),
            ports.into_iter().collect::<Vec<_>>().join(", ")
        )
    })
}

fn host_probes(spec: &Value) -> Option<String> {
    let handlers = |container: &Value| -> Vec<String> {
        let probes = ["livenessProbe", "readinessProbe", "startupProbe"].map(|probe| container[probe].clone());
        let hooks = ["postStart", "preStop"].map(|hook| container["lifecycle"][hook].clone());
        let handlers = probes.into_iter().chain(hooks);
        let hosts = handlers.flat_map(|handler| ["httpGet", "tcpSocket"].map(|kind| handler[kind]["host"].clone()));
        hosts.filter_map(|host| host.as_str().filter(|host| !host.is_empty()).map(ToOwned::to_owned)).collect()
    };
    let names = named(spec, |container| !handlers(container).is_empty());
    let hosts: BTreeSet<String> = containers(spec).flat_map(handlers).collect();
    (!names.is_empty()).then(|| {
        format!(
            "probe or lifecycle host ({} {} probe or lifecycle {} {})",
            listed(&names),
            plural("uses", "use", names.len()),
            plural("host", "hosts", hosts.len()),
            quoted(&hosts)
        )
    })
}

fn privileged(spec: &Value) -> Option<String> {
    let names = named(spec, |container| container["securityContext"]["privileged"] == true);
    (!names.is_empty()).then(|| format!("privileged ({} must not set securityContext.privileged=true)", listed(&names)))
}

fn proc_mount(spec: &Value) -> Option<String> {
    let mount = |container: &Value| container["securityContext"]["procMount"].as_str().map(ToOwned::to_owned);
    let bad = |mount: &String| mount != "Default";
    let names = named(spec, |container| mount(container).as_ref().is_some_and(bad));
    let kinds: BTreeSet<String> = containers(spec).filter_map(mount).filter(bad).collect();
    (!names.is_empty())
        .then(|| format!("procMount ({} must not set securityContext.procMount to {})", listed(&names), quoted(&kinds)))
}

/// The last of them came with 1.31.
const SE_LINUX_TYPES: [&str; 5] = ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

fn se_linux(spec: &Value) -> Option<String> {
    forbidden_se_linux(spec, &SE_LINUX_TYPES)
}

fn forbidden_se_linux(spec: &Value, allowed: &[&str]) -> Option<String> {
    let text = |context: &Value, field: &str| context["seLinuxOptions"][field].as_str().unwrap_or_default().to_owned();
    let bad = |context: &Value| {
        !allowed.contains(&text(context, "type").as_str())
            || !text(context, "user").is_empty()
            || !text(context, "role").is_empty()
    };
    let names = named(spec, |container| bad(&container["securityContext"]));
    let setters = setters(bad(&spec["securityContext"]), &names)?;
    let contexts = || {
        std::iter::once(&spec["securityContext"]).chain(containers(spec).map(|container| &container["securityContext"]))
    };
    let types: BTreeSet<String> =
        contexts().map(|context| text(context, "type")).filter(|kind| !allowed.contains(&kind.as_str())).collect();
    let mut problems = Vec::new();
    if !types.is_empty() {
        problems.push(format!("{} {}", plural("type", "types", types.len()), quoted(&types)));
    }
    for field in ["user", "role"] {
        if contexts().any(|context| !text(context, field).is_empty()) {
            problems.push(format!("{field} may not be set"));
        }
    }
    Some(format!("seLinuxOptions ({setters} set forbidden securityContext.seLinuxOptions: {})", problems.join("; ")))
}

/// In the order in which they were found to be safe: with 1.0, 1.27, 1.29 and 1.32.
const SAFE_SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
];

fn sysctls(spec: &Value) -> Option<String> {
    forbidden_sysctls(spec, &SAFE_SYSCTLS)
}

fn forbidden_sysctls(spec: &Value, safe: &[&str]) -> Option<String> {
    let set = spec["securityContext"]["sysctls"].as_array().into_iter().flatten();
    let names = set.filter_map(|sysctl| sysctl["name"].as_str());
    let bad: Vec<&str> = names.filter(|name| !safe.contains(name)).collect();
    (!bad.is_empty()).then(|| format!("forbidden sysctls ({})", bad.join(", ")))
}

fn windows_host_process(spec: &Value) -> Option<String> {
    let set = |context: &Value| context["windowsOptions"]["hostProcess"] == true;
    let names = named(spec, |container| set(&container["securityContext"]));
    let setters = setters(set(&spec["securityContext"]), &names)?;
    Some(format!("hostProcess ({setters} must not set securityContext.windowsOptions.hostProcess=true)"))
}

/// Capabilities that containers have anyhow.
const DEFAULT_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// `container "c" must not include "NET_ADMIN" in securityContext.capabilities.add`, for what is not `allowed`.
fn forbidden_additions(spec: &Value, allowed: &[&str]) -> Option<String> {
    let added = |container: &Value| -> Vec<String> {
        let added = strings(&container["securityContext"]["capabilities"]["add"]);
        added.filter(|name| !allowed.contains(name)).map(ToOwned::to_owned).collect()
    };
    let names = named(spec, |container| !added(container).is_empty());
    let all: BTreeSet<String> = containers(spec).flat_map(added).collect();
    (!names.is_empty())
        .then(|| format!("{} must not include {} in securityContext.capabilities.add", listed(&names), quoted(&all)))
}

fn added_capabilities(spec: &Value) -> Option<String> {
    forbidden_additions(spec, &DEFAULT_CAPABILITIES).map(|problem| format!("non-default capabilities ({problem})"))
}

fn host_paths(spec: &Value) -> Option<String> {
    let volumes = spec["volumes"].as_array().into_iter().flatten();
    let bad: Vec<&str> = volumes
        .filter(|volume| volume.get("hostPath").is_some())
        .filter_map(|volume| volume["name"].as_str())
        .collect();
    (!bad.is_empty()).then(|| format!("hostPath volumes ({} {})", plural("volume", "volumes", bad.len()), quoted(&bad)))
}

fn unconfined_seccomp(spec: &Value) -> Option<String> {
    bad_seccomp(spec, |kind| kind == "Unconfined")
}

/// Who sets a profile that is `bad`.
fn bad_seccomp(spec: &Value, bad: impl Fn(&str) -> bool) -> Option<String> {
    let kind = |context: &Value| context["seccompProfile"]["type"].as_str().map(ToOwned::to_owned);
    let is_bad = |context: &Value| kind(context).is_some_and(|kind| bad(&kind));
    let names = named(spec, |container| is_bad(&container["securityContext"]));
    let setters = setters(is_bad(&spec["securityContext"]), &names)?;
    let contexts = std::iter::once(&spec["securityContext"])
        .chain(containers(spec).map(|container| &container["securityContext"]));
    let kinds: BTreeSet<String> = contexts.filter_map(kind).filter(|kind| bad(kind)).collect();
    Some(format!("seccompProfile ({setters} must not set securityContext.seccompProfile.type to {})", quoted(&kinds)))
}

fn privilege_escalation(spec: &Value) -> Option<String> {
    let names = named(spec, |container| container["securityContext"]["allowPrivilegeEscalation"] != false);
    (!names.is_empty()).then(|| {
        format!(
            "allowPrivilegeEscalation != false ({} must set securityContext.allowPrivilegeEscalation=false)",
            listed(&names)
        )
    })
}

fn capabilities(spec: &Value) -> Option<String> {
    let keeps = |container: &Value| {
        !strings(&container["securityContext"]["capabilities"]["drop"]).any(|capability| capability == "ALL")
    };
    let names = named(spec, keeps);
    let missing =
        (!names.is_empty()).then(|| format!("{} must set securityContext.capabilities.drop=[\"ALL\"]", listed(&names)));
    let problems: Vec<String> = missing.into_iter().chain(forbidden_additions(spec, &["NET_BIND_SERVICE"])).collect();
    (!problems.is_empty()).then(|| format!("unrestricted capabilities ({})", problems.join("; ")))
}

fn volume_types(spec: &Value) -> Option<String> {
    const ALLOWED: [&str; 9] = [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ];
    let (mut names, mut types) = (Vec::new(), BTreeSet::new());
    for volume in spec["volumes"].as_array().into_iter().flatten() {
        let kinds = volume.as_object().into_iter().flatten().map(|(field, _)| field.as_str());
        if let Some(kind) = kinds.filter(|field| *field != "name").find(|field| !ALLOWED.contains(field)) {
            names.push(volume["name"].as_str().unwrap_or_default());
            types.insert(kind);
        }
    }
    (!names.is_empty()).then(|| {
        format!(
            "restricted volume types ({} {} {} restricted volume {} {})",
            plural("volume", "volumes", names.len()),
            quoted(&names),
            plural("uses", "use", names.len()),
            plural("type", "types", types.len()),
            quoted(&types)
        )
    })
}

fn run_as_non_root(spec: &Value) -> Option<String> {
    let says = |context: &Value| context["runAsNonRoot"].as_bool();
    let of_pod = says(&spec["securityContext"]);
    let names = named(spec, |container| says(&container["securityContext"]) == Some(false));
    if let Some(setters) = setters(of_pod == Some(false), &names) {
        return Some(format!("runAsNonRoot != true ({setters} must not set securityContext.runAsNonRoot=false)"));
    }
    let silent = named(spec, |container| says(&container["securityContext"]).is_none() && of_pod != Some(true));
    (!silent.is_empty()).then(|| {
        format!("runAsNonRoot != true (pod or {} must set securityContext.runAsNonRoot=true)", listed(&silent))
    })
}

fn run_as_root(spec: &Value) -> Option<String> {
    let root = |context: &Value| context["runAsUser"] == 0;
    let names = named(spec, |container| root(&container["securityContext"]));
    let setters = setters(root(&spec["securityContext"]), &names)?;
    Some(format!("runAsUser=0 ({setters} must not set runAsUser=0)"))
}

fn seccomp(spec: &Value) -> Option<String> {
    let allowed = |kind: &str| matches!(kind, "RuntimeDefault" | "Localhost");
    if let Some(problem) = bad_seccomp(spec, |kind| !allowed(kind)) {
        return Some(problem);
    }
    let set = |context: &Value| context["seccompProfile"]["type"].is_string();
    let silent = named(spec, |container| !set(&container["securityContext"]) && !set(&spec["securityContext"]));
    (!silent.is_empty()).then(|| {
        format!(
            "seccompProfile (pod or {} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")",
            listed(&silent)
        )
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const LATEST: u32 = u32::MAX - 1;

    /// A pod that `restricted` has nothing against, with `extra` in it.
    #[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
    fn pod(extra: Value) -> Value {
        let context = json!({
            "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": true,
            "seccompProfile": {"type": "RuntimeDefault"},
        });
        let mut spec = json!({"containers": [{"name": "c", "securityContext": context}]});
        json_patch::merge(&mut spec, &extra);
        spec
    }

    #[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
    fn with(context: Value) -> Value {
        let mut spec = pod(json!({}));
        json_patch::merge(&mut spec["containers"][0]["securityContext"], &context);
        spec
    }

    #[rstest]
    #[case::sound(pod(json!({})), &[])]
    #[case::host_network(pod(json!({"hostNetwork": true, "hostPID": true})), &["host namespaces (hostNetwork=true, hostPID=true)"])]
    #[case::privileged(with(json!({"privileged": true})), &["privileged (container \"c\" must not set securityContext.privileged=true)"])]
    #[case::host_path(pod(json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]})), &["hostPath volumes (volume \"v\")"])]
    #[case::capability(with(json!({"capabilities": {"add": ["NET_ADMIN", "CHOWN"]}})),
        &["non-default capabilities (container \"c\" must not include \"NET_ADMIN\" in securityContext.capabilities.add)"])]
    #[case::host_port(pod(json!({"initContainers": [{"name": "i", "ports": [{"hostPort": 80}]}]})), &["hostPort (container \"i\" uses hostPort 80)"])]
    #[case::sysctl(pod(json!({"securityContext": {"sysctls": [{"name": "kernel.msgmax"}, {"name": "net.ipv4.tcp_rmem"}]}})),
        &["forbidden sysctls (kernel.msgmax)"])]
    #[case::seccomp(pod(json!({"securityContext": {"seccompProfile": {"type": "Unconfined"}}})),
        &["seccompProfile (pod must not set securityContext.seccompProfile.type to \"Unconfined\")"])]
    #[case::se_linux(with(json!({"seLinuxOptions": {"type": "spc_t", "user": "u"}})),
        &["seLinuxOptions (container \"c\" set forbidden securityContext.seLinuxOptions: type \"spc_t\"; user may not be set)"])]
    fn baseline_rules_out_what_reaches_the_host(#[case] spec: Value, #[case] expected: &[&str]) {
        assert_eq!(violations(Level::Baseline, LATEST, &spec), expected);
        assert!(violations(Level::Privileged, LATEST, &spec).is_empty());
    }

    #[rstest]
    #[case::sound(pod(json!({})), &[])]
    #[case::nothing_said(json!({"containers": [{"name": "c"}]}), &[
        "allowPrivilegeEscalation != false (container \"c\" must set securityContext.allowPrivilegeEscalation=false)",
        "unrestricted capabilities (container \"c\" must set securityContext.capabilities.drop=[\"ALL\"])",
        "runAsNonRoot != true (pod or container \"c\" must set securityContext.runAsNonRoot=true)",
        "seccompProfile (pod or container \"c\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")",
    ])]
    #[case::root(with(json!({"runAsUser": 0, "runAsNonRoot": false})), &[
        "runAsNonRoot != true (container \"c\" must not set securityContext.runAsNonRoot=false)",
        "runAsUser=0 (container \"c\" must not set runAsUser=0)",
    ])]
    #[case::volume_types(pod(json!({"volumes": [{"name": "a", "nfs": {}}, {"name": "b", "hostPath": {}}, {"name": "d", "secret": {}}]})),
        &["restricted volume types (volumes \"a\", \"b\" use restricted volume types \"hostPath\", \"nfs\")"])]
    #[case::the_pod_speaks_for_its_containers(json!({
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "Localhost"}},
        "containers": [{"name": "c", "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}],
    }), &[])]
    fn restricted_asks_for_what_hardens_a_pod(#[case] spec: Value, #[case] expected: &[&str]) {
        assert_eq!(violations(Level::Restricted, LATEST, &spec), expected);
    }

    #[rstest]
    #[case::probe_of_a_host(Level::Baseline, 33, 34,
        pod(json!({"containers": [{"name": "c", "livenessProbe": {"httpGet": {"host": "example.com"}}}]})))]
    #[case::run_as_root(Level::Restricted, 22, 23, with(json!({"runAsUser": 0})))]
    #[case::seccomp(Level::Baseline, 18, 19, pod(json!({"securityContext": {"seccompProfile": {"type": "Unconfined"}}})))]
    fn a_rule_holds_from_the_version_on_that_brought_it(
        #[case] level: Level,
        #[case] before: u32,
        #[case] from: u32,
        #[case] spec: Value,
    ) {
        assert_eq!((violations(level, before, &spec).len(), violations(level, from, &spec).len()), (0, 1));
    }

    #[rstest]
    #[case::reserved_ports("net.ipv4.ip_local_reserved_ports", 27)]
    #[case::keepalive("net.ipv4.tcp_keepalive_time", 29)]
    #[case::buffers("net.ipv4.tcp_wmem", 32)]
    fn what_was_found_to_be_safe_later_is_forbidden_before(#[case] name: &str, #[case] from: u32) {
        let spec = pod(json!({"securityContext": {"sysctls": [{"name": name}]}}));
        assert_eq!(violations(Level::Baseline, from - 1, &spec), [format!("forbidden sysctls ({name})")]);
        assert!(violations(Level::Baseline, from, &spec).is_empty());
    }
}
