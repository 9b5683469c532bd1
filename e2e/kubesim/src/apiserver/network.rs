//! The loopback network of a cluster: binding the API server claims it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use tokio::net::TcpListener;

use super::Error;

/// The usual port of a Kubernetes API server.
const PORT: u16 = 6443;

/// Second octets that clusters are given; 127.0 to 127.15 stay free for other programs.
const NETWORKS: std::ops::RangeInclusive<u8> = 16..=250;

/// Where an API server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bind {
    /// `127.X.0.1:6443` with the first X, from a random start, that nobody has bound.
    #[default]
    Choose,
    /// A fixed loopback address; its first two octets name the network.
    Address(SocketAddr),
}

impl Bind {
    pub(super) fn address(self) -> SocketAddr {
        match self {
            Self::Choose => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT),
            Self::Address(address) => address,
        }
    }
}

/// Binds, and for a chosen network also claims it: with a datagram socket that nobody sends to, so that no other
/// cluster chooses the network while the server does not listen.
pub(super) async fn bind(bind: Bind) -> Result<(TcpListener, Option<UdpSocket>), Error> {
    match bind {
        Bind::Address(address) if !address.ip().is_loopback() => Err(Error::NotLoopback(address)),
        Bind::Address(address) => {
            let listener = TcpListener::bind(address).await.map_err(|source| Error::Bind { address, source })?;
            Ok((listener, None))
        }
        Bind::Choose => {
            for second in candidates() {
                if let Some(claim) = claim(second)
                    && let Ok(listener) = TcpListener::bind(first(second)).await
                {
                    return Ok((listener, Some(claim)));
                }
            }
            Err(Error::NoFreeNetwork)
        }
    }
}

/// A loopback network that no cluster of this machine chooses for as long as this is held: for nodes of a cluster whose
/// API server has no such network.
#[derive(Debug)]
pub struct Network {
    second: u8,
    _claim: UdpSocket,
}

impl Network {
    /// A free one, `None` when all are taken.
    pub fn claim() -> Option<Self> {
        candidates().find_map(|second| {
            // An API server on an address of its user's choice claims nothing, but listens.
            let nobody_listens = std::net::TcpListener::bind(first(second)).is_ok();
            claim(second).filter(|_| nobody_listens).map(|claim| Self { second, _claim: claim })
        })
    }

    /// Its first two octets, `[127, X]`.
    pub fn octets(&self) -> [u8; 2] {
        [127, self.second]
    }
}

/// Second octets in the order in which they are tried.
fn candidates() -> impl Iterator<Item = u8> {
    let count = usize::from(NETWORKS.end() - NETWORKS.start()) + 1;
    let start = usize::from(uuid::Uuid::new_v4().as_bytes()[0]) % count;
    NETWORKS.cycle().skip(start).take(count)
}

/// The address by which a network is claimed.
fn first(second: u8) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::new(127, second, 0, 1).into(), PORT)
}

fn claim(second: u8) -> Option<UdpSocket> {
    UdpSocket::bind(first(second)).ok()
}

/// First two octets of the network an address belongs to.
pub(super) fn of(address: SocketAddr) -> [u8; 2] {
    match address.ip() {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            [a, b]
        }
        IpAddr::V6(_) => [127, 0],
    }
}
