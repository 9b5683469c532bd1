//! The identity of a pod: a token of its service account, and a kubeconfig that uses it.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use k8s_openapi::api::{
    authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec},
    core::v1::{Pod, ServiceAccount},
};
use kube::{Api, Client, ResourceExt, api::PostParams};
use serde_json::json;

use super::downward;

/// How a client reaches the API server.
#[derive(Debug, Clone)]
pub struct ApiAddress {
    /// Base URL.
    pub url: String,
    /// Certificate authority in PEM, for HTTPS.
    pub ca: Option<Vec<u8>>,
}

/// Why a pod has no identity yet.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("requesting a token for service account {namespace}/{name}: {source}")]
    Token { namespace: String, name: String, source: Box<kube::Error> },
    #[error("writing the service account files to {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// Lifetime asked for; the token is renewed after four fifths of it.
const TOKEN_SECONDS: i64 = 3600;
pub(super) const RENEW_AFTER: Duration = Duration::from_mins(48);

/// Writes token, namespace, certificate and kubeconfig into `directory`.
pub(super) async fn write(client: &Client, api: &ApiAddress, pod: &Pod, directory: &Path) -> Result<(), Error> {
    let namespace = pod.namespace().unwrap_or_default();
    let token = token(client, pod, &namespace).await?;
    let put = |name: &str, content: &[u8]| {
        let path = directory.join(name);
        // A reader must never see half a token.
        let fresh = directory.join(format!(".{name}.new"));
        let written = std::fs::write(&fresh, content).and_then(|()| std::fs::rename(&fresh, &path));
        written.map_err(|source| Error::Write { path, source })
    };
    std::fs::create_dir_all(directory).map_err(|source| Error::Write { path: directory.to_owned(), source })?;
    put("token", token.as_bytes())?;
    put("namespace", namespace.as_bytes())?;
    if let Some(ca) = &api.ca {
        put("ca.crt", ca)?;
    }
    put("kubeconfig", kubeconfig(api, &namespace, directory).to_string().as_bytes())
}

pub(super) fn kubeconfig_path(directory: &Path) -> PathBuf {
    directory.join("kubeconfig")
}

async fn token(client: &Client, pod: &Pod, namespace: &str) -> Result<String, Error> {
    let account = downward::service_account(pod);
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let request = TokenRequest {
        spec: TokenRequestSpec {
            expiration_seconds: Some(TOKEN_SECONDS),
            bound_object_ref: Some(BoundObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Pod".to_owned()),
                name: Some(pod.name_any()),
                uid: pod.uid(),
            }),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let answer = api.create_token_request(account, &PostParams::default(), &request).await.map_err(|source| {
        Error::Token { namespace: namespace.to_owned(), name: account.to_owned(), source: Box::new(source) }
    })?;
    Ok(answer.status.map(|status| status.token).unwrap_or_default())
}

/// JSON is YAML, and needs no quoting rules. The token is named by file, so that clients see it renewed.
fn kubeconfig(api: &ApiAddress, namespace: &str, directory: &Path) -> serde_json::Value {
    let mut cluster = json!({"server": api.url});
    if api.ca.is_some() {
        cluster["certificate-authority"] = json!(directory.join("ca.crt"));
    }
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "pod",
        "clusters": [{"name": "cluster", "cluster": cluster}],
        "users": [{"name": "service-account", "user": {"tokenFile": directory.join("token")}}],
        "contexts": [{"name": "pod", "context": {"cluster": "cluster", "user": "service-account", "namespace": namespace}}],
    })
}
