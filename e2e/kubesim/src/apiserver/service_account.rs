//! What a pod gets from its service account: a volume with its identity, and the secrets to pull images with.

use serde_json::{Value, json};

use super::create::suffix;
use super::state::{Call, ROOT_CA, State};
use super::store::{GroupResource, Key};

/// Where containers find who they are.
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// How the name of the volume with it begins.
const VOLUME: &str = "kube-api-access-";

/// A little more than an hour, by which the real server tells that nobody asked for a time.
const TOKEN_SECONDS: i64 = 3607;

impl State {
    /// Adds to a new pod what its account brings along.
    pub(super) fn mount_account(&self, call: &Call, account: &str, pod: &mut Value) {
        let namespace = &call.target.namespace;
        let accounts = GroupResource::new("", "serviceaccounts");
        let Some(account) = self.store.get(&accounts, &Key::new(namespace, account)) else { return };
        let spec = &mut pod["spec"];
        let secrets = account["imagePullSecrets"].as_array().filter(|secrets| !secrets.is_empty());
        if let Some(secrets) = secrets.filter(|_| spec["imagePullSecrets"].as_array().is_none_or(Vec::is_empty)) {
            spec["imagePullSecrets"] = json!(secrets);
        }
        let wanted = spec.get("automountServiceAccountToken").or_else(|| account.get("automountServiceAccountToken"));
        if wanted == Some(&Value::Bool(false)) {
            return;
        }
        let mut volumes = spec["volumes"].as_array().cloned().unwrap_or_default();
        let names = volumes.iter().filter_map(|volume| volume["name"].as_str());
        let known = names.into_iter().find(|name| name.starts_with(VOLUME)).map(ToOwned::to_owned);
        let name = known.clone().unwrap_or_else(|| format!("{VOLUME}{}", suffix(call.uid)));
        let mut mounted = false;
        for list in ["initContainers", "containers"] {
            for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                let mounts = container["volumeMounts"].as_array().cloned().unwrap_or_default();
                if mounts.iter().any(|mount| mount["mountPath"] == MOUNT_PATH) {
                    continue;
                }
                mounted = true;
                let mount = json!({"name": name, "readOnly": true, "mountPath": MOUNT_PATH});
                container["volumeMounts"] = mounts.into_iter().chain([mount]).collect();
            }
        }
        if mounted && known.is_none() {
            volumes.push(volume(&name));
            spec["volumes"] = json!(volumes);
        }
    }
}

fn volume(name: &str) -> Value {
    json!({"name": name, "projected": {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": ROOT_CA, "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [
            {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}},
        ]}},
    ]}})
}
