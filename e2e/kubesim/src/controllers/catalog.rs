//! The kinds of objects a server has, custom ones included.

use kube::{
    Client,
    api::ApiResource,
    discovery::{Discovery, Scope, verbs},
};

/// One kind that can be listed, watched and deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) resource: ApiResource,
    pub(super) namespaced: bool,
}

/// All kinds whose objects can be listed, watched and deleted, in their preferred versions. Events are left out: they own
/// nothing, are owned by nobody, and are many. A group whose server does not answer is listed without kinds.
pub(super) async fn discover(client: &Client) -> Result<Vec<Listed>, kube::Error> {
    let discovery = Discovery::new(client.clone()).run_aggregated().await?;
    let mut listed = Vec::new();
    for group in discovery.groups() {
        for (resource, capabilities) in group.recommended_resources() {
            let usable =
                [verbs::LIST, verbs::WATCH, verbs::DELETE].iter().all(|verb| capabilities.supports_operation(verb));
            if usable && resource.kind != "Event" {
                listed.push(Listed { resource, namespaced: capabilities.scope == Scope::Namespaced });
            }
        }
    }
    Ok(listed)
}
