//! Writes a plan: values files, manifests, charts without templates, a helmfile and a script.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value as Json, json};

use super::{Install, Plan};
use crate::{Selection, profile};

const HELMFILE: &str = include_str!("../templates/helmfile.yaml.hbs");
const SCRIPT: &str = include_str!("../templates/install.sh.hbs");

/// What to write.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Write a chart of plain manifests for each release; without it, the releases use the chart at `chart`.
    pub as_chart: bool,
    /// Where helm finds the project's chart.
    pub chart: String,
}

impl Plan {
    /// Writes all files of the plan below a directory.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, directory: &Path, layout: &Layout) -> io::Result<()> {
        let put = |path: &str, text: &str| {
            let path = directory.join(path);
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(path, text)
        };
        for install in &self.installs {
            let name = install.file_name();
            put(&format!("values/{name}.yaml"), &install.values)?;
            let selection = Selection { include_crds: install.needs.is_none(), ..Selection::default() };
            put(&format!("manifests/{name}.yaml"), &install.rendered.to_text(&selection).map_err(io::Error::other)?)?;
            if layout.as_chart {
                for (path, text) in self.plain_chart(install) {
                    put(&format!("charts/{name}/{path}"), &text)?;
                }
            }
        }
        let installs: Vec<Json> = self.installs.iter().map(|install| describe(install, layout)).collect();
        let data = json!({ "installs": installs });
        let rendered = |name, template| profile::render(name, template, &data).map_err(io::Error::other);
        put("helmfile.yaml", &rendered("helmfile.yaml", HELMFILE)?)?;
        put("install.sh", &rendered("install.sh", SCRIPT)?)
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
}

fn escape(text: &str) -> String {
    text.replace("{{", "{{ \"{{\" }}")
}

fn describe(install: &Install, layout: &Layout) -> Json {
    let name = install.file_name();
    let values = if layout.as_chart { Json::Null } else { json!(format!("values/{name}.yaml")) };
    let chart = if layout.as_chart { format!("./charts/{name}") } else { layout.chart.clone() };
    json!({
        "name": install.release.name,
        "namespace": install.release.namespace,
        "values": values,
        "needs": install.needs,
        "shell_chart": format!("'{}'", chart.replace('\'', "'\\''")),
        "chart": chart,
    })
}
