//! What containers use, from `/proc`: processor time and memory of the processes in their groups.

use std::{
    collections::{HashMap, HashSet},
    fs,
};

/// Processor time and memory in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Usage {
    /// Since the processes started.
    pub(super) cpu_nanoseconds: u64,
    /// Resident.
    pub(super) memory_bytes: u64,
}

/// A clock tick in `/proc` is a hundredth of a second on every architecture that matters.
const NANOSECONDS_PER_TICK: u64 = 10_000_000;

/// Sums of the process groups asked for. One that has no processes is left out.
pub(super) fn of_groups(groups: &HashSet<u32>) -> HashMap<u32, Usage> {
    let mut sums: HashMap<u32, Usage> = HashMap::new();
    if groups.is_empty() {
        return sums;
    }
    for entry in fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok) {
        // Whatever is no process has no such file, nor has one that ended meanwhile.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((group, ticks)) = parse_stat(&stat).filter(|(group, _)| groups.contains(group)) else { continue };
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let sum = sums.entry(group).or_default();
        sum.cpu_nanoseconds += ticks * NANOSECONDS_PER_TICK;
        sum.memory_bytes += parse_resident(&status).unwrap_or_default();
    }
    sums
}

/// Process group, and ticks in user and kernel mode, of children that were waited for too. The name of the program, in
/// brackets, may contain anything.
fn parse_stat(stat: &str) -> Option<(u32, u64)> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let group = fields.get(2)?.parse().ok()?;
    let ticks: u64 = fields.get(11..15)?.iter().filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Some((group, ticks))
}

fn parse_resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_process_are_read() {
        let stat = "42 (a) b) R 1 40 40 0 -1 4194560 9 0 0 0 7 3 2 1 20 0 1 0 100 1000 50 18446744073709551615";
        assert_eq!(parse_stat(stat), Some((40, 13)));
        assert_eq!(parse_resident("Name:\tx\nVmRSS:\t   2048 kB\nThreads:\t1\n"), Some(2 * 1024 * 1024));
        assert_eq!(parse_stat("garbage"), None);
    }

    #[test]
    fn a_group_that_works_uses_time_and_memory() {
        let group: u32 = nix::unistd::getpgrp().as_raw().try_into().unwrap();
        let usage = of_groups(&HashSet::from([group]))[&group];
        assert!(usage.memory_bytes > 0, "{usage:?}");
        assert!(of_groups(&HashSet::from([u32::MAX])).is_empty());
    }
}
