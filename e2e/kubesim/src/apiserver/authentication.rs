//! Who asks: from bearer token and impersonation headers to a user.

use axum::http::{HeaderMap, header};
use jiff::Timestamp;

use super::action::Action;
use super::authorization::Authorization;
use super::failure::Failure;
use super::state::State;
use super::tokens::User;

/// Where a request comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// The API server's address.
    Main,
    /// The address at which whoever brings no token is the administrator: kubectl sends no token over plain HTTP.
    Administrator,
}

const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const UID: &str = "impersonate-uid";

impl State {
    /// The caller: whoever the token belongs to, or whom they may act as. A wrong token is refused. `door` is where the
    /// request came in.
    pub(super) fn authenticate(&self, headers: &HeaderMap, door: Door) -> Result<User, Failure> {
        let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let user = match (token, self.authorization) {
            (None, Authorization::Rbac) if door == Door::Administrator => Some(User::admin()),
            (Some(token), _) => self.tokens.user(token.trim(), Timestamp::now()).map(|(user, _)| user.clone()),
            (None, Authorization::AlwaysAllow) => Some(User::admin()),
            (None, Authorization::Rbac) => Some(User::anonymous()),
        };
        let user = user.ok_or_else(|| Failure::new(401, "Unauthorized", "Unauthorized"))?;
        self.impersonate(user, headers)
    }

    fn impersonate(&self, user: User, headers: &HeaderMap) -> Result<User, Failure> {
        let all = |name: &str| -> Vec<&str> {
            headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect()
        };
        let (groups, uids) = (all(GROUP), all(UID));
        let Some(name) = all(USER).first().copied() else {
            if groups.is_empty() && uids.is_empty() {
                return Ok(user);
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
            self.require(&user, &action)
        };
        let account = name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
        match account {
            Some((namespace, account)) => may("", "serviceaccounts", namespace, account)?,
            None => may("", "users", "", name)?,
        }
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
        Ok(other)
    }
}
