//! `kubectl wva doctor`: every cause is produced in a cluster; doctor names it, names nothing else, and the command it
//! gives fixes it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use serde_json::Value;
use wva_e2e::environment::Environment;
use wva_e2e::harness::with_environment;
use wva_e2e::instance::{Controller, Model, make_namespace};
use wva_e2e::wait::{self, Look};
use wva_e2e::workload::{A100, Vllm};

const MODEL_ID: &str = "meta-llama/Llama-3.1-8B";
const CONTROLLER: &str = "workload-variant-autoscaler-controller-manager";
/// The longest way: a scrape ends, its series run out of the look-back, a decision, an HPA sync.
const PATIENCE: Duration = Duration::from_secs(90);

/// A healthy cluster: controller `team-a` in namespace `wva`, one model in namespace `models`.
struct Clinic<'a> {
    environment: &'a Environment,
    controller: Controller,
    va: String,
}

impl<'a> Clinic<'a> {
    async fn open(environment: &'a Environment) -> Self {
        let kubectl = environment.kubectl();
        let url = environment.prometheus().url().to_owned();
        let controller = Controller::quick("workload-variant-autoscaler", "wva", "team-a", &url);
        controller.install(kubectl).await.unwrap();
        make_namespace(kubectl, "models").await.unwrap();
        let server = Vllm::new("models", "llama", MODEL_ID, A100);
        kubectl.apply(&server.manifest().unwrap()).await.unwrap();
        let model =
            Model { release: "llama", server: &server, accelerator: "A100", cost: "40", max: 3, instance: "team-a" };
        model.add(kubectl).await.unwrap();
        let clinic = Self { environment, controller, va: "llama-va".to_owned() };
        clinic.healthy().await;
        clinic
    }

    /// A line in a shell.
    async fn run(&self, line: &str) -> String {
        let line = line.replace("@va", &self.va).replace("@controller", CONTROLLER);
        self.environment.kubectl().shell(&line).await.unwrap()
    }

    /// Waits until doctor finds exactly this in a namespace, and gives its findings.
    async fn finds_in(&self, namespace: &str, causes: &[&str]) -> Value {
        let kubectl = self.environment.kubectl();
        wait::until(&format!("doctor to find {causes:?} in {namespace}"), PATIENCE, || async {
            let answer = kubectl.answer(&["doctor", "-n", namespace, "-o", "json"]).await.unwrap();
            let Ok(view) = serde_json::from_str::<Value>(&answer.out) else {
                return Look::NotYet(format!("{answer:?}"));
            };
            let found: Vec<&str> =
                view["findings"].as_array().unwrap().iter().map(|one| one["cause"].as_str().unwrap()).collect();
            let unknown = view["checks"].as_array().unwrap().iter().any(|check| check["outcome"] == "unknown");
            let problem = found.iter().any(|cause| *cause != "CostsEqual");
            if found == causes && !unknown && answer.code == Some(i32::from(problem)) {
                Look::Done(view["findings"].clone())
            } else {
                Look::NotYet(answer.out)
            }
        })
        .await
        .unwrap()
    }

    async fn finds(&self, cause: &str) -> Value {
        let findings = self.finds_in("models", &[cause]).await;
        assert_eq!(findings.as_array().unwrap().len(), 1, "{findings:#}");
        let given = |part: &str| findings[0][part].as_array().is_some_and(|lines| !lines.is_empty());
        assert!(findings[0]["finding"].is_string() && given("evidence"), "{findings:#}");
        assert!(given("fix") || given("look"), "{findings:#}");
        findings[0].clone()
    }

    async fn healthy(&self) {
        self.finds_in("models", &[]).await;
    }

    /// Does harm, sees it named, does what doctor says, and sees it gone.
    async fn case(&self, cause: &str, harm: &str) -> Value {
        self.run(harm).await;
        let finding = self.finds(cause).await;
        self.fix(&finding, 0).await;
        self.healthy().await;
        finding
    }

    async fn fix(&self, finding: &Value, way: usize) {
        let command = finding["fix"][way].as_str().unwrap();
        if let Err(error) = self.environment.kubectl().shell(command).await {
            panic!("{command}\n{error}\n{finding:#}");
        }
    }

