//! A release of a small chart with `helm`, from install to uninstall.

use crate::{
    custom::DEFINITION,
    terminal::{FOREVER, Terminal, assert_shows},
};

const TEMPLATES: &str = r#"
{apiVersion: v1, kind: ConfigMap, metadata: {name: {{ .Release.Name }}}, data: {replicas: {{ .Values.replicas | quote }}}}
---
{apiVersion: v1, kind: Service, metadata: {name: {{ .Release.Name }}}, spec: {selector: {app: x}, ports: [{port: 80}]}}
---
{apiVersion: example.com/v1, kind: Gadget, metadata: {name: {{ .Release.Name }}}, spec: {size: 3}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: x}}
  template:
    metadata: {labels: {app: x}}
    spec: {containers: [{name: c, image: "example/shell:v1", args: ["-c", "FOREVER"]}]}
"#;

const TEST: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: check, annotations: {helm.sh/hook: test, helm.sh/hook-delete-policy: hook-succeeded}}
spec: {restartPolicy: Never, containers: [{name: c, image: "example/shell:v1", args: ["-c", "echo checked"]}]}
"#;

#[tokio::test]
async fn a_release_lives_from_install_to_uninstall() {
    let terminal = Terminal::open().await;
    terminal.file("chart/Chart.yaml", "{apiVersion: v2, name: small, version: 0.1.0}");
    terminal.file("chart/values.yaml", "replicas: 1");
    terminal.file("chart/crds/crd.yaml", DEFINITION);
    terminal.file("chart/templates/all.yaml", &TEMPLATES.replace("FOREVER", FOREVER));
    terminal.file("chart/templates/tests/check.yaml", TEST);
    let replicas = "kubectl get deploy r -n team -o jsonpath='replicas={.status.readyReplicas}'";

    let out = terminal.run("helm install r chart -n team --create-namespace --wait --timeout 20s").await;
    assert_shows(&out, &["STATUS: deployed", "REVISION: 1"]);
    assert_shows(
        &terminal.refused("helm install r chart -n team").await,
        &["cannot reuse a name that is still in use"],
    );
    assert_shows(&terminal.run("helm list -A; helm get manifest r -n team").await, &["small-0.1.0", "kind: Gadget"]);

    terminal.run("helm upgrade r chart -n team --set replicas=2 --wait --timeout 20s").await;
    assert_eq!(terminal.run(replicas).await, "replicas=2");
    let refusal = terminal.refused("helm upgrade r chart -n team --set replicas=many").await;
    assert_shows(&refusal, &["UPGRADE FAILED", ".spec.replicas: expected numeric (int or float)"]);
    terminal.run("helm rollback r 1 -n team --wait --timeout 20s").await;
    assert_eq!(terminal.run(replicas).await, "replicas=1");
    let out = terminal.run("helm history r -n team; helm status r -n team").await;
    assert_shows(&out, &["superseded", "failed", "Rollback to 1", "==> v1/Deployment"]);
    let out = terminal.run("helm test r -n team --logs --timeout 20s").await;
    assert_shows(&out, &["Phase:          Succeeded", "checked"]);

    terminal.run("helm uninstall r -n team --wait --timeout 20s").await;
    let left = "helm list -n team -q; kubectl get deploy,gd,svc,cm -n team -o name";
    assert_eq!(terminal.run(left).await, "configmap/kube-root-ca.crt\n");
    // Helm leaves definitions alone, because the objects of others may depend on them.
    terminal.run("kubectl get crd gadgets.example.com").await;
    terminal.close().await;
}
