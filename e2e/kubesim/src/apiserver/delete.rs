//! Deleting objects: graceful, through finalizers, one or many.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::attributes::{Attributes, Operation};
use super::authorization;
use super::clock;
use super::convert;
use super::failure::Failure;
use super::selector::Selector;
use super::state::{Call, ROOT_CA, State};
use super::store::{GroupResource, Key};
use super::webhooks::NoPlugins;

/// What a delete request asks for, from its body and its query.
#[derive(Debug, Clone, Default)]
pub(super) struct DeleteOptions {
    grace_period: Option<i64>,
    propagation: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    dry_run: bool,
}

/// What became of the object.
#[derive(Debug)]
pub(super) enum Deleted {
    Gone(Arc<Value>),
    /// Still there, with a deletion timestamp, until its finalizers or its grace period are done.
    Terminating(Arc<Value>),
}

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

impl DeleteOptions {
    pub(super) fn new(call: &Call, body: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
        let query = |key: &str| call.query.get(key).map(ToOwned::to_owned);
        let orphan = (body["orphanDependents"] == true).then(|| "Orphan".to_owned());
        Self {
            grace_period: body["gracePeriodSeconds"]
                .as_i64()
                .or_else(|| call.query.get("gracePeriodSeconds")?.parse().ok()),
            propagation: text(&body["propagationPolicy"])
                .or_else(|| query("propagationPolicy"))
                .or(orphan)
                .or_else(|| call.orphans_by_default().then(|| "Orphan".to_owned())),
            uid: text(&body["preconditions"]["uid"]),
            resource_version: text(&body["preconditions"]["resourceVersion"]),
            dry_run: call.query.dry_run() || body["dryRun"].as_array().is_some_and(|all| !all.is_empty()),
        }
    }

    fn check(&self, call: &Call, key: &Key, object: &Value) -> Result<(), Failure> {
        let refuse = |what: &str, wanted: &str, found: &Value, guess: &str| {
            let why = format!(
                "the {what} in the precondition ({wanted}) does not match the {what} in record ({}). The object might have \
                 been {guess}",
                found.as_str().unwrap_or_default()
            );
            Err(Failure::conflict(&call.resource.group, &call.resource.kind, &key.name, &why))
        };
        let metadata = &object["metadata"];
        match (&self.uid, &self.resource_version) {
            (Some(uid), _) if metadata["uid"] != uid.as_str() => {
                refuse("UID", uid, &metadata["uid"], "deleted and then recreated")
            }
            (_, Some(version)) if metadata["resourceVersion"] != version.as_str() => {
                refuse("ResourceVersion", version, &metadata["resourceVersion"], "modified")
            }
            _ => Ok(()),
        }
    }
}

/// What the deletion of a Job without a policy is warned of.
const JOB_WARNING: &str = "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to \
    remove them or set propagationPolicy=Orphan to suppress this warning";

impl Call {
    /// Jobs leave their pods behind unless told otherwise.
    fn orphans_by_default(&self) -> bool {
        let job = (self.resource.group.as_str(), self.resource.kind.as_str()) == ("batch", "Job");
        if job {
            self.warn(JOB_WARNING.to_owned());
        }
        job
    }
}

impl State {
    /// Deletes an object, when admission does not mind.
    pub(super) fn delete(&mut self, call: &Call, key: &Key, options: &DeleteOptions) -> Result<Deleted, Failure> {
        if let Some(object) = self.store.get(call.stored_as(), key) {
            self.admit_deletion(call, object)?;
        }
        self.delete_admitted(call, key, options)
    }

    fn admit_deletion(&self, call: &Call, stored: &Value) -> Result<(), Failure> {
        let old = convert::to_served(&call.resource, stored);
        self.mutate(call, Operation::Delete, Some(&old), &mut Value::Null, &NoPlugins)?;
        self.judge_request(&Attributes::of_deletion(call, &old))
    }

