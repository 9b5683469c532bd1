//! What a dynamically linked program needs beside itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Error;

/// The dynamic linker and the libraries of a program, at the places where the linker looks for them.
pub(super) fn of(binary: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |why: String| Error::Libraries { path: binary.to_owned(), why };
    let output = Command::new("ldd").arg(binary).output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    paths(&String::from_utf8_lossy(&output.stdout)).map_err(failed)
}

/// Each line names a library and where it is: `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)`; the linker's names
/// its place alone, and the kernel's own (`linux-vdso`) has none.
fn paths(output: &str) -> Result<Vec<PathBuf>, String> {
    let mut paths = Vec::new();
    for line in output.lines().map(str::trim) {
        let place = line.split_once("=>").map_or(line, |(_, place)| place.trim());
        if place.starts_with("not found") {
            return Err(format!("this machine lacks a library: {line}"));
        }
        let path = place.split_once(" (").map_or(place, |(path, _)| path);
        if path.starts_with('/') {
            paths.push(PathBuf::from(path));
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_the_linker_are_named_and_the_kernels_own_is_not() {
        let output = "\tlinux-vdso.so.1 (0x1)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x2)\n\t/lib64/ld-linux-x86-64.so.2 (0x3)\n";
        let expect = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(paths(output).unwrap(), expect);
    }

    #[test]
    fn a_missing_library_is_told() {
        let error = paths("\tlibfoo.so.1 => not found\n").unwrap_err();
        assert!(error.contains("libfoo.so.1"), "{error}");
    }
}
