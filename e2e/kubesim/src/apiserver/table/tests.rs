use rstest::rstest;

use super::*;
use crate::apiserver::catalog::Catalog;

fn row(group: &str, version: &str, plural: &str, object: Value) -> Vec<String> {
    let resource = Catalog::new().find(group, version, plural).cloned().expect("served");
    let table = of(&resource, &[object], None);
    let cells = table["rows"][0]["cells"].as_array().expect("cells");
    let columns = table["columnDefinitions"].as_array().expect("columns");
    assert_eq!(cells.len(), columns.len(), "every column has a cell");
    cells.iter().zip(columns).filter(|(_, column)| column["name"] != "Age").map(|(cell, _)| text(cell)).collect()
}

#[test]
fn a_deployment_shows_how_far_it_is() {
    let object = json!({
        "metadata": {"name": "d"},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "x"}},
                 "template": {"spec": {"containers": [{"name": "c", "image": "i:1"}]}}},
        "status": {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 2},
    });
    assert_eq!(row("apps", "v1", "deployments", object), ["d", "2/3", "3", "2", "c", "i:1", "app=x"]);
}

#[rstest]
#[case::running(json!({"ready": true, "restartCount": 0, "state": {"running": {}}}), "1/1 Running 0")]
#[case::crashing(json!({"ready": false, "restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}),
    "0/1 CrashLoopBackOff 4")]
#[case::ended(json!({"ready": false, "restartCount": 0, "state": {"terminated": {"exitCode": 3}}}), "0/1 ExitCode:3 0")]
fn a_pod_shows_its_most_telling_word(#[case] status: Value, #[case] expected: &str) {
    let pod = json!({
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c"}]},
        "status": {"phase": "Running", "containerStatuses": [status]},
    });
    assert_eq!(row("", "v1", "pods", pod)[1..4].join(" "), expected);
}

#[test]
fn an_autoscaler_shows_current_and_wanted_metric() {
    let object = json!({
        "metadata": {"name": "h"},
        "spec": {"minReplicas": 1, "maxReplicas": 4, "scaleTargetRef": {"kind": "Deployment", "name": "d"},
                 "metrics": [{"type": "External", "external": {"target": {"averageValue": "1"}}}]},
        "status": {"currentReplicas": 2, "currentMetrics": [{"external": {"current": {"averageValue": "500m"}}}]},
    });
    assert_eq!(
        row("autoscaling", "v2", "horizontalpodautoscalers", object),
        ["h", "Deployment/d", "500m/1 (avg)", "1", "4", "2"]
    );
}

#[test]
fn an_event_begins_with_when_it_was_seen() {
    let event = json!({
        "metadata": {"name": "e"}, "type": "Warning", "reason": "Failed", "message": "no image ",
        "involvedObject": {"kind": "Pod", "name": "p"}, "source": {"component": "kubelet"},
        "firstTimestamp": "2000-01-01T00:00:00Z", "lastTimestamp": "2000-01-01T00:00:00Z", "count": 2,
    });
    let cells = row("", "v1", "events", event);
    assert_eq!(&cells[1..4], ["Warning", "Failed", "pod/p"]);
    assert_eq!(cells[6], "no image");
}

#[test]
fn a_service_lists_its_ports() {
    let object = json!({"metadata": {"name": "s"}, "spec": {
        "type": "NodePort", "clusterIP": "127.20.255.1",
        "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30001}, {"port": 53, "protocol": "UDP"}],
    }});
    assert_eq!(
        row("", "v1", "services", object),
        ["s", "NodePort", "127.20.255.1", "<none>", "80:30001/TCP,53/UDP", "<none>"]
    );
}
