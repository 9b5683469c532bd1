//! What is in a cluster, by name: what an install brought, and whether its removal left anything.

use std::collections::BTreeSet;

use chart_render::check::Installed;

use crate::kubectl::{Error, Kubectl};

/// The kinds that the project's chart installs, those that come of them, and the Secrets helm keeps its releases in.
/// Not Leases, which controllers make themselves and which outlive them.
const KINDS: &str = "deployments,replicasets,pods,services,configmaps,secrets,serviceaccounts,roles,rolebindings,\
                     clusterroles,clusterrolebindings,networkpolicies,poddisruptionbudgets,servicemonitors,\
                     prometheusrules,scaledobjects,horizontalpodautoscalers,variantautoscalings";

/// What every namespace has by itself, sooner or later.
const OF_NAMESPACES: [&str; 2] = ["ConfigMap kube-root-ca.crt", "ServiceAccount default"];

/// `Kind namespace/name` of every object; needs the chart's definition to be there.
///
/// # Errors
/// When kubectl fails.
pub async fn take(kubectl: &Kubectl) -> Result<BTreeSet<String>, Error> {
    let columns = "custom-columns=KIND:.kind,NAME:.metadata.name,NAMESPACE:.metadata.namespace";
    let table = kubectl.run(&["get", KINDS, "-A", "--no-headers", "-o", columns]).await?;
    let rows = table.lines().filter_map(|line| {
        let [kind, name, namespace] = line.split_whitespace().collect::<Vec<_>>()[..] else { return None };
        let own = !OF_NAMESPACES.contains(&format!("{kind} {name}").as_str());
        own.then(|| format!("{kind} {namespace}/{name}"))
    });
    Ok(rows.collect())
}

/// The releases of the project's chart that are in the cluster, for `chart_render::check`.
///
/// # Errors
/// When kubectl fails.
///
/// # Panics
/// When it prints no list of objects.
pub async fn releases(kubectl: &Kubectl) -> Result<Vec<Installed>, Error> {
    let selector = "app.kubernetes.io/name=workload-variant-autoscaler";
    let kinds = KINDS.replace("replicasets,pods,", "");
    let text = kubectl.run(&["get", &kinds, "-A", "-l", selector, "-o", "yaml"]).await?;
    Ok(Installed::read("cluster", &text).expect("kubectl prints a list of objects"))
}