    /// Deletes an object about which nobody is asked any more.
    pub(super) fn delete_admitted(
        &mut self,
        call: &Call,
        key: &Key,
        options: &DeleteOptions,
    ) -> Result<Deleted, Failure> {
        let resource = call.stored_as();
        let object = self
            .store
            .get(resource, key)
            .cloned()
            .ok_or_else(|| Failure::not_found(&call.resource.group, &call.resource.plural, &key.name))?;
        options.check(call, key, &object)?;
        if call.resource.kind == "Namespace" && matches!(&*key.name, "default" | "kube-system" | "kube-public") {
            return Err(Failure::forbidden("", "namespaces", &key.name, "this namespace may not be deleted"));
        }
        let mut marked = (*object).clone();
        let waits = mark(call, &mut marked, options);
        if call.resource.kind == "PersistentVolumeClaim" && waits && !options.dry_run {
            // Nothing keeps track of the pods that use a claim, so nothing protects it for long.
            let claim = self.store.put(resource, key.clone(), marked);
            self.release_claim(resource, key);
            return Ok(Deleted::Terminating(claim));
        }
        if options.dry_run {
            return Ok(if waits { Deleted::Terminating(Arc::new(marked)) } else { Deleted::Gone(object) });
        }
        if waits {
            let unchanged = marked == *object;
            let kept = if unchanged { object } else { self.store.put(resource, key.clone(), marked) };
            return Ok(Deleted::Terminating(kept));
        }
        let gone = self.remove(resource, key).unwrap_or(object);
        Ok(Deleted::Gone(if call.resource.kind == "Pod" { Arc::new(deleted_at_once(call, &gone)) } else { gone }))
    }

    fn release_claim(&mut self, resource: &GroupResource, key: &Key) {
        let Some(claim) = self.store.get(resource, key) else { return };
        let mut claim = (**claim).clone();
        if let Some(finalizers) = claim["metadata"]["finalizers"].as_array_mut() {
            finalizers.retain(|name| name != "kubernetes.io/pvc-protection");
        }
        self.store.put(resource, key.clone(), claim);
        self.remove_if_finalized(resource, key);
    }

    /// Deletes every object the selector matches and returns them as they were.
    pub(super) fn delete_collection(
        &mut self,
        call: &Call,
        selector: &Selector,
        options: &DeleteOptions,
    ) -> Result<Vec<Arc<Value>>, Failure> {
        let namespace = call.resource.namespaced.then_some(call.target.namespace.as_str()).filter(|ns| !ns.is_empty());
        let matching: Vec<(Key, Arc<Value>)> = self
            .store
            .list(call.stored_as(), namespace)
            .filter(|(_, object)| selector.matches(object))
            .map(|(key, object)| (key.clone(), Arc::clone(object)))
            .collect();
        // What webhooks have to say is known of all objects before the first one goes.
        let admitted: Vec<Result<(), Failure>> =
            matching.iter().map(|(_, object)| self.admit_deletion(call, object)).collect();
        if call.waits() {
            admitted.into_iter().collect::<Result<(), Failure>>()?;
            return Ok(Vec::new());
        }
        for ((key, _), admitted) in matching.iter().zip(admitted) {
            admitted?;
            self.delete_admitted(call, key, options)?;
        }
        Ok(matching.into_iter().map(|(_, object)| object).collect())
    }

    /// Takes an object out of the store, with what hangs on it.
    pub(super) fn remove(&mut self, resource: &GroupResource, key: &Key) -> Option<Arc<Value>> {
        let removed = self.store.remove(resource, key)?;
        self.removed(resource, &removed);
        Some(removed)
    }

    /// Removes an object whose deletion only waited for finalizers that are gone now.
    pub(super) fn remove_if_finalized(&mut self, resource: &GroupResource, key: &Key) {
        if self.store.get(resource, key).is_some_and(|object| is_finalized(resource, object)) {
            self.remove(resource, key);
        }
    }
}

