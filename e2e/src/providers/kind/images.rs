//! What the nodes of a kind cluster must hold: the suites' images, made of the binaries that were built for this machine.

use std::path::{Path, PathBuf};

use crate::image::{self, File, Image, Reference};
use crate::providers::image_programs;
use crate::{monitoring, programs};

/// The tags of the suites' images. Fixed ones: a `latest` would be pulled, and there is no registry.
const TAGS: [(&str, &str); 2] =
    [("vllm/vllm-openai", "v0.11.0"), ("ghcr.io/llm-d/llm-d-inference-scheduler", "v0.4.0")];

/// The images could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program is not there.
    #[error(transparent)]
    Program(#[from] programs::Error),
    /// An archive.
    #[error(transparent)]
    Image(#[from] image::Error),
    /// A name.
    #[error(transparent)]
    Name(#[from] image::InvalidReference),
}

/// Writes an archive for each image into `dir`, all at once; `controller` is run instead of our own when given.
///
/// # Errors
/// When a program is not there or an archive cannot be written.
pub fn write_all(dir: &Path, controller: Option<&Path>) -> Result<Vec<PathBuf>, Error> {
    let mut wanted = Vec::new();
    for (repository, program) in image_programs(controller)? {
        let tag = TAGS.iter().find(|(known, _)| *known == repository).map_or(env!("CARGO_PKG_VERSION"), |(_, tag)| tag);
        let name = full_name(&format!("{repository}:{tag}")).parse()?;
        wanted.push((name, program.path, program.args, Vec::new()));
    }
    let monitoring = full_name(monitoring::IMAGE).parse()?;
    wanted.push((monitoring, programs::ours("wva-e2e")?, vec!["monitor".to_owned()], vec![programs::prometheus()?]));
    std::thread::scope(|scope| {
        let writers: Vec<_> = wanted
            .iter()
            .map(|(name, program, args, beside)| scope.spawn(|| write_one(dir, name, program, args, beside)))
            .collect();
        // A writer does not panic; if it did, the panic is ours.
        writers
            .into_iter()
            .map(|writer| writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

fn write_one(
    dir: &Path,
    name: &Reference,
    program: &Path,
    args: &[String],
    beside: &[PathBuf],
) -> Result<PathBuf, Error> {
    let (program, mut files) = image::with_libraries(program)?;
    for other in beside {
        let (_, more) = image::with_libraries(other)?;
        files.extend(more.into_iter().filter(|file| !has(&files, file)).collect::<Vec<_>>());
    }
    let entrypoint = std::iter::once(format!("/{program}")).chain(args.iter().cloned()).collect();
    let archive = dir.join(format!("{}.tar", name.full().replace(['/', ':'], "_")));
    image::write(&archive, &Image { names: vec![name.clone()], arch: arch().to_owned(), entrypoint, files })?;
    Ok(archive)
}

/// Two programs share most of their libraries.
fn has(files: &[File], file: &File) -> bool {
    files.iter().any(|known| known.path == file.path)
}

/// The name containerd knows an image by; an archive must carry that one.
fn full_name(image: &str) -> String {
    match image.split_once('/') {
        Some((host, _)) if host == "localhost" || host.contains(['.', ':']) => image.to_owned(),
        Some(_) => format!("docker.io/{image}"),
        None => format!("docker.io/library/{image}"),
    }
}

fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("localhost/wva-controller:0.6.0", "localhost/wva-controller:0.6.0")]
    #[case("ghcr.io/a/b:1", "ghcr.io/a/b:1")]
    #[case("vllm/vllm-openai:v1", "docker.io/vllm/vllm-openai:v1")]
    #[case("busybox:1", "docker.io/library/busybox:1")]
    fn an_archive_carries_the_name_that_containerd_uses(#[case] image: &str, #[case] expect: &str) {
        assert_eq!(full_name(image), expect);
    }

    #[test]
    fn the_tags_are_those_of_our_manifests() {
        let manifests =
            [include_str!("../../../manifests/vllm.yaml.hbs"), include_str!("../../../manifests/gateway.yaml.hbs")];
        for (repository, tag) in TAGS {
            let line = format!("image: {repository}:{tag}");
            assert!(manifests.iter().any(|manifest| manifest.contains(&line)), "no manifest has {line}");
        }
    }
}
