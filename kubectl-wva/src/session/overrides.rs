//! What flags change in the cluster and the user of a kubeconfig: kubectl's rules, which also say what a flag undoes.

use std::path::Path;

use kube::config::{AuthInfo, Cluster};
use secrecy::ExposeSecret as _;

use super::Error;
use crate::connection::Connection;

/// Lays the flags over a cluster.
pub(super) fn of_cluster(cluster: &mut Cluster, flags: &Connection) {
    let insecure = flags.insecure_skip_tls_verify == Some(true);
    // Each of the two would contradict what the kubeconfig says on the same question.
    if insecure || flags.certificate_authority.is_some() {
        cluster.insecure_skip_tls_verify = Some(insecure);
        cluster.certificate_authority = flags.certificate_authority.as_deref().map(text);
        cluster.certificate_authority_data = None;
    }
    // A name that was right for one address is wrong for another.
    if flags.tls_server_name.is_some() || flags.server.is_some() {
        cluster.tls_server_name.clone_from(&flags.tls_server_name);
    }
    if let Some(server) = &flags.server {
        let secure = insecure || flags.certificate_authority.is_some() || flags.client_certificate.is_some();
        let scheme = if secure { "https" } else { "http" };
        cluster.server = Some(if server.contains("://") { server.clone() } else { format!("{scheme}://{server}") });
    }
}

/// Lays the flags over a user.
///
/// # Errors
/// When a group or UID is to be acted as, but no user.
pub(super) fn of_user(user: &mut AuthInfo, flags: &Connection) -> Result<(), Error> {
    if let Some(token) = &flags.token {
        // Whatever else would give a token, or would be preferred to one.
        user.token_file = None;
        user.auth_provider = None;
        user.exec = None;
        user.username = None;
        user.password = None;
        user.token = Some(token.clone().into());
    }
    if let Some(path) = &flags.client_certificate {
        user.client_certificate = Some(text(path));
        user.client_certificate_data = None;
    }
    if let Some(path) = &flags.client_key {
        user.client_key = Some(text(path));
        user.client_key_data = None;
    }
    if flags.as_user.is_some() {
        user.impersonate.clone_from(&flags.as_user);
    }
    if !flags.as_group.is_empty() {
        user.impersonate_groups = Some(flags.as_group.clone());
    }
    if flags.as_uid.is_some() {
        user.impersonate_uid.clone_from(&flags.as_uid);
    }
    let somebody = user.impersonate.as_ref().is_some_and(|name| !name.is_empty());
    if !somebody && (user.impersonate_groups.is_some() || user.impersonate_uid.is_some()) {
        return Err(Error::NobodyToActAs);
    }
    Ok(())
}

/// The token that a user authenticates with, as far as it can be had without running anything.
pub(super) fn bearer(user: &AuthInfo) -> Option<String> {
    let file = || std::fs::read_to_string(user.token_file.as_ref()?).ok();
    user.token.as_ref().map(|token| token.expose_secret().to_owned()).or_else(file).map(|token| token.trim().to_owned())
}

