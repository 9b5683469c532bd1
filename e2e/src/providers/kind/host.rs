//! What of this machine decides how a kind cluster must be configured.

use std::path::Path;

/// Capability number of `CAP_SYS_RESOURCE`, from `linux/capability.h`.
const CAP_SYS_RESOURCE: u32 = 24;
/// Inotify instances that one node uses at most; kind's own documentation asks for 512 in all.
const INOTIFY_PER_NODE: u64 = 60;

/// The machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// Whether control groups are those of version 1.
    pub cgroup_v1: bool,
    /// Whether processes may lower their OOM score, which needs `CAP_SYS_RESOURCE`.
    pub may_lower_oom_score: bool,
}

impl Host {
    /// Looks at `/sys` and `/proc`.
    pub fn look() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            cgroup_v1: !Path::new("/sys/fs/cgroup/cgroup.controllers").exists(),
            may_lower_oom_score: has_sys_resource(&status),
        }
    }
}

/// Whether the bounding set, beyond which no container gets, has the capability; yes where it cannot be read.
fn has_sys_resource(status: &str) -> bool {
    let bounding = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    let bits = bounding.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    bits.is_none_or(|bits| bits & (1 << CAP_SYS_RESOURCE) != 0)
}

/// A warning when so many nodes use up the inotify instances that all of them share.
pub fn inotify_warning(nodes: usize) -> Option<String> {
    let path = "/proc/sys/fs/inotify/max_user_instances";
    let limit = std::fs::read_to_string(path).ok()?.trim().parse().ok()?;
    too_few_instances(nodes, limit)
}

fn too_few_instances(nodes: usize, limit: u64) -> Option<String> {
    let wanted = u64::try_from(nodes).ok()? * INOTIFY_PER_NODE;
    (limit < wanted).then(|| {
        format!(
            "{nodes} nodes share fs.inotify.max_user_instances = {limit}: with fewer than {wanted} a kubelet may fail with \
             \"too many open files\"; raise it: sysctl -w fs.inotify.max_user_instances=512"
        )
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::all("CapEff:\t0\nCapBnd:\t000001ffffffffff\n", true)]
    #[case::default_of_docker("CapBnd:\t00000000a80425fb\n", false)]
    #[case::unreadable("", true)]
    fn the_bounding_set_tells_whether_oom_scores_can_be_lowered(#[case] status: &str, #[case] expect: bool) {
        assert_eq!(has_sys_resource(status), expect);
    }

    #[rstest]
    #[case(2, 128, false)]
    #[case(3, 128, true)]
    #[case(3, 512, false)]
    fn the_third_node_on_a_default_host_is_warned_of(#[case] nodes: usize, #[case] limit: u64, #[case] warned: bool) {
        assert_eq!(too_few_instances(nodes, limit).is_some(), warned);
    }
}
