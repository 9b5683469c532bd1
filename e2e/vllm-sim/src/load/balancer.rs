//! Which server gets the next request.

use std::collections::HashMap;

/// Least outstanding requests; among equals, in turn.
#[derive(Debug, Default)]
pub(crate) struct Balancer {
    outstanding: HashMap<String, usize>,
    turn: usize,
}

impl Balancer {
    /// Picks one of `endpoints` and counts a request as outstanding there; `None` when there is none.
    pub(crate) fn pick(&mut self, endpoints: &[String]) -> Option<String> {
        self.turn = self.turn.wrapping_add(1);
        let outstanding = |url: &String| self.outstanding.get(url).copied().unwrap_or(0);
        let start = self.turn.checked_rem(endpoints.len())?;
        let in_turn = endpoints[start..].iter().chain(&endpoints[..start]);
        let picked = in_turn.min_by_key(|url| outstanding(url))?.clone();
        *self.outstanding.entry(picked.clone()).or_default() += 1;
        Some(picked)
    }

    /// One request to `url` has ended.
    pub(crate) fn release(&mut self, url: &str) {
        if let Some(outstanding) = self.outstanding.get_mut(url) {
            *outstanding -= 1;
            if *outstanding == 0 {
                self.outstanding.remove(url);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn the_least_busy_server_is_picked() {
        let mut balancer = Balancer::default();
        let servers = urls(&["a", "b"]);
        let picked: Vec<_> = (0..4).filter_map(|_| balancer.pick(&servers)).collect();
        assert_eq!(picked.iter().filter(|url| *url == "a").count(), 2);
        balancer.release("b");
        balancer.release("b");
        assert_eq!(balancer.pick(&servers).as_deref(), Some("b"));
        assert_eq!(balancer.pick(&servers).as_deref(), Some("b"));
    }

    #[test]
    fn a_new_server_gets_what_comes_next() {
        let mut balancer = Balancer::default();
        for _ in 0..5 {
            balancer.pick(&urls(&["a"]));
        }
        assert_eq!(balancer.pick(&urls(&["a", "b"])).as_deref(), Some("b"));
    }

    #[test]
    fn without_servers_nothing_is_picked() {
        assert_eq!(Balancer::default().pick(&[]), None);
    }
}