/// What may not go over a connection that anybody can read. kubectl leaves credentials out there, too; whom to act as
/// is none.
pub(super) fn without_credentials(user: AuthInfo) -> AuthInfo {
    let AuthInfo { impersonate, impersonate_uid, impersonate_groups, impersonate_user_extra, .. } = user;
    AuthInfo { impersonate, impersonate_uid, impersonate_groups, impersonate_user_extra, ..AuthInfo::default() }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::cli::Cli;

    fn flags(words: &[&str]) -> Connection {
        let words = ["kubectl-wva", "status"].iter().chain(words);
        Cli::try_parse_from(words).unwrap().connection
    }

    #[rstest]
    #[case::nothing(&[], json!({"server": "https://a", "certificate-authority-data": "YQ==", "tls-server-name": "n"}))]
    #[case::authority(
        &["--certificate-authority", "ca.crt"],
        json!({"server": "https://a", "insecure-skip-tls-verify": false, "certificate-authority": "ca.crt", "tls-server-name": "n"})
    )]
    #[case::insecure(
        &["--insecure-skip-tls-verify"],
        json!({"server": "https://a", "insecure-skip-tls-verify": true, "tls-server-name": "n"})
    )]
    #[case::not_insecure(
        &["--insecure-skip-tls-verify=false"],
        json!({"server": "https://a", "certificate-authority-data": "YQ==", "tls-server-name": "n"})
    )]
    #[case::name(
        &["--tls-server-name", "m"],
        json!({"server": "https://a", "certificate-authority-data": "YQ==", "tls-server-name": "m"})
    )]
    #[case::server(&["-s", "https://b"], json!({"server": "https://b", "certificate-authority-data": "YQ=="}))]
    #[case::server_without_scheme(&["-s", "b:1"], json!({"server": "http://b:1", "certificate-authority-data": "YQ=="}))]
    #[case::secure_server_without_scheme(
        &["-s", "b:1", "--insecure-skip-tls-verify"],
        json!({"server": "https://b:1", "insecure-skip-tls-verify": true})
    )]
    fn flags_change_the_cluster_and_undo_what_contradicts_them(#[case] words: &[&str], #[case] expect: Value) {
        let given = json!({"server": "https://a", "certificate-authority-data": "YQ==", "tls-server-name": "n"});
        let mut cluster: Cluster = serde_json::from_value(given).unwrap();
        of_cluster(&mut cluster, &flags(words));
        assert_eq!(serde_json::to_value(&cluster).unwrap(), expect);
    }

    #[rstest]
    #[case::nothing(&[], json!({"tokenFile": "f", "client-certificate-data": "YQ==", "client-key-data": "YQ==", "as": "ann"}))]
    #[case::token(
        &["--token", "t"],
        json!({"token": "t", "client-certificate-data": "YQ==", "client-key-data": "YQ==", "as": "ann"})
    )]
    #[case::certificate(
        &["--client-certificate", "c", "--client-key", "k"],
        json!({"tokenFile": "f", "client-certificate": "c", "client-key": "k", "as": "ann"})
    )]
    #[case::somebody_else(
        &["--as", "bob", "--as-group", "x", "--as-group", "y", "--as-uid", "7"],
        json!({
            "tokenFile": "f", "client-certificate-data": "YQ==", "client-key-data": "YQ==",
            "as": "bob", "as-groups": ["x", "y"], "as-uid": "7",
        })
    )]
    fn flags_change_the_user_and_undo_what_contradicts_them(#[case] words: &[&str], #[case] expect: Value) {
        let given =
            json!({"tokenFile": "f", "client-certificate-data": "YQ==", "client-key-data": "YQ==", "as": "ann"});
        let mut user: AuthInfo = serde_json::from_value(given).unwrap();
        of_user(&mut user, &flags(words)).unwrap();
        assert_eq!(serde_json::to_value(&user).unwrap(), expect);
    }

    #[test]
    fn a_token_is_known_from_the_user_or_from_their_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "of-the-file\n").unwrap();
        let user = |user: Value| bearer(&serde_json::from_value(user).unwrap());
        assert_eq!(user(json!({"token": "t", "tokenFile": file.path()})).as_deref(), Some("t"));
        assert_eq!(user(json!({"tokenFile": file.path()})).as_deref(), Some("of-the-file"));
        assert_eq!(user(json!({})), None);
    }

    #[test]
    fn a_group_without_a_user_to_act_as_is_refused() {
        let error = of_user(&mut AuthInfo::default(), &flags(&["--as-group", "x"])).unwrap_err();
        assert_eq!(error.hint().as_deref(), Some("name the user with --as"));
    }

    #[test]
    fn of_a_user_only_whom_to_act_as_goes_over_an_open_connection() {
        let user: AuthInfo = serde_json::from_value(json!({"token": "t", "as": "ann", "as-groups": ["x"]})).unwrap();
        let left = serde_json::to_value(without_credentials(user)).unwrap();
        assert_eq!(left, json!({"as": "ann", "as-groups": ["x"]}));
    }
}
