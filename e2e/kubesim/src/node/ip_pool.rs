//! Loopback addresses for pods.
//!
//! The whole of 127.0.0.0/8 is this machine, so a process can have an address of its own without any set-up: two
//! pods may listen on the same port, and a client that knows a pod's address reaches that pod.

use std::{
    collections::BTreeSet,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
};

/// The addresses of one cluster, 127.X.1.0 to 127.X.251.255: below are the API server and the nodes, above are the
/// cluster addresses of Services. Clones share the pool.
#[derive(Debug, Clone)]
pub struct IpPool {
    shared: Arc<Mutex<Pool>>,
}

#[derive(Debug)]
struct Pool {
    network: [u8; 2],
    next: u16,
    used: BTreeSet<u16>,
}

/// An address that returns to its pool when this is dropped.
#[derive(Debug)]
pub(crate) struct PodIp {
    offset: u16,
    address: Ipv4Addr,
    shared: Arc<Mutex<Pool>>,
}

/// The last two octets of the first and the last address.
const FIRST: u16 = 1 << 8;
const LAST: u16 = (252 << 8) - 1;

impl IpPool {
    /// The pool of the network `network`.0.0/16.
    pub fn new(network: [u8; 2]) -> Self {
        Self { shared: Arc::new(Mutex::new(Pool { network, next: FIRST, used: BTreeSet::new() })) }
    }

    /// A free address, the one unused for longest; `None` when all 64 256 are taken.
    pub(crate) fn take(&self) -> Option<PodIp> {
        let mut pool = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let candidates = (pool.next..=LAST).chain(FIRST..pool.next);
        let offset = candidates.into_iter().find(|offset| !pool.used.contains(offset))?;
        pool.used.insert(offset);
        pool.next = if offset == LAST { FIRST } else { offset + 1 };
        let [a, b] = pool.network;
        let [c, d] = offset.to_be_bytes();
        Some(PodIp { offset, address: Ipv4Addr::new(a, b, c, d), shared: Arc::clone(&self.shared) })
    }
}

impl PodIp {
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }
}

impl Drop for PodIp {
    fn drop(&mut self) {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).used.remove(&self.offset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_start_at_one_zero_and_are_not_reused_at_once() {
        let pool = IpPool::new([127, 9]);
        let first = pool.take().unwrap();
        assert_eq!(first.address(), Ipv4Addr::new(127, 9, 1, 0));
        drop(first);
        assert_eq!(pool.take().unwrap().address(), Ipv4Addr::new(127, 9, 1, 1));
    }

    #[test]
    fn the_pool_wraps_around_and_skips_what_is_in_use() {
        let pool = IpPool::new([127, 9]);
        let kept = pool.take().unwrap();
        let mut last = None;
        for _ in 0..64_255 {
            last = pool.take().map(|ip| ip.address());
        }
        assert_eq!(last, Some(Ipv4Addr::new(127, 9, 251, 255)));
        assert_eq!(kept.address(), Ipv4Addr::new(127, 9, 1, 0));
        assert_eq!(pool.take().unwrap().address(), Ipv4Addr::new(127, 9, 1, 1));
    }
}
