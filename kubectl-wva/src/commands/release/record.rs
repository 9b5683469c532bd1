//! helm's record of one revision of a release: JSON, packed with gzip, as base64.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chart_render::{Chart, Manifest, Rendered};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::commands::render::whole;

/// What has become of a revision, in helm's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    PendingInstall,
    PendingUpgrade,
    Deployed,
    Superseded,
    Failed,
    Uninstalling,
    Uninstalled,
}

impl Status {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::PendingInstall => "pending-install",
            Self::PendingUpgrade => "pending-upgrade",
            Self::Deployed => "deployed",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
            Self::Uninstalling => "uninstalling",
            Self::Uninstalled => "uninstalled",
        }
    }
}

/// One revision of a release, with all that whoever wrote it put down.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record(Value);

impl Record {
    /// A new revision.
    pub(super) fn new(
        release: &chart_render::Release,
        chart: &Chart,
        config: &Map<String, Value>,
        rendered: &Rendered,
        first: Option<&str>,
        now: Timestamp,
    ) -> Self {
        let (status, description) = if release.is_upgrade {
            (Status::PendingUpgrade, "Preparing upgrade")
        } else {
            (Status::PendingInstall, "Initial install underway")
        };
        let now = now.to_string();
        let manifest: String = rendered.manifests.iter().map(document).collect();
        Self(json!({
            "name": release.name,
            "namespace": release.namespace,
            "version": release.revision,
            "apply_method": "ssa",
            "info": {
                "first_deployed": first.unwrap_or(&now),
                "last_deployed": now,
                "description": description,
                "status": status.word(),
                "notes": rendered.notes,
            },
            "chart": packed_chart(chart),
            "config": whole(Value::Object(config.clone())),
            "manifest": manifest,
            "hooks": rendered.hooks.iter().map(hook).collect::<Vec<_>>(),
        }))
    }

    /// Reads the content of a Secret.
    pub(super) fn read(data: &[u8]) -> Result<Self, String> {
        let json = unpack(data)?;
        serde_json::from_slice(&json).map(Self).map_err(|error| error.to_string())
    }

    /// The content of a Secret.
    pub(super) fn pack(&self) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        // Writing to memory does not fail.
        let _ = packed.write_all(self.0.to_string().as_bytes());
        BASE64_STANDARD.encode(packed.finish().unwrap_or_default()).into_bytes()
    }

    pub(super) fn name(&self) -> &str {
        self.0["name"].as_str().unwrap_or_default()
    }

    pub(super) fn revision(&self) -> u32 {
        self.0["version"].as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
    }

    pub(super) fn status(&self) -> &str {
        self.0["info"]["status"].as_str().unwrap_or_default()
    }

    pub(super) fn is(&self, status: Status) -> bool {
        self.status() == status.word()
    }

    pub(super) fn set(&mut self, status: Status, description: &str) {
        self.0["info"]["status"] = json!(status.word());
        self.0["info"]["description"] = json!(description);
    }

    /// A later revision is in force. The description goes on telling how this one went.
    pub(super) fn supersede(&mut self) {
        self.0["info"]["status"] = json!(Status::Superseded.word());
    }

    pub(super) fn mark_deleted(&mut self, now: Timestamp) {
        self.0["info"]["deleted"] = json!(now.to_string());
    }

    pub(super) fn chart(&self) -> &str {
        self.0["chart"]["metadata"]["name"].as_str().unwrap_or_default()
    }

    pub(super) fn first_deployed(&self) -> Option<&str> {
        self.0["info"]["first_deployed"].as_str()
    }

    /// Whether its objects were applied server-side, so that applying goes on from there.
    pub(super) fn is_server_side(&self) -> bool {
        self.0["apply_method"] == "ssa"
    }

    /// What was given with `--set` and `-f`.
    pub(super) fn config(&self) -> Map<String, Value> {
        self.0["config"].as_object().cloned().unwrap_or_default()
    }

    /// Its objects, in the order of installation.
    pub(super) fn objects(&self) -> Vec<Value> {
        let manifest = self.0["manifest"].as_str().unwrap_or_default();
        let documents = manifest.split("\n---\n").map(|text| text.trim_start_matches("---\n"));
        documents.filter_map(|text| serde_saphyr::from_str::<Value>(text).ok()).filter(Value::is_object).collect()
    }
}

/// The JSON in a release's Secret.
pub(crate) fn unpack(data: &[u8]) -> Result<Vec<u8>, String> {
    let packed = BASE64_STANDARD.decode(data).map_err(|error| error.to_string())?;
    let mut json = Vec::new();
    GzDecoder::new(packed.as_slice()).read_to_end(&mut json).map_err(|error| error.to_string())?;
    Ok(json)
}

fn document(manifest: &Manifest) -> String {
    format!("---\n# Source: {}\n{}\n", manifest.source, manifest.text)
}

fn hook(manifest: &Manifest) -> Value {
    let annotations = &manifest.object["metadata"]["annotations"];
    let words = |key: &str| -> Vec<String> {
        let text = annotations[key].as_str().unwrap_or_default();
        text.split(',').map(|word| word.trim().to_lowercase()).filter(|word| !word.is_empty()).collect()
    };
    let mut hook = json!({
        "name": manifest.name(),
        "kind": manifest.kind(),
        "path": manifest.source,
        "manifest": manifest.text,
        "events": words("helm.sh/hook"),
        "last_run": {"phase": ""},
    });
    if let Some(weight) = annotations["helm.sh/hook-weight"].as_str().and_then(|text| text.parse::<i64>().ok())
        && weight != 0
    {
        hook["weight"] = json!(weight);
    }
    for (field, key) in
        [("delete_policies", "helm.sh/hook-delete-policy"), ("output_log_policies", "helm.sh/hook-output-log-policy")]
    {
        let policies = words(key);
        if !policies.is_empty() {
            hook[field] = json!(policies);
        }
    }
    hook
}

/// The chart as helm keeps it: metadata, templates, values, schema, and all its other files.
fn packed_chart(chart: &Chart) -> Value {
    const NO_TIME: &str = "0001-01-01T00:00:00Z";
    let file = |path: &str, bytes: &[u8]| json!({"name": path, "data": BASE64_STANDARD.encode(bytes)});
    let (mut templates, mut files, mut metadata) = (Vec::new(), Vec::new(), Value::Null);
    for (path, bytes) in Chart::embedded_files() {
        match path {
            "Chart.yaml" => metadata = serde_saphyr::from_slice(bytes).unwrap_or_default(),
            "values.yaml" | "values.schema.json" => {}
            path if path.starts_with("templates/") => templates.push(file(path, bytes)),
            path => files.push(file(path, bytes)),
        }
    }
    json!({
        "metadata": metadata,
        "lock": null,
        "templates": templates,
        "values": whole(Value::Object(chart.values().clone())),
        "schema": chart.schema().map(|schema| BASE64_STANDARD.encode(schema)),
        "schemamodtime": NO_TIME,
        "files": files,
    })
}
