//! The archive itself: an OCI image layout in one tar file, with the list that `docker load` reads beside it.

use std::io::{self, Write};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Reference;

/// The user that no image of ours may exceed: not root, as restricted Pod Security demands.
const USER: &str = "65532:65532";

/// What an image holds and how it is started.
#[derive(Clone, Debug)]
pub struct Image {
    /// Names it is loaded under.
    pub names: Vec<Reference>,
    /// Processor architecture, as images name it.
    pub arch: String,
    /// Program and leading arguments; the arguments of a container follow.
    pub entrypoint: Vec<String>,
    /// Its root.
    pub files: Vec<File>,
}

/// An executable file.
#[derive(Clone, Debug)]
pub struct File {
    /// Path below the root, without the leading slash.
    pub path: String,
    /// Content.
    pub content: Vec<u8>,
}

/// Writes an image: one layer with the files in it, its configuration, and what leads to them.
///
/// # Errors
/// When `to` takes no more.
pub fn archive(to: impl Write, image: &Image) -> io::Result<()> {
    let Image { names, arch, entrypoint, files } = image;
    let mut layer = tar::Builder::new(Vec::new());
    for file in files {
        add(&mut layer, &file.path, 0o755, &file.content)?;
    }
    let layer = Blob::new("application/vnd.oci.image.layer.v1.tar", layer.into_inner()?);
    let copied: Vec<_> = files.iter().map(|file| format!("/{}", file.path)).collect();
    let config = json!({
        "architecture": arch,
        "os": "linux",
        "config": {"User": USER, "Entrypoint": entrypoint, "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [layer.digest]},
        "history": [{"created_by": format!("COPY {}", copied.join(" "))}]
    });
    let config = Blob::json("application/vnd.oci.image.config.v1+json", &config);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config.descriptor(),
        "layers": [layer.descriptor()]
    });
    let manifest = Blob::json("application/vnd.oci.image.manifest.v1+json", &manifest);
    let entry = |name: &Reference| {
        let mut entry = manifest.descriptor();
        entry["platform"] = json!({"architecture": arch, "os": "linux"});
        entry["annotations"] =
            json!({"io.containerd.image.name": name.full(), "org.opencontainers.image.ref.name": name.tag()});
        entry
    };
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": names.iter().map(entry).collect::<Vec<_>>()
    });
    let tags: Vec<_> = names.iter().map(Reference::full).collect();
    let list = json!([{"Config": config.path(), "RepoTags": tags, "Layers": [layer.path()]}]);

    let mut tar = tar::Builder::new(to);
    for blob in [&layer, &config, &manifest] {
        add(&mut tar, &blob.path(), 0o644, &blob.content)?;
    }
    let layout = json!({"imageLayoutVersion": "1.0.0"});
    for (path, value) in [("index.json", &index), ("manifest.json", &list), ("oci-layout", &layout)] {
        add(&mut tar, path, 0o644, value.to_string().as_bytes())?;
    }
    tar.into_inner()?.flush()
}

/// A file of root's, made at the beginning of time, so that equal content gives equal archives.
fn add(tar: &mut tar::Builder<impl Write>, path: &str, mode: u32, content: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(mode);
    header.set_cksum();
    tar.append_data(&mut header, path, content)
}

/// Content under its digest.
struct Blob {
    media_type: &'static str,
    /// `sha256:` and the hex digits.
    digest: String,
    content: Vec<u8>,
}

impl Blob {
    fn new(media_type: &'static str, content: Vec<u8>) -> Self {
        use std::fmt::Write as _;
        let mut digest = "sha256:".to_owned();
        for byte in Sha256::digest(&content) {
            // Writing to a String does not fail.
            let _ = write!(digest, "{byte:02x}");
        }
        Self { media_type, digest, content }
    }

    fn json(media_type: &'static str, value: &Value) -> Self {
        Self::new(media_type, value.to_string().into_bytes())
    }

    fn path(&self) -> String {
        format!("blobs/{}", self.digest.replacen(':', "/", 1))
    }

    fn descriptor(&self) -> Value {
        json!({"mediaType": self.media_type, "digest": self.digest, "size": self.content.len()})
    }
}
