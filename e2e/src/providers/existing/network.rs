//! The addresses of pods and nodes of ours, and of what runs beside the cluster.
//!
//! They are on loopback where the API server takes that. A real one refuses loopback addresses in Endpoints, so that no
//! Service would lead anywhere; there a private network becomes local to this machine, as by
//! `ip route add local 10.X.0.0/16 dev lo`, until the end of the run. `POD_NETWORK=10.X.0.0/16` says which, and may be one
//! that is local already, for those who may not add routes.

use std::env;
use std::process::Command;

use k8s_openapi::api::core::v1::Endpoints;
use kube::Client;
use kube::api::{Api, PostParams};
use kubesim::apiserver::Network as Loopback;
use serde_json::json;

/// Second octets of the private networks that are tried.
const PRIVATE: std::ops::RangeInclusive<u8> = 128..=254;

/// No addresses.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No loopback network is free.
    #[error("no free loopback network 127.X.0.0/16 for pods and Prometheus: stop other clusters on this machine")]
    NoneFree,
    /// The API server cannot be asked.
    #[error("asking the API server whether it takes loopback addresses in Endpoints: {0}")]
    Ask(#[source] kube::Error),
    /// `POD_NETWORK` is none.
    #[error("POD_NETWORK={0} is no network of the form 10.213.0.0/16")]
    Malformed(String),
    /// The network cannot be made local.
    #[error(
        "pods need addresses that the API server takes in Endpoints, and `ip route add local {network} dev lo` failed: \
         {message}; run as root, or have somebody add that route and set POD_NETWORK={network}"
    )]
    Route {
        /// The network.
        network: String,
        /// What `ip` said.
        message: String,
    },
}

/// The network of one run; what was added to the machine for it goes when it is dropped.
#[derive(Debug)]
pub(super) enum Network {
    /// Nobody else on this machine takes it.
    Loopback(Loopback),
    /// Private addresses.
    Private {
        octets: [u8; 2],
        /// Whether the route to it is ours.
        added: bool,
    },
}

impl Network {
    /// The one that is asked for, or one that suits the API server.
    pub(super) async fn claim(client: &Client) -> Result<Self, Error> {
        if let Ok(given) = env::var("POD_NETWORK")
            && !given.is_empty()
        {
            let octets = octets(&given).ok_or(Error::Malformed(given))?;
            return Ok(Self::Private { octets, added: add(octets)? });
        }
        if takes_loopback(client).await? {
            return Loopback::claim().map(Self::Loopback).ok_or(Error::NoneFree);
        }
        for second in PRIVATE {
            if add([10, second])? {
                return Ok(Self::Private { octets: [10, second], added: true });
            }
        }
        Err(Error::NoneFree)
    }

    /// The first two octets of all addresses.
    pub(super) fn octets(&self) -> [u8; 2] {
        match self {
            Self::Loopback(network) => network.octets(),
            Self::Private { octets, .. } => *octets,
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Self::Private { octets, added: true } = self
            && let Err(message) = route("del", *octets)
        {
            tracing::warn!(message, "The route to {} stays", written(*octets));
        }
    }
}

/// Makes a network local; `false` when it is already.
fn add(octets: [u8; 2]) -> Result<bool, Error> {
    match route("add", octets) {
        Ok(()) => Ok(true),
        Err(message) if message.contains("File exists") => Ok(false),
        Err(message) => Err(Error::Route { network: written(octets), message }),
    }
}

fn route(verb: &str, octets: [u8; 2]) -> Result<(), String> {
    let output = Command::new("ip").args(["route", verb, "local", &written(octets), "dev", "lo"]).output();
    let output = output.map_err(|error| format!("running ip (Debian package iproute2): {error}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
}

fn written([a, b]: [u8; 2]) -> String {
    format!("{a}.{b}.0.0/16")
}

/// Reads `10.213.0.0/16`.
fn octets(text: &str) -> Option<[u8; 2]> {
    let mut parts = text.strip_suffix(".0.0/16")?.split('.').map(str::parse);
    let (Some(Ok(a)), Some(Ok(b)), None) = (parts.next(), parts.next(), parts.next()) else { return None };
    Some([a, b])
}

/// Whether Endpoints may have loopback addresses; nothing is written.
async fn takes_loopback(client: &Client) -> Result<bool, Error> {
    let asked =
        json!({ "metadata": { "name": "wva-e2e-loopback" }, "subsets": [{ "addresses": [{ "ip": "127.0.0.9" }] }] });
    let asked: Endpoints = serde_json::from_value(asked).map_err(|error| Error::Ask(kube::Error::SerdeError(error)))?;
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    match Api::default_namespaced(client.clone()).create(&dry_run, &asked).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 422 => Ok(false),
        Err(error) => Err(Error::Ask(error)),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::private("10.213.0.0/16", Some([10, 213]))]
    #[case::loopback("127.44.0.0/16", Some([127, 44]))]
    #[case::too_small("10.213.1.0/24", None)]
    #[case::no_length("10.213.0.0", None)]
    #[case::too_large_a_number("10.300.0.0/16", None)]
    #[case::word("pods", None)]
    fn a_network_is_two_octets(#[case] text: &str, #[case] expected: Option<[u8; 2]>) {
        assert_eq!(octets(text), expected);
        if let Some(octets) = expected {
            assert_eq!(written(octets), text);
        }
    }
}
