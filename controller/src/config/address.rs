//! Bind addresses as users write them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindAddress {
    /// Nowhere (`0`).
    Off,
    /// On a port of the given host; `None` stands for "any".
    Listen {
        /// Host address.
        host: Option<IpAddr>,
        /// TCP port; 0 lets the system choose.
        port: u16,
    },
}

impl BindAddress {
    /// Reads `0`, `:8443`, `127.0.0.1:8443`, `localhost:8443` or `[::1]:8443`.
    ///
    /// # Errors
    /// What is wrong with it, in words for a person.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "0" || text.is_empty() {
            return Ok(Self::Off);
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err("is not an address: write host:port, :port, or 0 for off".to_owned());
        };
        let port = port.parse().map_err(|_| format!("is not an address: {port:?} is not a port number"))?;
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let host = match host {
            "" => None,
            "localhost" => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            other => Some(other.parse().map_err(|_| format!("is not an address: {other:?} is not an IP address"))?),
        };
        Ok(Self::Listen { host: host.filter(|host| !host.is_unspecified()), port })
    }

    /// The socket address; `default_host` stands in where none is named. `None` when off.
    pub fn socket(&self, default_host: Option<IpAddr>) -> Option<SocketAddr> {
        match self {
            Self::Off => None,
            Self::Listen { host, port } => {
                let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
                Some(SocketAddr::new(host.or(default_host).unwrap_or(any), *port))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(":8443", "127.9.0.4", Some("127.9.0.4:8443"))]
    #[case("0.0.0.0:8443", "127.9.0.4", Some("127.9.0.4:8443"))]
    #[case(":8443", "", Some("0.0.0.0:8443"))]
    #[case("127.0.0.1:0", "127.9.0.4", Some("127.0.0.1:0"))]
    #[case("[::1]:80", "", Some("[::1]:80"))]
    #[case("localhost:80", "", Some("127.0.0.1:80"))]
    #[case("0", "127.9.0.4", None)]
    fn the_default_host_stands_in_only_where_none_is_named(
        #[case] text: &str,
        #[case] default_host: &str,
        #[case] expect: Option<&str>,
    ) {
        let socket = BindAddress::parse(text).unwrap().socket(default_host.parse().ok());
        assert_eq!(socket.map(|s| s.to_string()).as_deref(), expect);
    }

    #[rstest]
    #[case("8443")]
    #[case(":http")]
    #[case("example.com:80")]
    #[case(":70000")]
    fn what_cannot_be_bound_is_refused(#[case] text: &str) {
        assert!(BindAddress::parse(text).is_err());
    }
}
