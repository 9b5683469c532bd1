//! The watches on the metadata of all objects.

use futures::{StreamExt, stream::BoxStream};
use k8s_openapi::{
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject},
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event},
    },
};
use tokio::sync::mpsc;
use tracing::debug;

use super::graph::{KindIndex, Uid};

/// What the watches tell.
pub(super) enum News {
    Present(KindIndex, Uid, Box<ObjectMeta>),
    Gone(Uid),
    /// A complete list: objects of the kind that are not in it are gone.
    Listed(KindIndex, Vec<(Uid, ObjectMeta)>),
}

/// Ticks whenever a custom kind comes, changes or goes.
pub(super) fn definitions(client: &Client) -> BoxStream<'static, ()> {
    let api: Api<PartialObjectMeta<CustomResourceDefinition>> = Api::all(client.clone());
    watcher::watcher(api, watcher::Config::default()).default_backoff().map(|_| ()).boxed()
}

/// Tells everything about the objects of one kind.
pub(super) async fn watch(client: Client, resource: ApiResource, kind: KindIndex, news: mpsc::UnboundedSender<News>) {
    let api: Api<PartialObjectMeta<DynamicObject>> = Api::all_with(client, &resource);
    let mut events = watcher::watcher(api, watcher::Config::default()).default_backoff().boxed();
    let mut listing = Vec::new();
    while let Some(event) = events.next().await {
        let told = match event {
            Ok(Event::Init) => {
                listing.clear();
                continue;
            }
            Ok(Event::InitApply(object)) => {
                listing.extend(object.metadata.uid.clone().map(|uid| (uid, object.metadata)));
                continue;
            }
            Ok(Event::InitDone) => News::Listed(kind, std::mem::take(&mut listing)),
            Ok(Event::Apply(object)) => match object.metadata.uid.clone() {
                Some(uid) => News::Present(kind, uid, Box::new(object.metadata)),
                None => continue,
            },
            Ok(Event::Delete(object)) => match object.metadata.uid {
                Some(uid) => News::Gone(uid),
                None => continue,
            },
            Err(error) => {
                debug!(kind = resource.kind, %error, "Watch for garbage collection failed, trying again");
                continue;
            }
        };
        if news.send(told).is_err() {
            return;
        }
    }
}
