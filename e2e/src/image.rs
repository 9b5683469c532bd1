//! Container images of static binaries, written without a container engine.
//!
//! An archive is an OCI image layout in one tar file, with the list that `docker load` reads beside it, so `kind load
//! image-archive`, `ctr images import`, `docker load`, `podman load` and `skopeo` all take it. The same binary gives the
//! same bytes. Formats: OCI image specification 1.1 (image-layout, manifest, config); the list is that of `docker save`.

mod archive;
mod libraries;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

pub use self::archive::{File, Image, archive};

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
    /// What a binary is linked with cannot be told.
    #[error("asking ldd what {} is linked with: {why}", path.display())]
    Libraries {
        /// The binary.
        path: PathBuf,
        /// Why.
        why: String,
    },
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

impl Reference {
    /// Name and tag.
    pub fn full(&self) -> &str {
        &self.full
    }

    /// The tag alone.
    pub fn tag(&self) -> &str {
        &self.full[self.tag..]
    }
}

/// Writes the archive that the arguments ask for.
///
/// # Errors
/// When the binary cannot be used or the archive cannot be written.
pub fn run(args: &Args) -> Result<(), Error> {
    let Args { binary, name, out, arch } = args;
    let (program, content) = read(binary)?;
    if is_dynamic(&content) {
        return Err(Error::Dynamic(binary.clone()));
    }
    let image = Image {
        names: vec![name.clone()],
        arch: arch.clone(),
        entrypoint: vec![format!("/{program}")],
        files: vec![File { path: program, content }],
    };
    write(out, &image)
}

/// Writes an image's archive to a file, whose folder is made.
///
/// # Errors
/// When it cannot be written.
pub fn write(out: &Path, image: &Image) -> Result<(), Error> {
    let write = || {
        if let Some(folder) = out.parent() {
            std::fs::create_dir_all(folder)?;
        }
        // A run that is broken off leaves no half archive under the name.
        let partial = out.with_extension("partial");
        archive(io::BufWriter::new(std::fs::File::create(&partial)?), image)?;
        std::fs::rename(&partial, out)
    };
    write().map_err(|source| Error::Archive { path: out.to_owned(), source })
}

/// The program and what it is linked with, for a root that holds nothing else: nothing more for a static one, the
/// dynamic linker and its libraries, where they lie on this machine, for another.
///
/// # Errors
/// When the program or a library cannot be read.
pub fn with_libraries(binary: &Path) -> Result<(String, Vec<File>), Error> {
    let (program, content) = read(binary)?;
    let mut files = Vec::new();
    if is_dynamic(&content) {
        for library in libraries::of(binary)? {
            let content = std::fs::read(&library).map_err(|source| Error::Binary { path: library.clone(), source })?;
            files.push(File { path: library.to_string_lossy().trim_start_matches('/').to_owned(), content });
        }
    }
    files.insert(0, File { path: program.clone(), content });
    Ok((program, files))
}

fn read(binary: &Path) -> Result<(String, Vec<u8>), Error> {
    let content = std::fs::read(binary).map_err(|source| Error::Binary { path: binary.to_owned(), source })?;
    let program = binary.file_name().and_then(|name| name.to_str()).ok_or_else(|| Error::Unnamed(binary.to_owned()))?;
    Ok((program.to_owned(), content))
}

/// Whether an ELF file names an interpreter, the dynamic linker. One of ours is named by its path, which no static
/// binary holds.
fn is_dynamic(elf: &[u8]) -> bool {
    let head = &elf[..elf.len().min(4096)];
    [&b"/ld-linux"[..], b"/ld-musl"].iter().any(|linker| head.windows(linker.len()).any(|bytes| bytes == *linker))
}
