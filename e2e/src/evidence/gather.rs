//! Asking the cluster, Prometheus and the API server's record.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use futures::future::join_all;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{Api, ListParams};
use serde_json::Value;
use wva_api::metrics;

use super::Scope;
use super::timeline::{self, Line, Timeline};
use crate::environment::Environment;
use crate::prometheus::Range;
use crate::providers::Capability;

/// Kinds whose objects are kept; Secrets are not among them.
const KINDS: &str = "va,deployments,replicasets,pods,hpa,services,configmaps,leases,serviceaccounts";

/// Collects everything into `dir`; gives the timeline as text.
pub(super) async fn all(environment: &Environment, scope: Scope<'_>, dir: &Path) -> String {
    let keep = Keep { environment, scope, dir: dir.to_owned() };
    // The logs first: pods may be on their way out.
    let (logs, (), (), (), (), timeline) =
        tokio::join!(keep.logs(), keep.objects(), keep.decisions(), keep.metrics(), keep.requests(), keep.timeline());
    environment.collect(dir).await;
    if let Err(error) = logs {
        keep.lacks("logs", &error);
    }
    timeline
}

struct Keep<'a> {
    environment: &'a Environment,
    scope: Scope<'a>,
    dir: PathBuf,
}

impl Keep<'_> {
    /// Writes a file; one that cannot be written is told, for it can be nothing but a full disk.
    fn write(&self, path: &str, content: &str) {
        let path = self.dir.join(path);
        let parent = path.parent().unwrap_or(&self.dir);
        if let Err(error) = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, content)) {
            tracing::warn!(path = %path.display(), %error, "A piece of evidence cannot be written");
        }
    }

    fn lacks(&self, what: &str, why: &dyn std::fmt::Display) {
        use std::io::Write as _;
        let file = std::fs::File::options().create(true).append(true).open(self.dir.join("missing.txt"));
        // Told only: there is no better place.
        let _ = file.and_then(|mut file| writeln!(file, "{what}: {why}"));
    }

    /// What kubectl prints, or why it does not.
    async fn kubectl(&self, path: &str, args: &[&str]) {
        match self.environment.kubectl().run(args).await {
            Ok(text) => self.write(path, &text),
            Err(error) => self.lacks(path, &error),
        }
    }

    fn places(&self) -> Vec<(String, Vec<&str>)> {
        if self.scope.namespaces.is_empty() {
            return vec![("all".to_owned(), vec!["--all-namespaces"])];
        }
        self.scope.namespaces.iter().map(|name| ((*name).to_owned(), vec!["--namespace", *name])).collect()
    }

    async fn objects(&self) {
        let places = self.places();
        let objects = places.iter().map(|(name, place)| {
            let path = format!("objects/{name}.yaml");
            async move { self.kubectl(&path, &[&["get", KINDS, "-o", "yaml"], place.as_slice()].concat()).await }
        });
        join_all(objects).await;
    }

    fn namespaced<K>(&self) -> Vec<Api<K>>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        let client = self.environment.client();
        match self.scope.namespaces {
            [] => vec![Api::all(client)],
            names => names.iter().map(|name| Api::namespaced(client.clone(), name)).collect(),
        }
    }

    async fn pods(&self) -> Result<Vec<Pod>, kube::Error> {
        let mut pods = Vec::new();
        for api in self.namespaced::<Pod>() {
            pods.extend(api.list(&ListParams::default()).await?);
        }
        Ok(pods)
    }

    async fn logs(&self) -> Result<(), kube::Error> {
        let pods = self.pods().await?;
        let logs = pods.iter().flat_map(|pod| {
            let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            let containers =
                pod.status.as_ref().and_then(|status| status.container_statuses.as_ref()).into_iter().flatten();
            containers.flat_map(move |container| {
                let restarted = container.restart_count > 0;
                [("", true), (".previous", restarted)].into_iter().filter(|(_, there)| *there).map(
                    move |(suffix, _)| {
                        let path = format!("logs/{name}.{}{suffix}.log", container.name);
                        async move {
                            let previous = format!("--previous={}", !suffix.is_empty());
                            let args =
                                ["logs", "--namespace", namespace, name, "--container", &container.name, &previous];
                            self.kubectl(&path, &args).await;
                        }
                    },
                )
            })
        });
        join_all(logs).await;
        Ok(())
    }

    /// Every variant explained by the plugin, with the state it was decided on.
    async fn decisions(&self) {
        for (_, place) in self.places() {
            let format = "jsonpath={range .items[*]}{.metadata.namespace} {.metadata.name}{\"\\n\"}{end}";
            let list = [&["get", "va", "-o", format], place.as_slice()].concat();
            let list = self.environment.kubectl().run(&list).await;
            let variants = match list {
                Ok(list) => list,
                Err(error) => return self.lacks("decisions", &error),
            };
            for (namespace, name) in variants.lines().filter_map(|line| line.split_once(' ')) {
                let path = format!("decisions/{namespace}.{name}");
                let state = self.dir.join(format!("{path}.json"));
                let state = state.to_string_lossy();
                self.write(&format!("{path}.txt"), "");
                match self
                    .environment
                    .kubectl()
                    .wva(&["explain", name, "--namespace", namespace, "--save", &state])
                    .await
                {
                    Ok(text) => self.write(&format!("{path}.txt"), &text),
                    Err(error) => self.lacks(&path, &error),
                }
            }
        }
    }

    /// A matcher for the namespaces, for the label that holds them.
    fn matcher(&self, label: &str) -> String {
        match self.scope.namespaces {
            [] => format!("{label}!=\"\""),
            names => format!("{label}=~\"{}\"", names.join("|")),
        }
    }

    async fn metrics(&self) {
        let prometheus = self.environment.prometheus();
        let mut text = String::new();
        for label in ["namespace", metrics::LABEL_EXPORTED_NAMESPACE] {
            match prometheus.query(&format!("{{{}}}", self.matcher(label))).await {
                Ok(series) => {
                    for series in series {
                        let _ = writeln!(text, "{} {}", shown(&series.labels), series.value);
                    }
                }
                Err(error) => self.lacks("metrics.txt", &error),
            }
        }
        let mut lines: Vec<_> = text.lines().collect();
        lines.sort_unstable();
        lines.dedup();
        self.write("metrics.txt", &(lines.join("\n") + "\n"));
    }

    /// What users of the namespaces asked for: their service accounts carry the namespace in their names.
    async fn requests(&self) {
        if !self.environment.facts().can(Capability::RequestRecord) {
            return self.lacks(
                "requests.json",
                &"this API server keeps no record; where there is an audit log, it is below nodes/",
            );
        }
        let record = match self.environment.kubectl().run(&["get", "--raw", "/debug/requests"]).await {
            Ok(record) => record,
            Err(error) => return self.lacks("requests.json", &error),
        };
        let entries: Vec<Value> = match serde_json::from_str(&record) {
            Ok(entries) => entries,
            Err(error) => return self.lacks("requests.json", &error),
        };
        let ours = |entry: &Value| {
            let user = entry["user"].as_str().unwrap_or_default();
            let account = user.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split(':').next());
            self.scope.namespaces.is_empty()
                || account.is_some_and(|namespace| self.scope.namespaces.contains(&namespace))
        };
        let entries: Vec<Value> = entries.into_iter().filter(ours).collect();
        self.write("requests.json", &format!("{:#}\n", Value::from(entries)));
    }

    async fn timeline(&self) -> String {
        let begun = self.scope.begun.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let ours = self.matcher(metrics::LABEL_EXPORTED_NAMESPACE);
        let servers = self.matcher("namespace");
        let queries = [
            (format!("{}{{{ours}}}", metrics::DESIRED_REPLICAS), "wanted"),
            (format!("{}{{{ours}}}", metrics::CURRENT_REPLICAS), "there"),
            (
                format!(
                    "sum by (namespace, model_name) ({{__name__=~\"vllm:num_requests_(running|waiting)\",{servers}}})"
                ),
                "requests",
            ),
        ];
        let mut drawn = Timeline::default();
        for (query, word) in queries {
            match self.environment.prometheus().range(&query, begun, now).await {
                Ok(ranges) if word == "requests" => {
                    drawn.load.extend(ranges.iter().map(|range| line(range, word, begun)));
                }
                Ok(ranges) => drawn.replicas.extend(ranges.iter().map(|range| line(range, word, begun))),
                Err(error) => self.lacks("timeline", &error),
            }
        }
        drawn.replicas.sort_by(|a, b| a.name.cmp(&b.name));
        drawn.load.sort_by(|a, b| a.name.cmp(&b.name));
        let mut events = Vec::new();
        for api in self.namespaced::<Event>() {
            match api.list(&ListParams::default()).await {
                Ok(list) => events.extend(list),
                Err(error) => self.lacks("events.txt", &error),
            }
        }
        let mut told: Vec<(f64, Event)> =
            events.into_iter().filter_map(|event| Some((moment(&event)? - begun, event))).collect();
        told.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        self.write(
            "events.txt",
            &told.iter().fold(String::new(), |mut text, (at, event)| {
                // Writing to a String does not fail.
                let _ = writeln!(text, "{at:7.1} s  {}", sentence(event));
                text
            }),
        );
        // Of the controllers only: what nodes and Deployments say of every pod would hide it.
        drawn.events = told
            .into_iter()
            .filter(|(_, event)| event.involved_object.kind.as_deref() == Some("VariantAutoscaling"))
            .map(|(at, event)| timeline::Event {
                at: at.max(0.0),
                about: format!(
                    "{}/{}",
                    event.metadata.namespace.clone().unwrap_or_default(),
                    event.involved_object.name.clone().unwrap_or_default()
                ),
                reason: event.reason.unwrap_or_default(),
                message: event.message.unwrap_or_default(),
            })
            .collect();
        let text = drawn.text();
        self.write("timeline.txt", &text);
        self.write("timeline.svg", &drawn.svg());
        text
    }
}

