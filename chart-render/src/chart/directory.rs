//! Reads a chart directory.

use std::fs;
use std::path::Path;

use super::Error;
use super::ignore::Rules;

/// The files below a directory by their path in it, without those that `.helmignore` leaves out.
pub(super) fn collect(root: &Path) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let ignore_file = root.join(".helmignore");
    let text = if ignore_file.is_file() {
        read(&ignore_file).map(|data| String::from_utf8_lossy(&data).into_owned())?
    } else {
        String::new()
    };
    let rules = Rules::parse(&text).map_err(|message| Error::Invalid {
        chart: root.display().to_string(),
        file: ".helmignore".to_owned(),
        message,
    })?;
    let mut files = Vec::new();
    walk(root, "", &rules, &mut files)?;
    Ok(files)
}

fn walk(folder: &Path, prefix: &str, rules: &Rules, files: &mut Vec<(String, Vec<u8>)>) -> Result<(), Error> {
    let failed = |source| Error::Read { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let is_folder = path.is_dir();
        if rules.ignore(&name, is_folder) {
            continue;
        }
        if is_folder {
            walk(&path, &format!("{name}/"), rules, files)?;
        } else {
            files.push((name, read(&path)?));
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}