    /// Installs the controller as it was, whoever has changed it since.
    async fn reinstall(&self) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("controller.yaml");
        std::fs::write(&file, self.controller.manifests().unwrap()).unwrap();
        let file = file.to_str().unwrap();
        let args = ["apply", "--server-side", "--force-conflicts", "-f", file];
        self.environment.kubectl().run(&args).await.unwrap();
    }
}

/// Has Prometheus look for metrics at another path.
fn scrape(monitor: &str, path: &str) -> String {
    let change = serde_json::json!([{"op": "replace", "path": "/spec/endpoints/0/path", "value": path}]);
    format!("kubectl patch {monitor} --type=json -p '{change}'")
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_keeps_a_variant_from_being_managed_is_named_and_fixed() {
    with_environment(async |environment: &Environment| {
        let clinic = Clinic::open(environment).await;

        clinic.case("NamespaceExcluded", "kubectl annotate namespace models wva.llmd.ai/exclude=true").await;
        clinic
            .case("InstanceMismatch", "kubectl label va @va -n models wva.llmd.ai/controller-instance=nobody --overwrite")
            .await;
        clinic
            .case("NamespaceNotWatched", "kubectl set env deployment/@controller -n wva WATCH_NAMESPACE=elsewhere")
            .await;
        clinic.run("kubectl set env deployment/@controller -n wva WATCH_NAMESPACE-").await;
        clinic.healthy().await;

        clinic
            .case(
                "TargetMissing",
                r#"kubectl patch va @va -n models --type=merge -p '{"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"gone"}}}'"#,
            )
            .await;

        clinic
            .run("kubectl get va @va -n models -o json | sed 's/\"name\": \"@va\"/\"name\": \"second\"/; /\"resourceVersion\"/d; /\"uid\"/d' | kubectl create -f -")
            .await;
        let finding = clinic.finds("TargetConflict").await;
        let ways = finding["fix"].as_array().unwrap();
        let way = ways.iter().position(|way| way.as_str().unwrap().contains("second")).unwrap();
        clinic.fix(&finding, way).await;
        clinic.healthy().await;

        let rule = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/x-kubernetes-validations";
        let definition = clinic.run("kubectl get crd variantautoscalings.llmd.ai -o json").await;
        clinic
            .run(&format!("kubectl patch crd variantautoscalings.llmd.ai --type=json -p '[{{\"op\":\"remove\",\"path\":\"{rule}\"}}]'"))
            .await;
        let finding = clinic
            .case("InvalidVariant", r#"kubectl patch va @va -n models --type=json -p '[{"op":"remove","path":"/spec/modelID"}]'"#)
            .await;
        assert!(finding["fix"][0].as_str().unwrap().contains(MODEL_ID), "{finding:#}");
        assert!(definition.contains("x-kubernetes-validations"));

        clinic.run("kubectl delete deployment @controller -n wva").await;
        clinic.finds("NoController").await;
        clinic.reinstall().await;
        clinic.healthy().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn controllers_that_do_not_work_are_named_and_fixed() {
    with_environment(async |environment: &Environment| {
        let clinic = Clinic::open(environment).await;

        clinic.case("ControllerDown", "kubectl scale deployment/@controller -n wva --replicas=0").await;

        // A setting with which the process does not start.
        clinic.run("kubectl scale deployment/@controller -n wva --replicas=0").await;
        clinic.run("kubectl set env deployment/@controller -n wva REST_CLIENT_TIMEOUT=soon").await;
        clinic.run("kubectl scale deployment/@controller -n wva --replicas=1").await;
        let kubectl = environment.kubectl();
        wait::until("doctor to show the controller's last words", PATIENCE, || async {
            let answer = kubectl.answer(&["doctor", "-n", "models"]).await.unwrap();
            let told = answer.out.contains("ControllerDown") && answer.out.contains("REST_CLIENT_TIMEOUT");
            if told { Look::Done(()) } else { Look::NotYet(answer.out) }
        })
        .await
        .unwrap();
        clinic.run("kubectl set env deployment/@controller -n wva REST_CLIENT_TIMEOUT-").await;
        clinic.healthy().await;

        // The label value of an id must begin with a letter or digit.
        clinic.run("kubectl set env deployment/@controller -n wva CONTROLLER_INSTANCE=-").await;
        let finding = clinic.finds("ControllerDown").await;
        clinic.fix(&finding, 0).await;
        clinic.healthy().await;

        clinic
            .case(
                "NoLeader",
                r#"kubectl patch lease team-a.72dd1cf1.llm-d.ai -n wva --type=merge -p "{\"spec\":{\"holderIdentity\":\"somebody-else\",\"leaseDurationSeconds\":3600,\"renewTime\":\"$(date -u +%Y-%m-%dT%H:%M:%S.000000Z)\"}}""#,
            )
            .await;

        let twin = Controller { namespace: "wva-twin".to_owned(), ..clinic.controller.clone() };
        twin.install(environment.kubectl()).await.unwrap();
        let finding = clinic.finds("DuplicateSeries").await;
        assert!(finding["fix"][0].as_str().unwrap().ends_with("-n wva-twin"), "{finding:#}");
        clinic.fix(&finding, 0).await;
        clinic.healthy().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn configuration_that_nobody_reads_or_that_stops_decisions_is_named_and_fixed() {
    with_environment(async |environment: &Environment| {
        let clinic = Clinic::open(environment).await;
        let saturation = "--from-literal=default='kvCacheThreshold: 0.7'";

        make_namespace(environment.kubectl(), "quiet").await.unwrap();
        clinic.run(&format!("kubectl create configmap wva-saturation-scaling-config -n quiet {saturation}")).await;
        let findings = clinic.finds_in("quiet", &["NamespaceNotTracked"]).await;
        clinic.fix(&findings[0], 0).await;
        clinic.finds_in("quiet", &[]).await;
        clinic.run("kubectl annotate namespace quiet wva.llmd.ai/exclude=true").await;
        let findings = clinic.finds_in("quiet", &["NamespaceExcluded"]).await;
        clinic.fix(&findings[0], 0).await;
        clinic.finds_in("quiet", &[]).await;

        clinic
            .case("ConfigMapMisnamed", &format!("kubectl create configmap saturation -n models {saturation}"))
            .await;
        clinic
            .case("ConfigMapMisnamed", &format!("kubectl create configmap wva-saturation-scaling-config -n wva {saturation}"))
            .await;

        let set = |key: &str, value: &str| {
            format!("kubectl patch configmap workload-variant-autoscaler-variantautoscaling-config -n wva --type=merge -p '{{\"data\":{{\"{key}\":\"{value}\"}}}}'")
        };
        clinic.case("OptimizationDisabled", &set("GLOBAL_OPT_ENABLE", "false")).await;
        clinic.case("OptimizationSlow", &set("GLOBAL_OPT_INTERVAL", "10m")).await;
        clinic.case("ConfigInvalid", &set("GLOBAL_OPT_INTERVAL", "20")).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_that_do_not_arrive_are_named_and_fixed() {
    with_environment(async |environment: &Environment| {
        let clinic = Clinic::open(environment).await;

        let finding = clinic
            .case(
                "ModelNameMismatch",
                r#"kubectl patch va @va -n models --type=merge -p '{"spec":{"modelID":"meta/other"}}'"#,
            )
            .await;
        assert!(finding["finding"].as_str().unwrap().contains(MODEL_ID), "{finding:#}");

        // A failed scrape ends its series at once; a job that is taken away leaves them until they are too old.
        let monitor = "servicemonitor llama-vllm-monitor -n models";
        clinic.run(&scrape(monitor, "/nothing")).await;
        clinic.finds("MetricsMissing").await;
        let finding = clinic.case("ServiceMonitorMissing", &format!("kubectl delete {monitor}")).await;
        assert_eq!(finding["fix"][0], "kubectl wva add-model llama -n models", "it remembers the rest: {finding:#}");
        let interval = clinic.run(&format!("kubectl get {monitor} -o jsonpath='{{.spec.endpoints[0].interval}}'")).await;
        assert_eq!(interval, "1s", "the user's own settings are kept");
        clinic
            .case(
                "ServiceMonitorMissing",
                r#"kubectl patch service llama-vllm -n models --type=merge -p '{"spec":{"selector":{"llm-d.ai/model":"lama"}}}'"#,
            )
            .await;

        clinic.run("kubectl scale deployment/@controller -n wva --replicas=0").await;
        clinic.run("kubectl set env deployment/@controller -n wva PROMETHEUS_BASE_URL=http://127.0.0.1:1").await;
        clinic.run("kubectl scale deployment/@controller -n wva --replicas=1").await;
        let finding = clinic.finds("PrometheusUnreachable").await;
        // No name server runs here; that the Service is found is what counts.
        let command = finding["fix"][0].as_str().unwrap();
        let port =
            clinic.run("kubectl get service prometheus -n monitoring -o jsonpath={.spec.ports[0].port}").await;
        let named = format!("http://prometheus.monitoring.svc:{port}");
        assert!(command.contains(&named), "{finding:#}");
        clinic.run(&command.replace(&named, environment.prometheus().url())).await;
        clinic.healthy().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_do_not_reach_the_autoscaler_are_named_and_fixed() {
    with_environment(async |environment: &Environment| {
        let clinic = Clinic::open(environment).await;
        let hpa = "hpa llama-hpa -n models";

        clinic.case("HpaMissing", &format!("kubectl delete {hpa}")).await;
        let most = clinic.run(&format!("kubectl get {hpa} -o jsonpath='{{.spec.maxReplicas}}'")).await;
        assert_eq!(most, "3", "the user's own settings are kept");
        let target = "/spec/metrics/0/external/target";
        let value = r#"{"type":"Value","value":"1"}"#;
        clinic
            .case(
                "HpaTargetMisread",
                &format!("kubectl patch {hpa} --type=json -p '[{{\"op\":\"replace\",\"path\":\"{target}\",\"value\":{value}}}]'"),
            )
            .await;
        let selector = "/spec/metrics/0/external/metric/selector/matchLabels/controller_instance";
        clinic
            .case(
                "HpaSelectorMismatch",
                &format!("kubectl patch {hpa} --type=json -p '[{{\"op\":\"replace\",\"path\":\"{selector}\",\"value\":\"team-b\"}}]'"),
            )
            .await;

        let monitor = "servicemonitor workload-variant-autoscaler-controller-manager-metrics-monitor -n wva";
        clinic.run(&scrape(monitor, "/nothing")).await;
        clinic.finds("MetricNotServed").await;
        clinic.run(&format!("kubectl delete {monitor}")).await;
        clinic.finds("ServiceMonitorMissing").await;
        clinic.reinstall().await;
        clinic.healthy().await;

        let service = clinic.run("kubectl get apiservice v1beta1.external.metrics.k8s.io -o json").await;
        clinic.run("kubectl delete apiservice v1beta1.external.metrics.k8s.io").await;
        clinic.finds("ExternalMetricsAbsent").await;
        let mut service: Value = serde_json::from_str(&service).unwrap();
        let metadata = service["metadata"].as_object_mut().unwrap();
        metadata.retain(|key, _| key == "name");
        service.as_object_mut().unwrap().remove("status");
        environment.kubectl().apply(&service.to_string()).await.unwrap();
        clinic.healthy().await;

        // Not a fault, only something to know: the exit code stays 0.
        clinic
            .run("kubectl get va @va -n models -o json | sed 's/\"name\": \"@va\"/\"name\": \"second\"/; s/\"name\": \"llama\"/\"name\": \"llama-two\"/; /\"resourceVersion\"/d; /\"uid\"/d' | kubectl create -f -")
            .await;
        let server = Vllm::new("models", "llama-two", MODEL_ID, A100);
        environment.kubectl().apply(&server.manifest().unwrap()).await.unwrap();
        let answer = environment.kubectl().answer(&["doctor", "-n", "models", "-o", "name"]).await.unwrap();
        assert!(answer.out.contains("CostsEqual"), "{answer:?}");
    })
    .await;
}
