//! Container images of static binaries, written without a container engine.
//!
//! An archive is an OCI image layout in one tar file, with the list that `docker load` reads beside it, so `kind load
//! image-archive`, `ctr images import`, `docker load`, `podman load` and `skopeo` all take it. The same binary gives the
//! same bytes. Formats: OCI image specification 1.1 (image-layout, manifest, config); the list is that of `docker save`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The user that no image of ours may exceed: not root, as restricted Pod Security demands.
const USER: &str = "65532:65532";

/// What is asked of the command line.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Static Linux binary; it becomes the entry point, under its own name at the root.
    binary: PathBuf,
    /// Name the image is loaded under, with a tag.
    #[arg(long, value_name = "NAME:TAG")]
    name: Reference,
    /// Archive to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Processor architecture, as images name it.
    #[arg(long, default_value = "amd64")]
    arch: String,
}

/// An image name with a tag, such as `localhost/wva-controller:0.6.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    full: String,
    /// Where the tag begins in it.
    tag: usize,
}

/// A text that names no image with a tag.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no image name with a tag; write e.g. localhost/wva-controller:0.6.0")]
pub struct InvalidReference(String);

/// An archive cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The binary cannot be read.
    #[error("reading the binary {}: {source}", path.display())]
    Binary {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file has no name that an entry point could have.
    #[error("{} has no file name to start it by", .0.display())]
    Unnamed(PathBuf),
    /// The binary would look for a C library that an empty root does not hold.
    #[error(
        "{} is linked dynamically, and an image with an empty root has nothing to link it with; build it for a target \
         such as x86_64-unknown-linux-musl",
        .0.display()
    )]
    Dynamic(PathBuf),
    /// The archive cannot be written.
    #[error("writing the image archive {}: {source}", path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidReference(text.to_owned());
        let (name, tag) = text.rsplit_once(':').ok_or_else(invalid)?;
        let good = |text: &str, more: &str| {
            let begins = text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_');
            begins && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        let named = good(name, "._-/:") && !name.contains(|c: char| c.is_ascii_uppercase());
        if !named || !good(tag, "._-") {
            return Err(invalid());
        }
        Ok(Self { full: text.to_owned(), tag: name.len() + 1 })
    }
}

/// Writes the archive that the arguments ask for.
///
/// # Errors
/// When the binary cannot be used or the archive cannot be written.
pub fn run(args: &Args) -> Result<(), Error> {
    let Args { binary, name, out, arch } = args;
    let content = std::fs::read(binary).map_err(|source| Error::Binary { path: binary.clone(), source })?;
    let program = binary.file_name().and_then(|name| name.to_str()).ok_or_else(|| Error::Unnamed(binary.clone()))?;
    if is_dynamic(&content) {
        return Err(Error::Dynamic(binary.clone()));
    }
    write(out, name, arch, program, &content).map_err(|source| Error::Archive { path: out.clone(), source })
}

/// Whether an ELF file names an interpreter, the dynamic linker. One of ours is named by its path, which no static
/// binary holds.
fn is_dynamic(elf: &[u8]) -> bool {
    let head = &elf[..elf.len().min(4096)];
    [&b"/ld-linux"[..], b"/ld-musl"].iter().any(|linker| head.windows(linker.len()).any(|bytes| bytes == *linker))
}

fn write(out: &Path, name: &Reference, arch: &str, program: &str, content: &[u8]) -> io::Result<()> {
    if let Some(folder) = out.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // A run that is broken off leaves no half archive under the name.
    let partial = out.with_extension("partial");
    archive(std::fs::File::create(&partial)?, name, arch, program, content)?;
    std::fs::rename(&partial, out)
}

