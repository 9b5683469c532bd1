//! What is in an archive.

use std::collections::BTreeMap;
use std::io::Read as _;

use rstest::rstest;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::*;

fn image(names: &[&str]) -> Image {
    Image {
        names: names.iter().map(|name| name.parse().unwrap()).collect(),
        arch: "amd64".to_owned(),
        entrypoint: vec!["/wva-controller".to_owned()],
        files: vec![File { path: "wva-controller".to_owned(), content: b"\x7fELF program".to_vec() }],
    }
}

fn made() -> Vec<u8> {
    let mut out = Vec::new();
    archive(&mut out, &image(&["localhost/wva-controller:0.6.0"])).unwrap();
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
    let files = self::files(&made());
    let index = json_at(&files, "index.json");
    let at = |descriptor: &Value| {
        let path = format!("blobs/{}", descriptor["digest"].as_str().unwrap().replacen(':', "/", 1));
        let (_, content) = &files[&path];
        assert_eq!(descriptor["size"], content.len());
        let hex = Sha256::digest(content).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        assert_eq!(format!("sha256:{hex}"), descriptor["digest"].as_str().unwrap());
        path
    };
    let manifest = json_at(&files, &at(&index["manifests"][0]));
    let config = json_at(&files, &at(&manifest["config"]));
    let layer = at(&manifest["layers"][0]);
    assert_eq!(config["rootfs"]["diff_ids"][0], manifest["layers"][0]["digest"], "the layer is not compressed");
    let root = self::files(&files[&layer].1);
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

#[test]
fn one_image_may_have_several_names() {
    let mut out = Vec::new();
    archive(&mut out, &image(&["localhost/a:1", "localhost/b:2"])).unwrap();
    let files = files(&out);
    assert_eq!(json_at(&files, "manifest.json")[0]["RepoTags"], json!(["localhost/a:1", "localhost/b:2"]));
    let manifests = json_at(&files, "index.json")["manifests"].clone();
    assert_eq!(manifests[1]["annotations"]["io.containerd.image.name"], "localhost/b:2");
    assert_eq!(manifests[0]["digest"], manifests[1]["digest"]);
}

#[test]
fn a_dynamic_program_brings_all_it_needs_to_run_on_an_empty_root() {
    let own = std::env::current_exe().unwrap();
    let (program, files) = with_libraries(&own).unwrap();
    assert_eq!(files[0].path, program);
    let holds = |part: &str| files.iter().any(|file| file.path.contains(part));
    assert!(holds("/ld-linux") && holds("/libc.so"), "{:?}", files.iter().map(|file| &file.path).collect::<Vec<_>>());
}
