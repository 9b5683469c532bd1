//! Who asks: from certificate, bearer token and impersonation headers to a user.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use jiff::Timestamp;

use super::action::Action;
use super::authorization::Authorization;
use super::failure::Failure;
use super::request::percent_decode;
use super::state::State;
use super::tokens::User;

const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const UID: &str = "impersonate-uid";
const EXTRA: &str = "impersonate-extra-";

/// Who a request comes from.
pub(super) struct Identity {
    /// Whose certificate or token it has.
    pub(super) caller: Arc<User>,
    /// In whose name it is answered: the caller, or whom they impersonate.
    pub(super) user: Arc<User>,
}

impl State {
    /// Whoever holds the certificate or the token, and whom they act as, if they may. A wrong token is refused.
    pub(super) fn authenticate(
        &self,
        headers: &HeaderMap,
        holder: Option<&User>,
        action: &Action,
    ) -> Result<Identity, Failure> {
        let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let user = match (token, self.authorization) {
            _ if holder.is_some() => holder.cloned(),
            (Some(token), _) => self.tokens.user(token.trim(), Timestamp::now()).map(|(user, _)| user.clone()),
            (None, Authorization::AlwaysAllow) => Some(User::admin()),
            (None, Authorization::Rbac) => Some(User::anonymous()),
        };
        let user = user.ok_or_else(|| Failure::new(401, "Unauthorized", "Unauthorized"))?;
        let other = self.impersonate(&user, headers, action)?;
        let caller = Arc::new(user);
        Ok(Identity { user: other.map_or_else(|| Arc::clone(&caller), Arc::new), caller })
    }

    /// Whom the user acts as, if it is not themselves.
    fn impersonate(&self, user: &User, headers: &HeaderMap, asked: &Action) -> Result<Option<User>, Failure> {
        let all = |name: &str| -> Vec<&str> {
            headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect()
        };
        let (groups, uids) = (all(GROUP), all(UID));
        let Some(name) = all(USER).first().copied() else {
            if groups.is_empty() && uids.is_empty() {
                return Ok(None);
            }
            let quoted: Vec<String> = groups.iter().map(|group| format!("{group:?}")).collect();
            let shown = if groups.is_empty() {
                "[]string(nil)".to_owned()
            } else {
                format!("[]string{{{}}}", quoted.join(", "))
            };
            let uid = uids.first().copied().unwrap_or_default();
            return Err(Failure::bad_request(format!(
                "requested &user.DefaultInfo{{Name:\"\", UID:{uid:?}, Groups:{shown}, Extra:map[string][]string(nil)}} \
                 without impersonating a user name"
            )));
        };
        let may = |group: &str, resource: &str, namespace: &str, name: &str| {
            let action = Action {
                verb: "impersonate".to_owned(),
                group: group.to_owned(),
                resource: resource.to_owned(),
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                ..Action::default()
            };
            self.require(user, &action)
        };
        // Since 1.36 the right to act as somebody may be one for certain requests only; that is what is missed then.
        let instead = |mode: &str, failure: Failure| {
            let verb = format!("impersonate-on:{mode}:{}", asked.verb);
            let action = Action { verb, ..asked.clone() };
            self.require(user, &action).err().unwrap_or(failure)
        };
        let account = name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
        let granted = match account {
            Some((namespace, account)) => {
                may("", "serviceaccounts", namespace, account).map_err(|failure| instead("serviceaccount", failure))
            }
            None => may("", "users", "", name).map_err(|failure| instead("user-info", failure)),
        };
        granted?;
        for group in &groups {
            may("", "groups", "", group)?;
        }
        for uid in &uids {
            may("authentication.k8s.io", "uids", "", uid)?;
        }
        let mut other = match account {
            Some((namespace, account)) if groups.is_empty() => User::service_account(namespace, account, ""),
            _ => User::named(name, &groups),
        };
        uids.first().copied().unwrap_or_default().clone_into(&mut other.uid);
        for (key, value) in headers {
            let Some(key) = key.as_str().strip_prefix(EXTRA) else { continue };
            let Ok(value) = value.to_str() else { continue };
            let key = percent_decode(key, false);
            let action = Action {
                verb: "impersonate".to_owned(),
                group: "authentication.k8s.io".to_owned(),
                resource: "userextras".to_owned(),
                subresource: key.clone(),
                name: value.to_owned(),
                ..Action::default()
            };
            self.require(user, &action)?;
            other.extra.entry(key).or_default().push(value.to_owned());
        }
        Ok(Some(other))
    }
}
