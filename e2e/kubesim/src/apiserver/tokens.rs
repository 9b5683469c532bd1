//! Bearer tokens: who a request comes from.

use std::collections::HashMap;

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
}

impl User {
    /// Whoever comes without a token: the server listens on loopback only and trusts its users so far.
    pub(super) fn admin() -> Self {
        Self {
            name: "kubernetes-admin".to_owned(),
            uid: String::new(),
            groups: vec!["system:masters".to_owned(), "system:authenticated".to_owned()],
        }
    }

    fn service_account(namespace: &str, name: &str, uid: &str) -> Self {
        Self {
            name: format!("system:serviceaccount:{namespace}:{name}"),
            uid: uid.to_owned(),
            groups: vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated".to_owned(),
            ],
        }
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
        audiences: Vec<String>,
        now: Timestamp,
        expires: Option<Timestamp>,
    ) -> String {
        let text = |key: &str| account["metadata"][key].as_str().unwrap_or_default();
        let (namespace, name, uid) = (text("namespace"), text("name"), text("uid"));
        let user = User::service_account(namespace, name, uid);
        let mut claims = json!({
            "iss": API_AUDIENCE,
            "sub": user.name,
            "aud": audiences,
            "iat": now.as_second(),
            "nbf": now.as_second(),
            "jti": uuid::Uuid::new_v4().to_string(),
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": uid}},
        });
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
        let token = tokens.issue(&account, vec![API_AUDIENCE.to_owned()], start, Some(end));
        assert_eq!(tokens.user(&token, start).map(|(user, _)| user.name.as_str()), Some("system:serviceaccount:a:x"));
        assert_eq!(tokens.user(&token, end), None);
    }
}
