//! Cluster IPs of Services, out of the loopback /16 that belongs to the cluster.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use super::failure::{Cause, Failure};

/// Hands out `127.X.255.1` and up. Nodes and pods take theirs from the lower end of the same /16.
#[derive(Debug)]
pub(super) struct ServiceAddresses {
    network: [u8; 2],
    /// Address to the `namespace/name` of the Service that holds it.
    taken: HashMap<Ipv4Addr, String>,
    next_node_port: u16,
}

/// First port of the usual node port range.
const NODE_PORTS: u16 = 30000;

/// First and last third octet of the range: 4 × 254 Services.
const RANGE: std::ops::RangeInclusive<u8> = 252..=255;

impl ServiceAddresses {
    pub(super) fn new(network: [u8; 2]) -> Self {
        Self { network, taken: HashMap::new(), next_node_port: NODE_PORTS }
    }

    /// A free address for the Service, or the one it asks for.
    pub(super) fn allocate(&mut self, owner: &str, wanted: Option<&str>) -> Result<Ipv4Addr, Failure> {
        let address = match wanted {
            Some(wanted) => self.parse(wanted, owner)?,
            None => self.free().ok_or_else(|| {
                Failure::internal(format!("failed to allocate a serviceIP for {owner}: range is full"))
            })?,
        };
        self.taken.insert(address, owner.to_owned());
        Ok(address)
    }

    pub(super) fn release(&mut self, address: &str) {
        if let Ok(address) = address.parse() {
            self.taken.remove(&address);
        }
    }

    /// A node port nobody has been given yet.
    pub(super) fn allocate_node_port(&mut self) -> u16 {
        let port = self.next_node_port;
        self.next_node_port += 1;
        port
    }

    fn parse(&self, wanted: &str, owner: &str) -> Result<Ipv4Addr, Failure> {
        let refused = |detail: &str| {
            let name = owner.rsplit('/').next().unwrap_or(owner);
            let cause = Cause::invalid("spec.clusterIPs", &serde_json::json!([wanted]), detail);
            Failure::invalid("", "Service", name, &[cause])
        };
        let address: Ipv4Addr = wanted.parse().map_err(|_| refused("must be a valid IP address"))?;
        let [a, b, ..] = address.octets();
        if [a, b] != self.network {
            return Err(refused("failed to allocate IP: the provided IP is not in the valid range"));
        }
        match self.taken.get(&address) {
            Some(other) if other != owner => Err(refused("failed to allocate IP: provided IP is already allocated")),
            _ => Ok(address),
        }
    }

    fn free(&self) -> Option<Ipv4Addr> {
        let [a, b] = self.network;
        RANGE
            .flat_map(|third| (1..=254).map(move |last| Ipv4Addr::new(a, b, third, last)))
            .find(|address| !self.taken.contains_key(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_released_address_is_given_out_again() {
        let mut addresses = ServiceAddresses::new([127, 20]);
        let first = addresses.allocate("a/x", None).expect("free");
        let second = addresses.allocate("a/y", None).expect("free");
        addresses.release(&first.to_string());
        let third = addresses.allocate("a/z", None).expect("free");
        assert_ne!(first, second);
        assert_eq!(first, third);
    }

    #[test]
    fn an_address_that_is_taken_is_refused() {
        let mut addresses = ServiceAddresses::new([127, 20]);
        addresses.allocate("a/x", Some("127.20.255.9")).expect("free");
        let failure = addresses.allocate("a/y", Some("127.20.255.9")).expect_err("taken");
        assert!(failure.message.ends_with("provided IP is already allocated"), "{}", failure.message);
    }
}
