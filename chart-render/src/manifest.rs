//! Rendered files become manifests: split into documents, told apart from hooks, put into the order of installation.

use serde_json::Value as Json;

use crate::bytes;
use crate::yaml;

/// Why rendered text is no manifest.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("YAML parse error on {source_path}: {message}\n{excerpt}")]
pub struct Error {
    /// The template, `<chart>/templates/<file>`.
    pub source_path: String,
    /// What the YAML reader says.
    pub message: String,
    /// The document, with line numbers.
    pub excerpt: String,
}

/// One object to install.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The template it comes from, as in helm's `# Source:` lines.
    pub source: String,
    /// The document as rendered.
    pub text: String,
    /// The document read as YAML; null when it holds only comments.
    pub object: Json,
}

impl Manifest {
    /// `kind`, empty when the document has none.
    pub fn kind(&self) -> &str {
        self.object["kind"].as_str().unwrap_or_default()
    }

    /// `metadata.name`, empty when the document has none.
    pub fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// `metadata.namespace`, if the document has one.
    pub fn namespace(&self) -> Option<&str> {
        self.object["metadata"]["namespace"].as_str()
    }
}

/// The kinds helm installs in a fixed order; all others follow, by the name of their kind.
const INSTALL_ORDER: &[&str] = &[
    "PriorityClass",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

const HOOK_EVENTS: &[&str] = &[
    "pre-install",
    "post-install",
    "pre-delete",
    "post-delete",
    "pre-upgrade",
    "post-upgrade",
    "pre-rollback",
    "post-rollback",
    "test",
    "test-success",
];

/// Manifests and hooks.
pub(crate) struct Sorted {
    pub(crate) manifests: Vec<Manifest>,
    pub(crate) hooks: Vec<Manifest>,
}

/// Splits and sorts rendered files, given in the order of their paths.
pub(crate) fn sort(files: &[(String, String)]) -> Result<Sorted, Error> {
    let mut sorted = Sorted { manifests: Vec::new(), hooks: Vec::new() };
    for (source, text) in files {
        for document in split(text) {
            let readable = if bytes::has_any(&document) { Err("invalid UTF-8".to_owned()) } else { Ok(()) };
            let object = readable
                .and_then(|()| yaml::parse(&format!("{document}\n")))
                .and_then(|object| check_head(&object).map(|()| object))
                .map_err(|message| Error { source_path: source.clone(), message, excerpt: numbered(&document) })?;
            let manifest = Manifest { source: source.clone(), text: document, object };
            match manifest.object["metadata"]["annotations"]["helm.sh/hook"].as_str() {
                None => sorted.manifests.push(manifest),
                Some(events) if is_hook(events) => sorted.hooks.push(manifest),
                // Helm leaves out what names an event it does not know.
                Some(_) => {}
            }
        }
    }
    // Both sorts are stable: within a kind the order of files and documents stays.
    sorted.manifests.sort_by_cached_key(rank);
    sorted.hooks.sort_by_cached_key(rank);
    Ok(sorted)
}

/// A manifest is a map, and so are its metadata and annotations; what names it, and each annotation, is one word or text.
fn check_head(object: &Json) -> Result<(), String> {
    let (metadata, annotations) = (&object["metadata"], &object["metadata"]["annotations"]);
    let heads = [("the document", object), ("metadata", metadata), ("metadata.annotations", annotations)];
    if let Some((name, _)) = heads.iter().find(|(_, head)| !(head.is_object() || head.is_null())) {
        return Err(format!("{name} must be a map"));
    }
    let names =
        [("apiVersion", &object["apiVersion"]), ("kind", &object["kind"]), ("metadata.name", &metadata["name"])];
    let annotations = annotations.as_object().into_iter().flatten().map(|(name, value)| (&**name, value));
    match names.into_iter().chain(annotations).find(|(_, value)| value.is_object() || value.is_array()) {
        Some((name, _)) => Err(format!("{name} must be a text, not a map or a list")),
        None => Ok(()),
    }
}

/// Begins a document when it stands at the start of a line.
const SEPARATOR: &str = "---";

/// The documents of one file, trimmed, without empty ones.
///
/// Go splits by `(?:^|\s*\n)---\s*`: the blanks behind a separator belong to it, so a second one right below is none.
pub(crate) fn split(text: &str) -> Vec<String> {
    let text = text.trim();
    let mut documents = Vec::new();
    let (mut start, mut from) = (0, 0);
    while let Some(at) = text[from..].find(SEPARATOR).map(|at| from + at) {
        let begins_line = at == 0 || (at > start && text.as_bytes()[at - 1] == b'\n');
        from = at + SEPARATOR.len();
        if begins_line {
            documents.push(&text[start..at]);
            from += text[from..].len() - text[from..].trim_start_matches(|c: char| c.is_ascii_whitespace()).len();
            start = from;
        }
    }
    documents.push(&text[start..]);
    documents.into_iter().map(str::trim).filter(|document| !document.is_empty()).map(str::to_owned).collect()
}

fn rank(manifest: &Manifest) -> (usize, String) {
    match INSTALL_ORDER.iter().position(|kind| *kind == manifest.kind()) {
        Some(position) => (position, String::new()),
        None => (INSTALL_ORDER.len(), manifest.kind().to_owned()),
    }
}

fn is_hook(events: &str) -> bool {
    events.split(',').all(|event| HOOK_EVENTS.contains(&event.trim().to_lowercase().as_str()))
}

fn numbered(document: &str) -> String {
    document
        .lines()
        .enumerate()
        .map(|(index, line)| format!("{:>5} | {line}", index + 1))
        .collect::<Vec<_>>()
        .join("\n")
}
