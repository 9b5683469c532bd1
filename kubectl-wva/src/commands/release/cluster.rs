//! What the chart's templates ask the cluster while they are rendered.

use std::sync::mpsc as blocking;

use chart_render::{Chart, Cluster, KubeVersion, Options, Release, Rendered, Values, Wanted};
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::discovery::{ApiCapabilities, Discovery, Scope};
use kube::{Api, Client};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::Error;
use crate::session::{self, Session};
use crate::writers::install;

/// The kinds that a cluster serves, and its version.
pub(crate) struct Served {
    /// Version of Kubernetes, such as `v1.35.2`.
    pub(crate) version: String,
    kinds: Discovery,
}

impl Served {
    /// Asks for all of it.
    ///
    /// # Errors
    /// When a request fails.
    pub(crate) async fn ask(session: &Session) -> Result<Self, session::Error> {
        let version = session.ask("ask for the version of Kubernetes", session.client.apiserver_version()).await?;
        let discovery = || Discovery::new(session.client.clone());
        let doing = "look up the kinds the cluster knows";
        // Without aggregated discovery the answer reads as "no kinds at all".
        let kinds = match discovery().run_aggregated().await {
            Ok(found) if found.has_group("") => found,
            _ => session.ask(doing, discovery().run()).await?,
        };
        Ok(Self { version: version.git_version, kinds })
    }

    /// Whether a kind is served, such as `ServiceMonitor` of `monitoring.coreos.com/v1`.
    pub(crate) fn has(&self, api_version: &str, kind: &str) -> bool {
        self.find(api_version, kind).is_some()
    }

    pub(crate) fn find(&self, api_version: &str, kind: &str) -> Option<(ApiResource, ApiCapabilities)> {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        self.kinds.resolve_gvk(&GroupVersionKind::gvk(group, version, kind))
    }

    /// As helm tells templates: every group version, and every kind behind it.
    fn api_versions(&self) -> Vec<String> {
        let mut found = Vec::new();
        for group in self.kinds.groups() {
            for version in group.versions() {
                let resources = group.versioned_resources(version);
                let name =
                    if group.name().is_empty() { version.to_owned() } else { format!("{}/{version}", group.name()) };
                found.extend(resources.iter().map(|(resource, _)| format!("{name}/{}", resource.kind)));
                found.push(name);
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// Renders the chart for this cluster, as `helm install` and `helm upgrade` do.
pub(crate) async fn render(
    session: &Session,
    served: &Served,
    chart: Chart,
    values: Values,
    release: Release,
) -> Result<Rendered, Error> {
    type Question = (Wanted, blocking::Sender<Result<Value, String>>);
    let (ask, mut questions) = mpsc::unbounded_channel::<Question>();
    // Templates run on a thread of their own and wait for each answer; the requests are made here.
    let cluster = Cluster::new(served.api_versions(), move |wanted| {
        let (answer, heard) = blocking::channel();
        let gone = || "the connection to the cluster has ended".to_owned();
        ask.send((wanted.clone(), answer)).map_err(|_| gone())?;
        heard.recv().map_err(|_| gone())?
    });
    let kube_version: KubeVersion = served.version.parse().unwrap_or_default();
    let options = Options { kube_version, cluster: Some(cluster), ..Options::default() };
    let rendering =
        tokio::task::spawn_blocking(move || chart_render::render(&chart, values, &release, &options).map_err(Box::new));
    while let Some((wanted, answer)) = questions.recv().await {
        // A renderer that has given up needs no answer.
        let _ = answer.send(find(session, served, &wanted).await);
    }
    let rendered = rendering.await.map_err(|error| chart_render::Error::Thread(error.to_string()));
    Ok(rendered.map_err(Box::new).and_then(|rendered| rendered).map_err(install::Error::from)?)
}

/// What a template looks up: an object, a list, or null.
async fn find(session: &Session, served: &Served, wanted: &Wanted) -> Result<Value, String> {
    let Wanted { api_version, kind, namespace, name } = wanted;
    let (resource, capabilities) = served
        .find(api_version, kind)
        .ok_or_else(|| format!("could not look up {kind} {name}: the cluster does not know {kind} ({api_version})"))?;
    let api = api(&session.client, &resource, &capabilities, namespace);
    let doing = format!("look up {kind} {name}");
    let found = if name.is_empty() {
        let list = session.ask(doing, api.list(&ListParams::default())).await;
        list.map(
            |list| serde_json::json!({"apiVersion": api_version, "kind": format!("{kind}List"), "items": list.items}),
        )
    } else {
        session.ask(doing, api.get(name)).await.map(|object| serde_json::to_value(object).unwrap_or_default())
    };
    match found {
        Err(session::Error::NotFound { .. }) => Ok(Value::Null),
        found => found.map_err(|error| error.to_string()),
    }
}

fn api(client: &Client, resource: &ApiResource, capabilities: &ApiCapabilities, namespace: &str) -> Api<DynamicObject> {
    if capabilities.scope == Scope::Namespaced && !namespace.is_empty() {
        Api::namespaced_with(client.clone(), namespace, resource)
    } else {
        Api::all_with(client.clone(), resource)
    }
}
