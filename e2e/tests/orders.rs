//! Five releases of each kind, installed and removed in each of the 120 orders, on the API server alone: every object
//! is new when its release comes, and no other release's object changes when it goes.
//!
//! On an API server of its own: all objects of the chart in it are compared.

use std::collections::{BTreeSet, HashSet};

use futures::future::join_all;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::{Client, Config, ResourceExt as _};
use kubesim::apiserver::{self, Server};
use rstest::rstest;
use serde_json::json;
use wva_e2e::neighbours::{self, DEFAULTS, HOSTILE, Place};

/// The objects of a release, ready to be sent.
type Objects = Vec<(Api<DynamicObject>, DynamicObject)>;

/// An API server with the definitions that the chart needs.
struct Cluster {
    _server: Server,
    client: Client,
    kinds: HashSet<GroupVersionKind>,
}

impl Cluster {
    async fn start() -> Self {
        let server = Server::start(apiserver::Options::default()).await.expect("the API server starts");
        let kubeconfig = Kubeconfig::from_yaml(&server.kubeconfig(None)).expect("a kubeconfig");
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("a config");
        let client = Client::try_from(config).expect("a client");
        let cluster = Self { _server: server, client, kinds: HashSet::new() };
        let chart = chart_render::Chart::embedded().expect("the chart");
        let ours = chart.crds().iter().map(|crd| crd.text.as_str());
        for text in ours.chain([include_str!("../manifests/definitions/servicemonitors.yaml")]) {
            cluster.create(serde_saphyr::from_str(text).expect("a definition")).await;
        }
        cluster
    }

    /// Makes an object that no release holds.
    async fn create(&self, object: DynamicObject) {
        let api = self.api(&object);
        api.create(&kube::api::PostParams::default(), &object).await.expect("the object is made");
    }