fn line(range: &Range, word: &str, begun: f64) -> Line {
    let label = |name: &str| range.labels.get(name).cloned().unwrap_or_default();
    let name = if word == "requests" {
        format!("{} {}", label("model_name"), word)
    } else {
        let instance = label(metrics::LABEL_CONTROLLER_INSTANCE);
        let by = if instance.is_empty() { String::new() } else { format!(" ({instance})") };
        format!("{}/{}{by} {word}", label(metrics::LABEL_EXPORTED_NAMESPACE), label(metrics::LABEL_VARIANT_NAME))
    };
    Line { name, points: range.points.iter().map(|(at, value)| (at - begun, *value)).collect() }
}

/// A series as an exposition has it.
fn shown(labels: &BTreeMap<String, String>) -> String {
    let name = labels.get("__name__").cloned().unwrap_or_default();
    let pairs =
        labels.iter().filter(|(label, _)| *label != "__name__").map(|(label, value)| format!("{label}={value:?}"));
    format!("{name}{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

/// When an event happened last, in seconds since 1970.
fn moment(event: &Event) -> Option<f64> {
    let exact = event.event_time.as_ref().map(|time| time.0);
    let time = exact
        .or_else(|| event.last_timestamp.as_ref().map(|time| time.0))
        .or_else(|| event.metadata.creation_timestamp.as_ref().map(|time| time.0))?;
    Some(time.as_duration().as_secs_f64())
}

fn sentence(event: &Event) -> String {
    let object = &event.involved_object;
    format!(
        "{} {}/{}: {}: {}",
        object.kind.as_deref().unwrap_or_default(),
        event.metadata.namespace.as_deref().unwrap_or_default(),
        object.name.as_deref().unwrap_or_default(),
        event.reason.as_deref().unwrap_or_default(),
        event.message.as_deref().unwrap_or_default()
    )
}
