//! The roles and bindings every cluster has from the start, as far as somebody here asks for them.

use serde_json::{Value, json};

const READ: [&str; 3] = ["get", "list", "watch"];
const WRITE: [&str; 5] = ["create", "delete", "deletecollection", "patch", "update"];

/// Plural and object of each.
pub(super) fn objects() -> Vec<(&'static str, Value)> {
    let mut objects = vec![
        role("cluster-admin", None, &json!([anything(), any_path()])),
        role(
            "system:basic-user",
            None,
            &json!([
                rule(&["create"], "authorization.k8s.io", &["selfsubjectaccessreviews", "selfsubjectrulesreviews"]),
                rule(&["create"], "authentication.k8s.io", &["selfsubjectreviews"]),
            ]),
        ),
        role(
            "system:discovery",
            None,
            &json!([paths(&[
                "/api",
                "/api/*",
                "/apis",
                "/apis/*",
                "/healthz",
                "/livez",
                "/openapi",
                "/openapi/*",
                "/readyz",
                "/version",
                "/version/"
            ])]),
        ),
        role(
            "system:public-info-viewer",
            None,
            &json!([paths(&["/healthz", "/livez", "/readyz", "/version", "/version/"])]),
        ),
        role(
            "system:auth-delegator",
            None,
            &json!([
                rule(&["create"], "authentication.k8s.io", &["tokenreviews"]),
                rule(&["create"], "authorization.k8s.io", &["subjectaccessreviews"]),
            ]),
        ),
        aggregated("admin", None),
        aggregated("edit", Some("admin")),
        aggregated("view", Some("edit")),
        role("system:aggregate-to-view", Some("view"), &view()),
        role("system:aggregate-to-edit", Some("edit"), &edit()),
        role(
            "system:aggregate-to-admin",
            Some("admin"),
            &json!([
                rule(&[&READ[..], &WRITE[..]].concat(), super::GROUP, &["rolebindings", "roles"]),
                rule(&["create"], "authorization.k8s.io", &["localsubjectaccessreviews"]),
            ]),
        ),
    ];
    for (name, role, groups) in [
        ("cluster-admin", "cluster-admin", &["system:masters"][..]),
        ("system:basic-user", "system:basic-user", &["system:authenticated"]),
        ("system:discovery", "system:discovery", &["system:authenticated"]),
        ("system:public-info-viewer", "system:public-info-viewer", &["system:authenticated", "system:unauthenticated"]),
    ] {
        objects.push(binding(name, role, groups));
    }
    objects
}

fn view() -> Value {
    json!([
        rule(
            &READ,
            "",
            &[
                "configmaps",
                "endpoints",
                "events",
                "limitranges",
                "namespaces",
                "persistentvolumeclaims",
                "pods",
                "pods/log",
                "pods/status",
                "replicationcontrollers",
                "resourcequotas",
                "serviceaccounts",
                "services"
            ]
        ),
        rule(
            &READ,
            "apps",
            &[
                "controllerrevisions",
                "daemonsets",
                "deployments",
                "deployments/scale",
                "replicasets",
                "replicasets/scale",
                "statefulsets",
                "statefulsets/scale"
            ]
        ),
        rule(&READ, "autoscaling", &["horizontalpodautoscalers"]),
        rule(&READ, "batch", &["cronjobs", "jobs"]),
        rule(&READ, "discovery.k8s.io", &["endpointslices"]),
        rule(&READ, "networking.k8s.io", &["ingresses", "networkpolicies"]),
        rule(&READ, "policy", &["poddisruptionbudgets"]),
    ])
}

fn edit() -> Value {
    json!([
        rule(
            &WRITE,
            "",
            &[
                "configmaps",
                "events",
                "persistentvolumeclaims",
                "pods",
                "replicationcontrollers",
                "secrets",
                "serviceaccounts",
                "services"
            ]
        ),
        rule(&READ, "", &["pods/portforward", "pods/proxy", "secrets", "services/proxy"]),
        rule(
            &["create"],
            "",
            &["pods/eviction", "pods/portforward", "pods/proxy", "serviceaccounts/token", "services/proxy"]
        ),
        rule(&["impersonate"], "", &["serviceaccounts"]),
        rule(
            &WRITE,
            "apps",
            &[
                "daemonsets",
                "deployments",
                "deployments/scale",
                "replicasets",
                "replicasets/scale",
                "statefulsets",
                "statefulsets/scale"
            ]
        ),
        rule(&WRITE, "autoscaling", &["horizontalpodautoscalers"]),
        rule(&WRITE, "batch", &["cronjobs", "jobs"]),
        rule(&[&READ[..], &WRITE[..]].concat(), "coordination.k8s.io", &["leases"]),
        rule(&WRITE, "networking.k8s.io", &["ingresses", "networkpolicies"]),
        rule(&WRITE, "policy", &["poddisruptionbudgets"]),
    ])
}

fn rule(verbs: &[&str], group: &str, resources: &[&str]) -> Value {
    json!({"verbs": verbs, "apiGroups": [group], "resources": resources})
}

fn anything() -> Value {
    rule(&["*"], "*", &["*"])
}

fn any_path() -> Value {
    json!({"verbs": ["*"], "nonResourceURLs": ["*"]})
}

fn paths(paths: &[&str]) -> Value {
    json!({"verbs": ["get"], "nonResourceURLs": paths})
}

fn label(role: &str) -> String {
    format!("{}/aggregate-to-{role}", super::GROUP)
}

/// A role; `into` names the aggregated role it belongs to.
fn role(name: &str, into: Option<&str>, rules: &Value) -> (&'static str, Value) {
    let mut labels = json!({"kubernetes.io/bootstrapping": "rbac-defaults"});
    if let Some(into) = into {
        labels[label(into)] = json!("true");
    }
    let object = json!({
        "apiVersion": format!("{}/v1", super::GROUP),
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": labels},
        "rules": rules,
    });
    ("clusterroles", object)
}

fn aggregated(name: &str, into: Option<&str>) -> (&'static str, Value) {
    let (plural, mut object) = role(name, into, &json!([]));
    object["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {label(name): "true"}}]});
    (plural, object)
}

fn binding(name: &str, role: &str, groups: &[&str]) -> (&'static str, Value) {
    let subjects: Vec<Value> =
        groups.iter().map(|group| json!({"kind": "Group", "apiGroup": super::GROUP, "name": group})).collect();
    let object = json!({
        "apiVersion": format!("{}/v1", super::GROUP),
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}},
        "roleRef": {"apiGroup": super::GROUP, "kind": "ClusterRole", "name": role},
        "subjects": subjects,
    });
    ("clusterrolebindings", object)
}
