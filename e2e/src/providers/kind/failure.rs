//! What a failed creation means: whether another try may help, and what its cause is.

/// Messages of failures that pass: the machine or the engine was busy, a name or port was just being given back. Each
/// is a part of what kind or docker print.
const PASSING: [(&str, &str); 7] = [
    ("could not find a log line that matches", "the node's systemd did not come up in time"),
    ("port is already allocated", "the API server's port was taken in between"),
    ("failed to bind host port", "the API server's port was taken in between"),
    ("address already in use", "the API server's port was taken in between"),
    ("TLS handshake timeout", "the registry of the node image did not answer in time"),
    ("i/o timeout", "the network did not answer in time"),
    ("context deadline exceeded", "the container engine did not answer in time"),
];

/// Why another try may help; `None` when it would fail again.
pub(super) fn passing(output: &str) -> Option<&'static str> {
    PASSING.iter().find(|(message, _)| output.contains(message)).map(|(_, why)| *why)
}

/// Lines of a kubelet's journal that name a cause; kubeadm's own last words (rate limiters, role bindings) are only its
/// consequence. The last five, each once.
pub(super) fn causes(journal: &str) -> Vec<String> {
    let telling = |line: &&str| {
        let error =
            line.contains(" E") || line.contains("err=") || line.contains("Failed to") || line.contains("failed to");
        // An API server that is not there yet is what every kubelet complains of first.
        error && !line.contains("connection refused") && !line.contains("node not found")
    };
    let mut causes: Vec<String> = Vec::new();
    for line in journal.lines().rev().filter(telling) {
        // The message alone: what is before it is the time, the host and the process.
        let message = line.split_once("kubelet[").and_then(|(_, rest)| rest.split_once("]: ")).map_or(line, |(_, m)| m);
        let message = message.split_once("] ").map_or(message, |(_, text)| text);
        if !causes.iter().any(|seen| seen == message) {
            causes.push(message.to_owned());
        }
        if causes.len() == 5 {
            break;
        }
    }
    causes.reverse();
    causes
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("ERROR: could not find a log line that matches \"Reached target .*Multi-User System.*\"", true)]
    #[case("Bind for 127.0.0.1:40123 failed: port is already allocated", true)]
    #[case("ERROR: failed to create cluster: node(s) already exist for a cluster with the name \"x\"", false)]
    #[case("ERROR: failed to create cluster: failed to init node with kubeadm: exit status 1", false)]
    #[case("", false)]
    fn only_recognised_failures_are_tried_again(#[case] output: &str, #[case] again: bool) {
        assert_eq!(passing(output).is_some(), again);
    }

    #[test]
    fn the_kubelets_own_error_is_told_once_without_its_complaints_about_the_api_server() {
        let journal = "\
Nov 29 00:00:01 x kubelet[200]: E1129 00:00:01.1 200 kubelet.go:1] \"Failed to run\" err=\"connection refused\"
Nov 29 00:00:02 x kubelet[200]: E1129 00:00:02.1 200 run.go:72] \"command failed\" err=\"cgroup v1 support is off\"
Nov 29 00:00:03 x kubelet[201]: E1129 00:00:03.1 201 run.go:72] \"command failed\" err=\"cgroup v1 support is off\"
Nov 29 00:00:04 x kubelet[201]: I1129 00:00:04.1 201 run.go:9] \"Starting\"
";
        assert_eq!(causes(journal), ["\"command failed\" err=\"cgroup v1 support is off\""]);
    }
}
