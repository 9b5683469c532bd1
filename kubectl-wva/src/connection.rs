//! The flags every kubectl command has for its connection, under kubectl's names and with kubectl's meaning.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::duration;

/// Which cluster to talk to, and as whom. What is given here goes before what the kubeconfig says.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    /// Namespace to work in; the context's if not given.
    #[arg(short, long, global = true, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Read this kubeconfig instead of $KUBECONFIG or ~/.kube/config.
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Use this context of the kubeconfig instead of its current one.
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// Use this cluster of the kubeconfig instead of the context's.
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub cluster: Option<String>,
    /// Use this user of the kubeconfig instead of the context's.
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub user: Option<String>,
    /// Address of the API server.
    #[arg(short, long, global = true, value_name = "URL", hide_short_help = true)]
    pub server: Option<String>,
    /// Bearer token to authenticate with.
    #[arg(long, global = true, value_name = "TOKEN", hide_short_help = true)]
    pub token: Option<String>,
    /// Act as this user.
    #[arg(long = "as", global = true, value_name = "USER")]
    pub as_user: Option<String>,
    /// Act as a member of this group (repeatable).
    #[arg(long, global = true, value_name = "GROUP", hide_short_help = true)]
    pub as_group: Vec<String>,
    /// Act as the user with this UID.
    #[arg(long, global = true, value_name = "UID", hide_short_help = true)]
    pub as_uid: Option<String>,
    /// Certificates of the authorities that may vouch for the API server.
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub certificate_authority: Option<PathBuf>,
    /// Client certificate to authenticate with.
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub client_certificate: Option<PathBuf>,
    /// Key of the client certificate.
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub client_key: Option<PathBuf>,
    /// Do not check who the API server is: anybody on the way can read and change what is said.
    #[arg(
        long,
        global = true,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_short_help = true
    )]
    pub insecure_skip_tls_verify: Option<bool>,
    /// Name that the API server's certificate must bear, if not that of its address.
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub tls_server_name: Option<String>,
    /// Give up on a single request after this time, e.g. 10s; 0 waits for ever.
    #[arg(long, global = true, value_name = "TIME", default_value = "0", value_parser = duration::parse_as_kubectl)]
    pub request_timeout: Duration,
}
