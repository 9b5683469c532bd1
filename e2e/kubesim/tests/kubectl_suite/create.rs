//! The generators of `kubectl create`, `run`, `expose` and `autoscale`, most of which send protobuf.

use rstest::rstest;

use crate::terminal::{Terminal, assert_shows, line};

#[tokio::test]
async fn every_generator_is_understood() {
    let terminal = Terminal::open().await;
    let pair = rcgen::generate_simple_self_signed(["example".to_owned()]).unwrap();
    terminal.file("tls.crt", &pair.cert.pem());
    terminal.file("tls.key", &pair.signing_key.serialize_pem());
    let out = terminal
        .run(
            r#"kubectl create ns team
            kubectl create cm c --from-literal=a=1 --from-literal=b=yes
            kubectl create secret generic s --from-literal=a=1
            kubectl create secret tls tls --cert=tls.crt --key=tls.key
            kubectl create secret docker-registry reg --docker-username=u --docker-password=p
            kubectl create sa robot
            kubectl create deployment web --image=example/shell:v1 --replicas=1 --port=80 -- /bin/sh -c "$FOREVER"
            kubectl create service clusterip web --tcp=80:8080
            kubectl create service nodeport node --tcp=80
            kubectl create service externalname ext --external-name a.example.com
            kubectl create role r --verb=get,list --resource=pods
            kubectl create rolebinding rb --role=r --serviceaccount=default:robot
            kubectl create clusterrole cr --verb=get --non-resource-url=/metrics
            kubectl create clusterrolebinding crb --clusterrole=cr --user=u
            kubectl create job once --image=example/shell:v1 -- true
            kubectl create cronjob often --image=example/shell:v1 --schedule='*/5 * * * *' -- true
            kubectl create job --from=cronjob/often now
            kubectl create quota q --hard=cpu=1,limits.cpu=2
            kubectl create pdb p --selector=app=web --min-available=1
            kubectl create ingress i --rule=a.example.com/x=web:80
            kubectl create priorityclass high --value=10 --description=x
            kubectl run p --image=example/shell:v1 --labels=x=y --command -- /bin/sh -c "$FOREVER"
            kubectl expose deployment web --name=web2 --port=81
            kubectl autoscale deployment web --min=1 --max=3 --cpu=50%
            kubectl create token robot | cut -d. -f1 | base64 -d 2>/dev/null"#,
        )
        .await;
    assert_eq!(out.lines().filter(|line| line.ends_with(" created")).count(), 22, "{out}");
    assert_shows(&out, &["service/web2 exposed", "horizontalpodautoscaler.autoscaling/web autoscaled", "RS256"]);

    let out = terminal.run("kubectl get cm c -o jsonpath={.data}; kubectl get secret s tls reg").await;
    assert_shows(&out, &[r#"{"a":"1","b":"yes"}"#, "Opaque", "kubernetes.io/tls", "kubernetes.io/dockerconfigjson"]);
    let out = terminal.run("kubectl get svc,quota,pc,pdb,ing --no-headers").await;
    assert_eq!(line(&out, "service/ext")[1..4], ["ExternalName", "<none>", "a.example.com"]);
    assert_eq!(line(&out, "resourcequota/q")[1..5], ["cpu:", "0/1", "limits.cpu:", "0/2"]);
    assert_eq!(line(&out, "priorityclass.scheduling.k8s.io/high")[1..3], ["10", "false"]);
    assert_eq!(line(&out, "poddisruptionbudget.policy/p")[1..4], ["1", "N/A", "0"]);
    terminal.close().await;
}

#[rstest]
#[case("kubectl create ns default", "Error from server (AlreadyExists): namespaces \"default\" already exists")]
#[case("kubectl create cm x -n nowhere", "namespaces \"nowhere\" not found")]
#[case(
    "kubectl create cm A_",
    "ConfigMap \"A_\" is invalid: metadata.name: Invalid value: \"A_\": a lowercase RFC 1123"
)]
#[case("kubectl get pod nobody", "Error from server (NotFound): pods \"nobody\" not found")]
#[case("kubectl get gizmo", "the server doesn't have a resource type \"gizmo\"")]
#[case("kubectl get pod --field-selector=spec.foo=1", "field label not supported: spec.foo")]
#[case("kubectl top pod", "Metrics API not available")]
#[tokio::test]
async fn refusals_are_worded_as_by_a_real_server(#[case] command: &str, #[case] expected: &str) {
    let terminal = Terminal::open().await;
    assert_shows(&terminal.refused(command).await, &[expected]);
    terminal.close().await;
}

#[tokio::test]
async fn a_dry_run_shows_defaults_and_stores_nothing() {
    let terminal = Terminal::open().await;
    let out = terminal.run("kubectl run p --image=example/shell --dry-run=server -o yaml").await;
    assert_shows(&out, &["imagePullPolicy: Always", "terminationGracePeriodSeconds: 30", "qosClass: BestEffort"]);
    terminal.refused("kubectl get pod p").await;
    terminal.close().await;
}
