//! Writes a plan: values files, manifests, charts without templates, a helmfile and a script.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value as Json, json};

use super::{Install, Plan};
use crate::{Chart, Selection, profile};

const HELMFILE: &str = include_str!("../templates/helmfile.yaml.hbs");
const SCRIPT: &str = include_str!("../templates/install.sh.hbs");

/// Which charts the helmfile and the script install.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Charts {
    /// The project's chart, as it is part of this crate; it is written into `chart/`.
    Embedded,
    /// The project's chart at this path.
    At(String),
    /// A chart of plain manifests for each release, written into `charts/`.
    Plain,
}

impl Plan {
    /// Writes all files of the plan below a directory.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, directory: &Path, charts: &Charts) -> io::Result<()> {
        let put_bytes = |path: &str, data: &[u8]| {
            let path = directory.join(path);
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(path, data)
        };
        let put = |path: &str, text: &str| put_bytes(path, text.as_bytes());
        self.remove_left_over(directory)?;
        for install in &self.installs {
            let name = install.file_name();
            put(&format!("values/{name}.yaml"), &install.values)?;
            let selection = Selection { include_crds: install.needs.is_none(), ..Selection::default() };
            put(&format!("manifests/{name}.yaml"), &install.rendered.to_text(&selection).map_err(io::Error::other)?)?;
            if *charts == Charts::Plain {
                for (path, text) in self.plain_chart(install) {
                    put(&format!("charts/{name}/{path}"), &text)?;
                }
            }
        }
        if *charts == Charts::Embedded {
            for (path, data) in Chart::embedded_files() {
                put_bytes(&format!("chart/{path}"), data)?;
            }
        }
        let installs: Vec<Json> = self.installs.iter().map(|install| describe(install, charts)).collect();
        let namespaces: BTreeSet<&str> = self.installs.iter().flat_map(Install::namespaces).collect();
        let data = json!({ "installs": installs, "namespaces": namespaces });
        let rendered = |name, template| profile::render(name, template, &data).map_err(io::Error::other);
        put("helmfile.yaml", &rendered("helmfile.yaml", HELMFILE)?)?;
        put("install.sh", &rendered("install.sh", SCRIPT)?)?;
        executable(&directory.join("install.sh"))
    }

    /// Takes away the values and manifests of releases that an earlier plan had here and this one has not: applied
    /// together with the others they would bring those releases back.
    fn remove_left_over(&self, directory: &Path) -> io::Result<()> {
        // Only a directory that an earlier plan has written is cleared.
        if !directory.join("install.sh").is_file() || !directory.join("helmfile.yaml").is_file() {
            return Ok(());
        }
        let kept: BTreeSet<String> =
            self.installs.iter().map(|install| format!("{}.yaml", install.file_name())).collect();
        for folder in ["values", "manifests"] {
            let Ok(entries) = fs::read_dir(directory.join(folder)) else { continue };
            for entry in entries {
                let path = entry?.path();
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                if path.extension().is_some_and(|extension| extension == "yaml") && !kept.contains(name) {
                    fs::remove_file(&path)?;
                }
            }
        }
        Ok(())
    }

    /// A chart that installs the same objects and has nothing to set: what stands in `{{` is escaped.
    fn plain_chart(&self, install: &Install) -> Vec<(String, String)> {
        let about = json!({
            "apiVersion": "v2",
            "name": install.release.name,
            "description": install.scope,
            "type": "application",
            "version": self.chart.version(),
            "appVersion": self.chart.app_version(),
        });
        let mut files = vec![
            ("Chart.yaml".to_owned(), crate::yaml::to_yaml(&about) + "\n"),
            ("values.yaml".to_owned(), "# This chart has nothing to set: its manifests are rendered.\n".to_owned()),
            ("templates/NOTES.txt".to_owned(), escape(&install.rendered.notes)),
        ];
        let inside = |path: &str| path.split_once('/').map_or(path, |(_, inside)| inside).to_owned();
        files.extend(install.rendered.crds.iter().map(|crd| (inside(&crd.path), crd.text.clone())));
        let manifests = install.rendered.manifests.iter().chain(&install.rendered.hooks);
        for manifest in manifests.filter(|manifest| manifest.object.is_object()) {
            let path = inside(&manifest.source);
            let text = format!("---\n{}\n", escape(&manifest.text));
            match files.iter_mut().find(|(known, _)| *known == path) {
                Some((_, before)) => before.push_str(&text),
                None => files.push((path, text)),
            }
        }
        files
    }
}

impl Install {
    /// `namespace.release`, unlike for any two releases because a namespace has no dot.
    pub fn file_name(&self) -> String {
        format!("{}.{}", self.release.namespace, self.release.name)
    }

    /// The namespaces that have to be there: its own, and those it has objects in, as a controller has roles where it watches.
    fn namespaces(&self) -> BTreeSet<&str> {
        let objects = self.rendered.manifests.iter().chain(&self.rendered.hooks).map(|manifest| &manifest.object);
        let of_objects = objects.filter_map(|object| object["metadata"]["namespace"].as_str());
        of_objects.chain([self.release.namespace.as_str()]).collect()
    }
}

fn escape(text: &str) -> String {
    text.replace("{{", "{{ \"{{\" }}")
}

#[cfg(unix)]
fn executable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut permissions = fs::metadata(path)?.permissions();
    // Whoever may read it may run it.
    permissions.set_mode(permissions.mode() | (permissions.mode() & 0o444) >> 2);
    fs::set_permissions(path, permissions)
}

#[cfg(not(unix))]
fn executable(_: &Path) -> io::Result<()> {
    Ok(())
}

fn describe(install: &Install, charts: &Charts) -> Json {
    let name = install.file_name();
    let (chart, values) = match charts {
        Charts::Embedded => ("./chart".to_owned(), json!(format!("values/{name}.yaml"))),
        Charts::At(path) => (path.clone(), json!(format!("values/{name}.yaml"))),
        Charts::Plain => (format!("./charts/{name}"), Json::Null),
    };
    let own = install.release.namespace.as_str();
    let others: BTreeSet<&str> = install.namespaces().into_iter().filter(|namespace| *namespace != own).collect();
    json!({
        "others": others,
        "name": install.release.name,
        "namespace": install.release.namespace,
        "values": values,
        "needs": install.needs,
        "shell_chart": format!("'{}'", chart.replace('\'', "'\\''")),
        "chart": chart,
    })
}
