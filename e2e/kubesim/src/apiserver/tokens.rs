//! Bearer tokens: who a request comes from.

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};

/// An authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) groups: Vec<String>,
    /// What else is known of them, by key.
    pub(super) extra: BTreeMap<String, Vec<String>>,
    /// The pod a token was issued to; empty for all others.
    pub(super) pod: String,
}

/// The group that may do everything, whatever the roles say.
pub(super) const MASTERS: &str = "system:masters";
/// The group of everybody who is known.
const AUTHENTICATED: &str = "system:authenticated";
/// Who comes without a token.
const ANONYMOUS: &str = "system:anonymous";

impl User {
    /// A user in these groups and in the one of all known users.
    pub(super) fn named(name: &str, groups: &[&str]) -> Self {
        let mut groups: Vec<String> = groups.iter().map(|&group| group.to_owned()).collect();
        let everybody = if name == ANONYMOUS { "system:unauthenticated" } else { AUTHENTICATED };
        if !groups.iter().any(|group| group == everybody) {
            groups.push(everybody.to_owned());
        }
        let (uid, pod) = (String::new(), String::new());
        Self { name: name.to_owned(), uid, groups, extra: BTreeMap::new(), pod }
    }

    pub(super) fn admin() -> Self {
        Self::named("kubernetes-admin", &[MASTERS])
    }

    pub(super) fn anonymous() -> Self {
        Self::named(ANONYMOUS, &[])
    }

    pub(super) fn service_account(namespace: &str, name: &str, uid: &str) -> Self {
        let groups = ["system:serviceaccounts", &format!("system:serviceaccounts:{namespace}")];
        Self { uid: uid.to_owned(), ..Self::named(&format!("system:serviceaccount:{namespace}:{name}"), &groups) }
    }
}

#[derive(Debug)]
struct Issued {
    user: User,
    audiences: Vec<String>,
    /// Absent for the tokens in Secrets, which do not expire.
    expires: Option<Timestamp>,
}

/// The tokens this server issued.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    issued: HashMap<String, Issued>,
}

/// Audience of tokens for the API server itself.
pub(super) const API_AUDIENCE: &str = "https://kubernetes.default.svc.cluster.local";

impl Tokens {
    /// A new token of a service account, shaped like the JSON web tokens clients expect to decode.
    pub(super) fn issue(
        &mut self,
        account: &Value,
        pod: &str,
        audiences: Vec<String>,
        now: Timestamp,
        expires: Option<Timestamp>,
    ) -> String {
        let text = |key: &str| account["metadata"][key].as_str().unwrap_or_default();
        let (namespace, name, uid) = (text("namespace"), text("name"), text("uid"));
        let user = User { pod: pod.to_owned(), ..User::service_account(namespace, name, uid) };
        let mut claims = json!({
            "iss": API_AUDIENCE,
            "sub": user.name,
            "aud": audiences,
            "iat": now.as_second(),
            "nbf": now.as_second(),
            "jti": uuid::Uuid::new_v4().to_string(),
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": uid}},
        });
        if !pod.is_empty() {
            claims["kubernetes.io"]["pod"] = json!({"name": pod});
        }
        if let Some(expires) = expires {
            claims["exp"] = json!(expires.as_second());
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        // The signature is a nonce: only this server verifies its tokens, by remembering them.
        let signature = URL_SAFE_NO_PAD.encode(uuid::Uuid::new_v4().as_bytes());
        let token = format!("{}.{}.{signature}", part(&json!({"alg": "RS256", "typ": "JWT"})), part(&claims));
        self.issued.insert(token.clone(), Issued { user, audiences, expires });
        token
    }

    /// A new token, which does not expire, of a user that is no service account.
    pub(super) fn issue_to(&mut self, name: &str, groups: &[&str]) -> String {
        let token = uuid::Uuid::new_v4().simple().to_string();
        let audiences = vec![API_AUDIENCE.to_owned()];
        self.issued.insert(token.clone(), Issued { user: User::named(name, groups), audiences, expires: None });
        token
    }

    /// The user and audiences of a token that is known and has not expired.
    pub(super) fn user(&self, token: &str, now: Timestamp) -> Option<(&User, &[String])> {
        let issued = self.issued.get(token)?;
        let valid = issued.expires.is_none_or(|expires| now < expires);
        valid.then_some((&issued.user, issued.audiences.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_service_account_until_it_expires() {
        let mut tokens = Tokens::default();
        let account = json!({"metadata": {"namespace": "a", "name": "x", "uid": "u"}});
        let start = Timestamp::UNIX_EPOCH;
        let end = Timestamp::from_second(600).expect("in range");
        let token = tokens.issue(&account, "", vec![API_AUDIENCE.to_owned()], start, Some(end));
        assert_eq!(tokens.user(&token, start).map(|(user, _)| user.name.as_str()), Some("system:serviceaccount:a:x"));
        assert_eq!(tokens.user(&token, end), None);
    }
}
