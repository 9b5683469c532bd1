//! No value is without effect, and values that contradict each other are refused with a sentence that helps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use chart_render::{Chart, Options, Release, Rendered, Values, render};
use rstest::rstest;
use serde_json::Value as Json;

use crate::helm::chart;

static CHART: LazyLock<Chart> = LazyLock::new(|| Chart::load(chart()).expect("chart"));

fn try_render(set: &str) -> Result<Rendered, String> {
    let mut values = Values::new();
    for setting in set.split(' ').filter(|setting| !setting.is_empty()) {
        values.set(setting).map_err(|error| error.to_string())?;
    }
    render(&CHART, values, &Release::new("wva", "wva-system"), &Options::default()).map_err(|error| error.to_string())
}

fn texts(set: &str) -> Vec<String> {
    let rendered = try_render(set).expect("it renders");
    rendered.manifests.iter().chain(&rendered.hooks).map(|manifest| manifest.text.clone()).collect()
}

/// The texts without their checksums: one that changes starts the pods again and is no effect of a value by itself.
fn effects(set: &str) -> Vec<String> {
    let without = |text: String| text.lines().filter(|line| !line.contains("checksum/")).collect::<Vec<_>>().join("\n");
    texts(set).into_iter().map(without).collect()
}

/// A changed value, and behind a bar what has to be set for it to count.
const CHANGES: &[&str] = &[
    "nameOverride=x",
    "fullnameOverride=x",
    "commonLabels.team=x",
    "controller.enabled=false",
    "wva.enabled=false",
    "wva.image.repository=x",
    "wva.image.tag=latest",
    "wva.image.digest=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "wva.imagePullPolicy=Never",
    "wva.imagePullSecrets[0].name=x",
    "wva.replicaCount=2",
    "wva.revisionHistoryLimit=3",
    "wva.strategy.type=Recreate",
    "wva.resources.limits.cpu=1",
    "wva.deploymentAnnotations.a=x",
    "wva.podAnnotations.a=x",
    "wva.podLabels.a=x",
    "wva.podSecurityContext.runAsUser=1000",
    "wva.securityContext.readOnlyRootFilesystem=false",
    "wva.terminationGracePeriodSeconds=45",
    "wva.probes.port=9090",
    "wva.probes.liveness.periodSeconds=5",
    "wva.probes.readiness.periodSeconds=1",
    "wva.scheduling.nodeSelector.a=x",
    "wva.scheduling.tolerations[0].operator=Exists",
    "wva.scheduling.affinity.nodeAffinity.x=y",
    "wva.scheduling.topologySpreadConstraints[0].maxSkew=1",
    "wva.scheduling.priorityClassName=x",
    "wva.podDisruptionBudget.enabled=true",
    "wva.podDisruptionBudget.minAvailable=1|wva.podDisruptionBudget.enabled=true",
    "wva.podDisruptionBudget.maxUnavailable=50%|wva.podDisruptionBudget.enabled=true",
    "wva.serviceAccount.create=false|wva.serviceAccount.name=x",
    "wva.serviceAccount.name=x",
    "wva.serviceAccount.annotations.a=x",
    "wva.extraArgs[0]=--v=4",
    "wva.extraEnv[0].name=x",
    "wva.extraEnvFrom[0].secretRef.name=x",
    "wva.extraVolumes[0].name=x",
    "wva.extraVolumeMounts[0].name=x,wva.extraVolumeMounts[0].mountPath=/x",
    "wva.logging.level=debug",
    "wva.controllerInstance=x",
    "wva.manageAllInstances=true",
    "wva.namespaceScoped=true",
    "wva.watchNamespaces[0]=x|wva.namespaceScoped=true",
    "wva.leaderElection.enabled=false",
    "wva.leaderElection.id=x",
    "wva.leaderElection.leaseDuration=90s",
    "wva.leaderElection.renewDeadline=40s",
    "wva.leaderElection.retryPeriod=5s",
    "wva.reconcileInterval=5s",
    "wva.paused=true",
    "wva.proactiveModel=true",
    "wva.scaleToZero=true",
    "wva.scaleToZeroModels.m.model_id=x",
    "wva.scaleFromZero.maxConcurrency=2",
    "wva.scaleFromZero.poolGroup=inference.networking.k8s.io",
    "wva.scaleFromZero.tokenSecret.name=x",
    "wva.limitedMode=true",
    "wva.nodeSelector=a=b",
    "wva.configMap.immutable=true",
    "wva.configMap.contentName=true",
    "wva.metrics.enabled=false",
    "wva.metrics.port=9443",
    "wva.metrics.secure=false",
    "wva.metrics.certSecret=x",
    "wva.metrics.interval=1s",
    "wva.metrics.service.type=NodePort",
    "wva.metrics.service.annotations.a=x",
    "wva.metrics.serviceMonitor.enabled=false",
    "wva.metrics.serviceMonitor.labels.a=x",
    "wva.metrics.serviceMonitor.dedicatedToken=false",
    "wva.metrics.serviceMonitor.tlsConfig.serverName=x",
    "wva.prometheus.baseURL=http://p",
    "wva.prometheus.monitoringNamespace=x",
    "wva.prometheus.serviceAccountName=x",
    "wva.prometheus.metricsWindow=5m",
    "wva.prometheus.caCert=x",
    "wva.prometheus.copyCaCert=true|wva.prometheus.caCert=x",
    "wva.prometheus.caCertFrom.secret=x",
    "wva.prometheus.tokenPath=/x",
    "wva.prometheus.tokenSecret.name=x",
    "wva.prometheus.clientCertSecret=x",
    "wva.prometheus.headers.X-Scope-OrgID=x",
    "wva.prometheus.headersSecret.name=x",
    "wva.prometheus.extraMatchers=x",
    "wva.prometheus.tls.insecureSkipVerify=true",
    "wva.prometheus.tls.caCertPath=/x|wva.prometheus.caCert=x",
    "wva.prometheus.tls.serverName=x",
    "wva.prometheus.metricsCache.ttl=5s",
    "wva.prometheus.metricsCache.cleanupInterval=5s",
    "wva.prometheus.metricsCache.fetchInterval=5s",
    "wva.prometheus.metricsCache.freshThreshold=5s",
    "wva.prometheus.metricsCache.staleThreshold=5s",
    "wva.prometheus.metricsCache.unavailableThreshold=5s",
    "wva.capacityScaling.default.kvCacheThreshold=1",
    "wva.capacityScaling.default.queueLengthThreshold=1",
    "wva.capacityScaling.default.kvSpareTrigger=1",
    "wva.capacityScaling.default.queueSpareTrigger=1",
    "wva.capacityScaling.default.scaleUpPolicy=demand",
    "wva.capacityScaling.overrides.m.modelID=x,wva.capacityScaling.overrides.m.namespace=x",
    "wva.networkPolicy.enabled=true",
    "wva.networkPolicy.ingressFrom[0].ipBlock.cidr=10.0.0.0/8|wva.networkPolicy.enabled=true",
    "wva.networkPolicy.egress[0].ports[0].port=443|wva.networkPolicy.enabled=true",
    "wva.prometheusRule.enabled=true",
    "wva.prometheusRule.labels.a=x|wva.prometheusRule.enabled=true",
    "wva.prometheusRule.alertLabels.a=x|wva.prometheusRule.enabled=true",
    "wva.prometheusRule.disabledAlerts[0]=WVANoLeader|wva.prometheusRule.enabled=true",
    "wva.prometheusRule.extraRules[0].record=x|wva.prometheusRule.enabled=true",
    "wva.grafanaDashboard.enabled=true",
    "wva.grafanaDashboard.namespace=x|wva.grafanaDashboard.enabled=true",
    "wva.grafanaDashboard.labels.a=x|wva.grafanaDashboard.enabled=true",
    "wva.grafanaDashboard.annotations.a=x|wva.grafanaDashboard.enabled=true",
    "wva.openshift.enabled=true",
    "wva.helmTest.enabled=false",
    "wva.helmTest.timeout=5s",
    "wva.rbac.create=false",
    "wva.rbac.extraRules[0].verbs[0]=get",
    "wva.rbac.userRoles.admin=false",
    "wva.rbac.userRoles.editor=false",
    "wva.rbac.userRoles.viewer=false",
    "wva.rbac.userRoles.aggregate=true",
    "llmd.namespace=x",
    "llmd.modelName=x",
    "llmd.modelID=a/b",
    "llmd.deploymentName=x",
    "llmd.target.kind=StatefulSet",
    "va.enabled=false",
    "va.accelerator=A100",
    "va.variantCost=40",
    "va.sloTpot=20",
    "va.sloTtft=500",
    "hpa.enabled=false",
    "hpa.minReplicas=2",
    "hpa.maxReplicas=20",
    "hpa.targetAverageValue=2",
    "hpa.tolerance=null",
    "hpa.passThrough=true",
    "hpa.annotations.a=x",
    "hpa.behavior.scaleUp.stabilizationWindowSeconds=30",
    "hpa.behavior.scaleUp.selectPolicy=Min",
    "hpa.behavior.scaleUp.policies=null",
    "hpa.behavior.scaleDown.stabilizationWindowSeconds=30",
    "hpa.behavior.scaleDown.selectPolicy=Min",
    "hpa.behavior.scaleDown.policies=null",
    "keda.enabled=true|hpa.enabled=false",
    "keda.serverAddress=http://k|hpa.enabled=false,keda.enabled=true",
    "keda.pollingInterval=9|hpa.enabled=false,keda.enabled=true",
    "keda.cooldownPeriod=9|hpa.enabled=false,keda.enabled=true",
    "keda.initialCooldownPeriod=9|hpa.enabled=false,keda.enabled=true",
    "keda.fallback=null|hpa.enabled=false,keda.enabled=true",
    "keda.authenticationRef.name=x|hpa.enabled=false,keda.enabled=true",
    "keda.metadata.authModes=bearer|hpa.enabled=false,keda.enabled=true",
    "modelService.enabled=true,modelService.selector.a=x",
    "modelService.selector.a=y|modelService.enabled=true,modelService.selector.a=x",
    "modelService.annotations.a=x|modelService.enabled=true,modelService.selector.a=x",
    "vllmService.enabled=false",
    "vllmService.type=NodePort",
    "vllmService.port=8000",
    "vllmService.targetPort=8000",
    "vllmService.nodePort=31000|vllmService.type=NodePort",
    "vllmService.annotations.a=x",
    "vllmService.selector.app=x",
    "vllmService.interval=5s",
    "vllmService.scheme=https",
    "vllmService.serviceMonitor.enabled=false",
    "vllmService.serviceMonitor.labels.a=x",
];