impl State {
    /// Follows up on the removal of an object.
    fn removed(&mut self, resource: &GroupResource, object: &Value) {
        match (&*resource.group, &*resource.plural) {
            ("", "services") => self.forget_reservations(object),
            ("", "configmaps") if object["metadata"]["name"] == ROOT_CA => {
                let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
                self.publish_root_ca(&namespace, &clock::now());
            }
            (authorization::GROUP, "clusterroles") => self.aggregate_roles(),
            ("apiextensions.k8s.io", "customresourcedefinitions") => self.withdraw_definition(object),
            _ => {}
        }
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
        self.recount(&namespace);
    }
}

/// Whether nothing keeps an object any more that is being deleted.
pub(super) fn is_finalized(resource: &GroupResource, object: &Value) -> bool {
    let metadata = &object["metadata"];
    let terminating = metadata.get("deletionTimestamp").is_some();
    let graceful = metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) > 0;
    terminating && !graceful && finalizers(metadata).is_empty() && !namespace_in_use(resource, object)
}

fn namespace_in_use(resource: &GroupResource, object: &Value) -> bool {
    resource.group.is_empty()
        && resource.plural == "namespaces"
        && object["spec"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty())
}

fn finalizers(metadata: &Value) -> Vec<&str> {
    metadata["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Marks `object` for deletion; false when nothing keeps it from going at once.
fn mark(call: &Call, object: &mut Value, options: &DeleteOptions) -> bool {
    let added = match options.propagation.as_deref() {
        Some("Foreground") => Some(FOREGROUND),
        Some("Orphan") => Some(ORPHAN),
        _ => None,
    };
    if let Some(added) = added
        && !finalizers(&object["metadata"]).contains(&added)
    {
        match object["metadata"]["finalizers"].as_array_mut() {
            Some(finalizers) => finalizers.push(json!(added)),
            None => object["metadata"]["finalizers"] = json!([added]),
        }
    }
    let grace = grace_period(call, object, options);
    let waits = !finalizers(&object["metadata"]).is_empty() || grace > 0 || namespace_in_use(call.stored_as(), object);
    if !waits {
        return false;
    }
    if call.resource.kind == "Namespace" {
        object["status"]["phase"] = json!("Terminating");
    }
    let first_time = object["metadata"].get("deletionTimestamp").is_none();
    let shortened = object["metadata"]["deletionGracePeriodSeconds"].as_i64().is_some_and(|before| grace < before);
    if first_time || shortened {
        let now: Timestamp = call.now.parse().unwrap_or(Timestamp::UNIX_EPOCH);
        let end = now.checked_add(SignedDuration::from_secs(grace)).unwrap_or(now);
        object["metadata"]["deletionTimestamp"] = json!(clock::seconds(end));
        if call.resource.kind != "Namespace" {
            object["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
        }
        if first_time && let Some(generation) = object["metadata"]["generation"].as_i64() {
            object["metadata"]["generation"] = json!(generation + 1);
        }
    }
    true
}

/// A pod that went without a wait, as its deletion answers.
fn deleted_at_once(call: &Call, pod: &Value) -> Value {
    let mut pod = pod.clone();
    let metadata = &mut pod["metadata"];
    if metadata.get("deletionTimestamp").is_none() {
        metadata["deletionTimestamp"] = json!(call.now);
        if let Some(generation) = metadata["generation"].as_i64() {
            metadata["generation"] = json!(generation + 1);
        }
    }
    metadata["deletionGracePeriodSeconds"] = json!(0);
    pod
}

/// Only pods that run somewhere get time to stop: nobody would end the deletion of the others.
fn grace_period(call: &Call, object: &Value, options: &DeleteOptions) -> i64 {
    let running = call.resource.kind == "Pod"
        && object["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty())
        && !matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    if !running {
        return 0;
    }
    let default = object["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(30);
    options.grace_period.unwrap_or(default).max(0)
}