    fn api(&self, object: &DynamicObject) -> Api<DynamicObject> {
        let kind = GroupVersionKind::try_from(object.types.as_ref().expect("a kind")).expect("a kind");
        let resource = ApiResource::from_gvk(&kind);
        match object.namespace() {
            Some(namespace) => Api::namespaced_with(self.client.clone(), &namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    /// Names of all objects of the kinds that the releases hold.
    async fn present(&self) -> BTreeSet<String> {
        let mut present = BTreeSet::new();
        for kind in &self.kinds {
            let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &ApiResource::from_gvk(kind));
            let ours = ListParams::default().labels("app.kubernetes.io/name=workload-variant-autoscaler");
            let list = api.list(&ours).await.expect("a list");
            present.extend(list.items.iter().map(|object| identity(&kind.kind, object)));
        }
        present
    }
}

fn identity(kind: &str, object: &DynamicObject) -> String {
    format!("{kind} {}/{}", object.namespace().unwrap_or_default(), object.name_any())
}

/// Releases of one kind: what they hold, and which of them are there, in the order they came.
struct Releases {
    names: Vec<String>,
    objects: Vec<Objects>,
    installed: Vec<usize>,
}

impl Releases {
    /// Renders the releases, and notes their kinds.
    fn render(cluster: &mut Cluster, places: [Place; 5], model: bool) -> Self {
        let mut releases = Self { names: Vec::new(), objects: Vec::new(), installed: Vec::new() };
        for neighbour in neighbours::of(places).into_iter().filter(|neighbour| neighbour.model == model) {
            let installed = neighbour.rendered().expect("it renders");
            let objects = installed.objects.into_iter().map(|json| {
                let object: DynamicObject = serde_json::from_value(json).expect("an object");
                (cluster.api(&object), object)
            });
            releases.objects.push(objects.collect());
            releases.names.push(installed.name);
        }
        let kinds = releases.objects.iter().flatten().filter_map(|(_, object)| object.types.as_ref());
        cluster.kinds.extend(kinds.map(|types| GroupVersionKind::try_from(types).expect("a kind")));
        releases
    }

    /// Applies a release; each of its objects has no owner but this release then.
    async fn install(&mut self, index: usize) {
        let name = &self.names[index];
        let apply = &PatchParams::apply(&name.replace('/', "."));
        let requests = self.objects[index].iter().map(|(api, object)| async move {
            let applied = api.patch(&object.name_any(), apply, &Patch::Apply(object)).await;
            let said = |error: kube::Error| format!("{name}, {}: {error}", object.name_any());
            let applied = applied.map_err(said).expect("a release is applied");
            let managers: BTreeSet<Option<&String>> =
                applied.managed_fields().iter().map(|entry| entry.manager.as_ref()).collect();
            assert_eq!(managers.len(), 1, "{name} shares {}: {managers:?}", object.name_any());
        });
        join_all(requests).await;
        self.installed.push(index);
    }

    /// Removes a release; all that it installed is still there to be removed.
    async fn remove(&mut self, index: usize) {
        let name = &self.names[index];
        let requests = self.objects[index].iter().map(|(api, object)| async move {
            let removed = api.delete(&object.name_any(), &DeleteParams::default()).await;
            let said = |error: kube::Error| format!("{name}, {}: {error}", object.name_any());
            removed.map_err(said).expect("what was installed is there to be removed");
        });
        join_all(requests).await;
        self.installed.retain(|other| *other != index);
    }

    fn names_of_objects(&self) -> BTreeSet<String> {
        let present = self.installed.iter().flat_map(|index| &self.objects[*index]);
        present.map(|(_, object)| identity(&object.types.as_ref().expect("a kind").kind, object)).collect()
    }
}

/// All orders of five, so that neighbours in the list begin alike for as long as they can.
fn orders() -> Vec<Vec<usize>> {
    let mut orders = vec![Vec::new()];
    for _ in 0..5 {
        let longer = |order: Vec<usize>| {
            let rest = (0..5).filter(|index| !order.contains(index)).collect::<Vec<_>>();
            rest.into_iter().map(move |next| [&order[..], &[next]].concat())
        };
        orders = orders.into_iter().flat_map(longer).collect();
    }
    orders
}

/// How many steps two orders have in common at their beginning.
fn shared(left: &[usize], right: &[usize]) -> usize {
    left.iter().zip(right).take_while(|(left, right)| left == right).count()
}

#[rstest]
#[case::controllers_with_default_names(DEFAULTS, false)]
#[case::models_with_default_names(DEFAULTS, true)]
#[case::controllers_with_hostile_names(HOSTILE, false)]
#[case::models_with_hostile_names(HOSTILE, true)]
#[tokio::test(flavor = "multi_thread")]
async fn no_order_of_five_lets_one_release_touch_another(#[case] places: [Place; 5], #[case] model: bool) {
    let mut cluster = Cluster::start().await;
    for namespace in places.map(|(_, namespace)| namespace).into_iter().collect::<BTreeSet<_>>() {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        cluster.create(serde_json::from_value(object).expect("a namespace")).await;
    }
    let mut others = Releases::render(&mut cluster, places, !model);
    let mut five = Releases::render(&mut cluster, places, model);
    for index in 0..5 {
        others.install(index).await;
    }

    // An order begins where the one before it differs, so no step is taken twice from the same state.
    for order in orders() {
        let kept = shared(&five.installed, &order);
        for index in five.installed[kept..].iter().rev().copied().collect::<Vec<_>>() {
            five.remove(index).await;
        }
        for index in &order[kept..] {
            five.install(*index).await;
        }
        let expected = &others.names_of_objects() | &five.names_of_objects();
        assert_eq!(cluster.present().await, expected, "installed in the order {order:?}");
    }

    let mut removed = Vec::new();
    for order in orders() {
        let kept = shared(&removed, &order);
        for index in removed.split_off(kept).into_iter().rev() {
            five.install(index).await;
        }
        for index in &order[kept..] {
            // That each object was there to be removed shows that none of the releases before took it along.
            five.remove(*index).await;
            removed.push(*index);
        }
        assert_eq!(cluster.present().await, others.names_of_objects(), "removed in the order {order:?}");
    }
}