fn leaves(prefix: &str, json: &Json, out: &mut BTreeSet<String>) {
    match json {
        Json::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                leaves(&path, value, out);
            }
        }
        _ => {
            out.insert(prefix.to_owned());
        }
    }
}

#[test]
fn every_value_has_an_effect() {
    let mut bases = BTreeMap::new();
    for change in CHANGES {
        let (set, with) = change.split_once('|').unwrap_or((change, ""));
        let base = bases.entry(with).or_insert_with(|| effects(with));
        assert_ne!(*base, effects(&format!("{with} {set}")), "{change}");
    }
}

#[test]
fn no_value_is_left_out_of_the_proof_that_it_has_an_effect() {
    /// Below these, one part stands for all: whole objects of Kubernetes, handed through.
    const WHOLE: &[&str] = &[
        "wva.resources",
        "wva.podSecurityContext",
        "wva.securityContext",
        "wva.probes.liveness",
        "wva.metrics.serviceMonitor.tlsConfig",
        "wva.grafanaDashboard.labels",
        "llmd.target",
        "keda.fallback",
    ];
    /// For umbrellas, for `--reuse-values`, and for the cluster: nothing of them shows without one.
    const ELSEWHERE: &[&str] = &["global", "defaultsOf", "preflight.enabled"];
    let mut all = BTreeSet::new();
    leaves("", &Json::Object(Chart::load(chart()).expect("chart").values().clone()), &mut all);
    let shown = |path: &String| CHANGES.iter().any(|change| change.starts_with(path.as_str()));
    let whole = |path: &String| WHOLE.iter().any(|whole| path.starts_with(whole) && shown(&(*whole).to_owned()));
    let left: Vec<String> =
        all.into_iter().filter(|path| !ELSEWHERE.contains(&path.as_str()) && !shown(path) && !whole(path)).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_node_port_counts_for_its_type_only() {
    assert_eq!(texts("vllmService.type=ClusterIP"), texts("vllmService.nodePort=31000"));
}

#[rstest]
#[case::instance("wva.controllerInstance=a/b", "wva.controllerInstance is \"a/b\", but it becomes a label")]
#[case::two_claims("wva.controllerInstance=a wva.manageAllInstances=true", "set only one of them")]
#[case::two_autoscalers("keda.enabled=true", "set hpa.enabled=false to let KEDA scale")]
#[case::limits("hpa.minReplicas=5 hpa.maxReplicas=2", "hpa.minReplicas is 5 and hpa.maxReplicas is 2")]
#[case::limits_of_keda(
    "hpa.enabled=false keda.enabled=true hpa.minReplicas=11",
    "the minimum may not exceed the maximum"
)]
#[case::many_leaders("wva.replicaCount=2 wva.leaderElection.enabled=false", "all of them would decide at once")]
#[case::scope("wva.watchNamespaces[0]=x", "set wva.namespaceScoped=true")]
#[case::account("wva.serviceAccount.create=false", "set wva.serviceAccount.name")]
#[case::two_certificates(
    "wva.prometheus.caCert=x wva.prometheus.caCertFrom.secret=y",
    "both give the CA of Prometheus"
)]
#[case::two_tokens(
    "wva.prometheus.tokenPath=/x wva.prometheus.tokenSecret.name=y",
    "both give the token for Prometheus"
)]
#[case::a_service_of_every_pod("modelService.enabled=true", "give a label that the pods of every variant")]
#[case::two_lists_of_headers(
    "wva.prometheus.headers.A=x wva.prometheus.headersSecret.name=y",
    "both give the headers for Prometheus"
)]
#[case::misspelt("wva.controllerInstnace=x", "controllerInstnace")]
#[case::part_of_a_reference("wva.scaleFromZero.tokenSecret.key=x", "name")]
#[case::our_own_label("commonLabels.control-plane=x", "commonLabels")]
fn contradictions_are_refused_with_what_to_do(#[case] set: &str, #[case] sentence: &str) {
    let refusal = try_render(set).expect_err("it is refused");
    assert!(refusal.contains(sentence), "{refusal}");
}

#[rstest]
#[case::shared_with_a_model("hpa.minReplicas=0")]
#[case::labels_given_twice(
    "commonLabels.release=a vllmService.serviceMonitor.labels.release=b wva.podLabels.release=c"
)]
fn what_is_fine_is_taken(#[case] set: &str) {
    assert!(!texts(set).is_empty());
}
