//! Reviews and token requests: questions that are answered and not stored.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::action::Action;
use super::attributes::Operation;
use super::clock;
use super::failure::Failure;
use super::state::{Call, State};
use super::store::{GroupResource, Key};
use super::tokens::{API_AUDIENCE, User};

/// Tokens live an hour unless asked otherwise.
const TOKEN_SECONDS: i64 = 3600;

impl State {
    /// Answers a review by the rules that requests are authorised by.
    pub(super) fn review(&self, call: &Call, mut review: Value) -> Value {
        let caller = &call.user;
        if !review.is_object() {
            review = json!({});
        }
        review["apiVersion"] = json!(call.resource.api_version());
        review["kind"] = json!(call.resource.kind);
        if !review["metadata"].is_object() {
            review["metadata"] = json!({});
        }
        review["status"] = match call.resource.kind.as_str() {
            "TokenReview" => self.token_review(&review["spec"]),
            "SelfSubjectReview" => {
                review["metadata"]["creationTimestamp"] = json!(call.now);
                json!({"userInfo": user_info(caller)})
            }
            "SelfSubjectRulesReview" => self.rules_of(caller, review["spec"]["namespace"].as_str().unwrap_or_default()),
            "SelfSubjectAccessReview" => self.access_review(&review["spec"], caller),
            _ => self.access_review(&review["spec"], &subject(&review["spec"])),
        };
        review
    }

    fn access_review(&self, spec: &Value, user: &User) -> Value {
        let decision = self.decide(user, &reviewed_action(spec));
        let mut status = json!({"allowed": decision.allowed});
        if !decision.reason.is_empty() {
            status["reason"] = json!(decision.reason);
        }
        status
    }

    fn token_review(&self, spec: &Value) -> Value {
        let token = spec["token"].as_str().unwrap_or_default();
        let Some((user, issued_for)) = self.tokens.user(token, Timestamp::now()) else {
            return json!({"authenticated": false, "user": {}, "error": "invalid bearer token"});
        };
        let asked: Vec<&str> = spec["audiences"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let asked = if asked.is_empty() { vec![API_AUDIENCE] } else { asked };
        let common: Vec<&str> = asked.into_iter().filter(|wanted| issued_for.iter().any(|has| has == wanted)).collect();
        if common.is_empty() {
            return json!({"authenticated": false, "user": {}, "error": "token audiences do not match"});
        }
        json!({"authenticated": true, "user": user_info(user), "audiences": common})
    }

    /// Issues a token for the service account the call names.
    pub(super) fn request_token(&mut self, call: &Call, mut request: Value) -> Result<Value, Failure> {
        self.admit_subresource(call, Operation::Create, None, &mut request)?;
        let account = self.read(call)?;
        let audiences: Vec<String> = request["spec"]["audiences"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|audience| Some(audience.as_str()?.to_owned()))
            .collect();
        let audiences = if audiences.is_empty() { vec![API_AUDIENCE.to_owned()] } else { audiences };
        let seconds = request["spec"]["expirationSeconds"].as_i64().unwrap_or(TOKEN_SECONDS);
        let now = Timestamp::now();
        let expires = now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
        let bound = &request["spec"]["boundObjectRef"];
        let pod = bound["name"].as_str().filter(|_| bound["kind"] == "Pod").unwrap_or_default();
        let token = self.tokens.issue(&account, pod, audiences.clone(), now, Some(expires));
        if !request.is_object() {
            request = json!({});
        }
        request["apiVersion"] = json!("authentication.k8s.io/v1");
        request["kind"] = json!("TokenRequest");
        request["metadata"] =
            json!({"name": call.target.name, "namespace": call.target.namespace, "creationTimestamp": call.now});
        request["spec"]["audiences"] = json!(audiences);
        request["spec"]["expirationSeconds"] = json!(seconds);
        request["status"] = json!({"token": token, "expirationTimestamp": clock::seconds(expires)});
        Ok(request)
    }

    /// Fills a Secret of type `kubernetes.io/service-account-token` with a token that does not expire.
    pub(super) fn fill_token_secret(&mut self, secret: &mut Value) {
        if secret["type"] != "kubernetes.io/service-account-token" || secret["data"]["token"].is_string() {
            return;
        }
        let namespace = secret["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
        let annotation = &secret["metadata"]["annotations"]["kubernetes.io/service-account.name"];
        let name = annotation.as_str().unwrap_or_default().to_owned();
        let accounts = GroupResource::new("", "serviceaccounts");
        let Some(account) = self.store.get(&accounts, &Key::new(&namespace, &name)).cloned() else { return };
        let token = self.tokens.issue(&account, "", vec![API_AUDIENCE.to_owned()], Timestamp::now(), None);
        secret["metadata"]["annotations"]["kubernetes.io/service-account.uid"] = account["metadata"]["uid"].clone();
        if !secret["data"].is_object() {
            secret["data"] = json!({});
        }
        secret["data"]["token"] = json!(super::body::base64(token.as_bytes()));
        secret["data"]["namespace"] = json!(super::body::base64(namespace.as_bytes()));
    }
}

fn user_info(user: &User) -> Value {
    let mut info = json!({"username": user.name, "groups": user.groups});
    if !user.uid.is_empty() {
        info["uid"] = json!(user.uid);
    }
    let mut extra = user.extra.clone();
    if !user.pod.is_empty() {
        extra.insert("authentication.kubernetes.io/pod-name".to_owned(), vec![user.pod.clone()]);
    }
    if !extra.is_empty() {
        info["extra"] = json!(extra);
    }
    info
}

/// Whom a `SubjectAccessReview` is about. Its groups are taken as they are.
fn subject(spec: &Value) -> User {
    let text = |key: &str| spec[key].as_str().unwrap_or_default().to_owned();
    let groups = spec["groups"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let groups = groups.map(ToOwned::to_owned).collect();
    User { name: text("user"), uid: text("uid"), groups, extra: BTreeMap::new(), pod: String::new() }
}

/// What a review asks about.
fn reviewed_action(spec: &Value) -> Action {
    let text = |attributes: &Value, key: &str| attributes[key].as_str().unwrap_or_default().to_owned();
    let path = &spec["nonResourceAttributes"];
    if path.is_object() {
        return Action { verb: text(path, "verb"), path: text(path, "path"), ..Action::default() };
    }
    let resource = &spec["resourceAttributes"];
    Action {
        verb: text(resource, "verb"),
        group: text(resource, "group"),
        resource: text(resource, "resource"),
        subresource: text(resource, "subresource"),
        namespace: text(resource, "namespace"),
        name: text(resource, "name"),
        path: String::new(),
    }
}
