//! `kubectl wva doctor`: causes within an instance are produced; doctor names each, names nothing else, and the command it
//! gives fixes it. (What concerns the whole cluster is in `doctor.rs`.)

use wva_e2e::instance::Controller;
use wva_e2e::instances::{Install, Wva, with_instances_by};
use wva_e2e::wait::{self, Look};

use crate::clinic::{Clinic, MODEL_ID, RELEASE, scrape};

/// Runs a test on a healthy model of an instance.
async fn with_clinic(test: impl AsyncFnOnce(&Wva<'_>, &Clinic<'_>)) {
    with_instances_by(Install::Nothing, &[], async |[wva]: &[Wva<'_>; 1]| {
        let controller = Controller { release: RELEASE.to_owned(), ..wva.controller() };
        let clinic = Clinic::open(wva.environment(), controller, &wva.models()).await;
        test(wva, &clinic).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn controllers_that_do_not_work_are_named_and_fixed() {
    with_clinic(async |wva, clinic| {
        clinic.case("ControllerDown", "kubectl scale deployment/@controller -n @system --replicas=0").await;

        // A setting with which the process does not start.
        clinic.run("kubectl scale deployment/@controller -n @system --replicas=0").await;
        clinic.run("kubectl set env deployment/@controller -n @system REST_CLIENT_TIMEOUT=soon").await;
        clinic.run("kubectl scale deployment/@controller -n @system --replicas=1").await;
        let kubectl = wva.kubectl();
        wait::until("doctor to show the controller's last words", clinic.patience(), || async {
            let answer = kubectl.answer(&["doctor", "-n", &wva.models()]).await.unwrap();
            let told = answer.out.contains("ControllerDown") && answer.out.contains("REST_CLIENT_TIMEOUT");
            if told { Look::Done(()) } else { Look::NotYet(answer.out) }
        })
        .await
        .unwrap();
        clinic.run("kubectl set env deployment/@controller -n @system REST_CLIENT_TIMEOUT-").await;
        clinic.healthy().await;

        // The label value of an id must begin with a letter or digit.
        clinic.run("kubectl set env deployment/@controller -n @system CONTROLLER_INSTANCE=-").await;
        let finding = clinic.finds("ControllerDown").await;
        clinic.fix(&finding, 0).await;
        clinic.healthy().await;

        clinic
            .case(
                "NoLeader",
                r#"kubectl patch lease @id.72dd1cf1.llm-d.ai -n @system --type=merge -p "{\"spec\":{\"holderIdentity\":\"somebody-else\",\"leaseDurationSeconds\":3600,\"renewTime\":\"$(date -u +%Y-%m-%dT%H:%M:%S.000000Z)\"}}""#,
            )
            .await;

        let namespace = format!("{}-twin", wva.namespace());
        wva.make_namespace(&namespace).await;
        let twin = Controller { namespace, ..clinic.controller.clone() };
        twin.install(wva.kubectl()).await.unwrap();
        let finding = clinic.finds("DuplicateSeries").await;
        assert!(finding["fix"][0].as_str().unwrap().ends_with(&clinic.named("-n @system-twin")), "{finding:#}");
        clinic.fix(&finding, 0).await;
        clinic.healthy().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn configuration_that_nobody_reads_or_that_stops_decisions_is_named_and_fixed() {
    with_clinic(async |wva, clinic| {
        let saturation = "--from-literal=default='kvCacheThreshold: 0.7'";

        let quiet = format!("{}-quiet", wva.id());
        wva.make_namespace(&quiet).await;
        clinic.run(&format!("kubectl create configmap wva-saturation-scaling-config -n {quiet} {saturation}")).await;
        let findings = clinic.finds_in(&quiet, &["NamespaceNotTracked"]).await;
        clinic.fix(&findings[0], 0).await;
        clinic.finds_in(&quiet, &[]).await;
        clinic.run(&format!("kubectl annotate namespace {quiet} wva.llmd.ai/exclude=true")).await;
        let findings = clinic.finds_in(&quiet, &["NamespaceExcluded"]).await;
        clinic.fix(&findings[0], 0).await;
        clinic.finds_in(&quiet, &[]).await;

        clinic
            .case("ConfigMapMisnamed", &format!("kubectl create configmap saturation -n @models {saturation}"))
            .await;
        clinic
            .case("ConfigMapMisnamed", &format!("kubectl create configmap wva-saturation-scaling-config -n @system {saturation}"))
            .await;

        let set = |key: &str, value: &str| {
            format!("kubectl patch configmap workload-variant-autoscaler-variantautoscaling-config -n @system --type=merge -p '{{\"data\":{{\"{key}\":\"{value}\"}}}}'")
        };
        clinic.case("OptimizationDisabled", &set("GLOBAL_OPT_ENABLE", "false")).await;
        clinic.case("OptimizationSlow", &set("GLOBAL_OPT_INTERVAL", "10m")).await;
        clinic.case("ConfigInvalid", &set("GLOBAL_OPT_INTERVAL", "20")).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_that_do_not_arrive_are_named_and_fixed() {
    with_clinic(async |wva, clinic| {
        let finding = clinic
            .case(
                "ModelNameMismatch",
                r#"kubectl patch va @va -n @models --type=merge -p '{"spec":{"modelID":"meta/other"}}'"#,
            )
            .await;
        assert!(finding["finding"].as_str().unwrap().contains(MODEL_ID), "{finding:#}");

        // A failed scrape ends its series at once; a job that is taken away leaves them until they are too old.
        let monitor = "servicemonitor llama-vllm-monitor -n @models";
        clinic.run(&scrape(monitor, "/nothing")).await;
        clinic.finds("MetricsMissing").await;
        let finding = clinic.case("ServiceMonitorMissing", &format!("kubectl delete {monitor}")).await;
        assert_eq!(finding["fix"][0], clinic.named("kubectl wva add-model llama -n @models"), "it remembers the rest: {finding:#}");
        let interval = clinic.run(&format!("kubectl get {monitor} -o jsonpath='{{.spec.endpoints[0].interval}}'")).await;
        assert_eq!(interval, "1s", "the user's own settings are kept");
        clinic
            .case(
                "ServiceMonitorMissing",
                r#"kubectl patch service llama-vllm -n @models --type=merge -p '{"spec":{"selector":{"llm-d.ai/model":"lama"}}}'"#,
            )
            .await;

        clinic.run("kubectl scale deployment/@controller -n @system --replicas=0").await;
        clinic.run("kubectl set env deployment/@controller -n @system PROMETHEUS_BASE_URL=http://127.0.0.1:1").await;
        clinic.run("kubectl scale deployment/@controller -n @system --replicas=1").await;
        let finding = clinic.finds("PrometheusUnreachable").await;
        // No name server runs here; that the Service is found is what counts.
        let command = finding["fix"][0].as_str().unwrap();
        let port =
            clinic.run("kubectl get service prometheus -n monitoring -o jsonpath={.spec.ports[0].port}").await;
        let named = format!("http://prometheus.monitoring.svc:{port}");
        assert!(command.contains(&named), "{finding:#}");
        clinic.run(&command.replace(&named, wva.environment().prometheus().url())).await;
        clinic.healthy().await;
    })
    .await;
}