/// One layer with the program in it, its configuration, and what leads to them.
fn archive(to: impl Write, name: &Reference, arch: &str, program: &str, content: &[u8]) -> io::Result<()> {
    let mut layer = tar::Builder::new(Vec::new());
    add(&mut layer, program, 0o755, content)?;
    let layer = Blob::new("application/vnd.oci.image.layer.v1.tar", layer.into_inner()?);
    let config = json!({
        "architecture": arch,
        "os": "linux",
        "config": {"User": USER, "Entrypoint": [format!("/{program}")], "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [layer.digest]},
        "history": [{"created_by": format!("COPY {program} /{program}")}]
    });
    let config = Blob::json("application/vnd.oci.image.config.v1+json", &config);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config.descriptor(),
        "layers": [layer.descriptor()]
    });
    let manifest = Blob::json("application/vnd.oci.image.manifest.v1+json", &manifest);
    let mut entry = manifest.descriptor();
    entry["platform"] = json!({"architecture": arch, "os": "linux"});
    entry["annotations"] =
        json!({"io.containerd.image.name": name.full, "org.opencontainers.image.ref.name": name.full[name.tag..]});
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]
    });
    let list = json!([{"Config": config.path(), "RepoTags": [name.full], "Layers": [layer.path()]}]);

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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;

    use rstest::rstest;

    use super::*;

    fn made() -> Vec<u8> {
        let mut out = Vec::new();
        let name = "localhost/wva-controller:0.6.0".parse().unwrap();
        archive(&mut out, &name, "amd64", "wva-controller", b"\x7fELF program").unwrap();
        out
    }

    /// The files of a tar archive, with their modes.
    fn files(tar: &[u8]) -> BTreeMap<String, (u32, Vec<u8>)> {
        let mut archive = tar::Archive::new(tar);
        let read = |entry: io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.path().unwrap().display().to_string(), (entry.header().mode().unwrap(), content))
        };
        archive.entries().unwrap().map(read).collect()
    }

    fn json_at(files: &BTreeMap<String, (u32, Vec<u8>)>, path: &str) -> Value {
        serde_json::from_slice(&files[path].1).unwrap()
    }

    #[test]
    fn every_blob_lies_under_its_own_digest_and_is_as_long_as_said() {
        let files = files(&made());
        let index = json_at(&files, "index.json");
        let at = |descriptor: &Value| {
            let path = format!("blobs/{}", descriptor["digest"].as_str().unwrap().replacen(':', "/", 1));
            let (_, content) = &files[&path];
            assert_eq!(descriptor["size"], content.len());
            assert_eq!(Blob::new("", content.clone()).digest, descriptor["digest"].as_str().unwrap());
            path
        };
        let manifest = json_at(&files, &at(&index["manifests"][0]));
        let config = json_at(&files, &at(&manifest["config"]));
        let layer = at(&manifest["layers"][0]);
        assert_eq!(config["rootfs"]["diff_ids"][0], manifest["layers"][0]["digest"], "the layer is not compressed");
        let root = super::tests::files(&files[&layer].1);
        assert_eq!(root.keys().collect::<Vec<_>>(), ["wva-controller"], "the root is empty but for the program");
        assert_eq!(root["wva-controller"], (0o755, b"\x7fELF program".to_vec()));
    }

    #[test]
    fn docker_and_containerd_read_the_same_name() {
        let files = files(&made());
        assert_eq!(json_at(&files, "manifest.json")[0]["RepoTags"], json!(["localhost/wva-controller:0.6.0"]));
        let annotations = &json_at(&files, "index.json")["manifests"][0]["annotations"];
        assert_eq!(annotations["io.containerd.image.name"], "localhost/wva-controller:0.6.0");
        assert_eq!(annotations["org.opencontainers.image.ref.name"], "0.6.0");
    }

    #[test]
    fn it_runs_the_program_and_not_as_root() {
        let files = files(&made());
        let config = json_at(&files, json_at(&files, "manifest.json")[0]["Config"].as_str().unwrap());
        assert_eq!(config["config"]["Entrypoint"], json!(["/wva-controller"]));
        assert_eq!(config["config"]["User"], "65532:65532");
    }

    #[test]
    fn the_same_binary_gives_the_same_archive() {
        assert_eq!(made(), made());
    }

    #[rstest]
    #[case("localhost/wva-controller:0.6.0", true)]
    #[case("registry:5000/team/wva:v1_x", true)]
    #[case("wva-controller", false)]
    #[case("localhost:5000/wva", false)]
    #[case("Wva:1", false)]
    #[case("wva:", false)]
    #[case("wva:a b", false)]
    fn a_name_needs_a_tag(#[case] text: &str, #[case] good: bool) {
        assert_eq!(text.parse::<Reference>().is_ok(), good);
    }

    #[test]
    fn a_binary_that_needs_a_dynamic_linker_is_refused() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(is_dynamic(&own), "tests are linked dynamically");
        assert!(!is_dynamic(b"\x7fELF static"));
    }

    #[test]
    fn make_image_makes_the_image_that_the_chart_runs() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let make = std::process::Command::new("make").args(["--silent", "print-image"]).current_dir(root).output();
        let chart = chart_render::Chart::embedded().unwrap();
        let image = &chart.values()["wva"]["image"];
        let tag = image["tag"].as_str().filter(|tag| !tag.is_empty()).unwrap_or(chart.app_version());
        let runs = format!("{}:{tag}", image["repository"].as_str().unwrap());
        assert_eq!(String::from_utf8(make.unwrap().stdout).unwrap().trim(), runs);
    }
}
