//! Every cause of trouble that an instance can have without touching others, and how it comes about. Names in lines of the
//! shell are those of `Clinic::named`.

use std::time::Duration;

/// How soon a cause is found.
pub(crate) const FOUND: Duration = Duration::from_secs(5);
/// How soon nothing of it is left once its remedy is carried out.
pub(crate) const MENDED: Duration = Duration::from_secs(10);

/// What of a variant's way a cause cuts off. Doctor looks along that way, and what stands behind is not told: it follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Nobody decides for the variant.
    Ownership,
    /// There is nothing that can be scaled.
    Target,
    /// Who decides for it does not work.
    Controller,
    /// The controller gets no metrics, or others than it should.
    Metrics,
    /// The number does not get to whoever follows it.
    Follower,
    /// Nothing is cut off.
    Nothing,
}

/// One cause.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    /// As doctor names it.
    pub(crate) cause: &'static str,
    /// Makes it.
    pub(crate) harm: &'static str,
    /// What it cuts off.
    pub(crate) stage: Stage,
    /// What it is on: two causes on one thing undo each other.
    pub(crate) on: On,
    /// Makes what the remedy leaves different from before as it was; empty when nothing is.
    pub(crate) after: &'static str,
    /// How soon it is found, and mended.
    pub(crate) soon: (Duration, Duration),
}

/// What a cause is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    Namespace,
    Variant,
    /// The controller's Deployment, its pods or its Lease.
    Controller,
    /// The controller's main ConfigMap.
    Settings,
    /// The ConfigMaps that nobody reads.
    Others,
    Servers,
    /// The ServiceMonitor and the Service of the servers.
    ServerMonitor,
    Hpa,
    /// The ServiceMonitor of the controller.
    ControllerMonitor,
}

const USUAL: Case =
    Case { cause: "", harm: "", stage: Stage::Nothing, on: On::Variant, after: "", soon: (FOUND, MENDED) };

/// The causes.
pub(crate) const CASES: [Case; 26] = [
    Case {
        cause: "NamespaceExcluded",
        harm: "kubectl annotate namespace @models wva.llmd.ai/exclude=true",
        stage: Stage::Ownership,
        on: On::Namespace,
        ..USUAL
    },
    Case {
        cause: "InstanceMismatch",
        harm: "kubectl label va @va -n @models wva.llmd.ai/controller-instance=nobody --overwrite",
        stage: Stage::Ownership,
        ..USUAL
    },
    Case {
        cause: "NamespaceNotWatched",
        harm: "kubectl set env deployment/@controller -n @system WATCH_NAMESPACE=elsewhere",
        stage: Stage::Ownership,
        on: On::Controller,
        after: "kubectl set env deployment/@controller -n @system WATCH_NAMESPACE-",
        ..USUAL
    },
    Case {
        // A copy of the controller in another namespace: the younger one is the intruder.
        cause: "DuplicateSeries",
        harm: "kubectl get deployment @controller -n @system -o json | \
               sed '/\"resourceVersion\"/d; /\"uid\"/d; s/\"namespace\": \"@system\"/\"namespace\": \"@twin\"/' | \
               kubectl create -f -",
        stage: Stage::Ownership,
        on: On::Controller,
        ..USUAL
    },
    Case {
        cause: "TargetMissing",
        harm: r#"kubectl patch va @va -n @models --type=merge -p '{"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"gone"}}}'"#,
        stage: Stage::Target,
        ..USUAL
    },
    Case {
        cause: "TargetConflict",
        harm: "kubectl get va @va -n @models -o json | \
               sed 's/\"name\": \"@va\"/\"name\": \"a-second\"/; /\"resourceVersion\"/d; /\"uid\"/d; /\"creationTimestamp\"/d' | \
               kubectl create -f -",
        stage: Stage::Target,
        ..USUAL
    },
    Case {
        cause: "ControllerDown",
        harm: "kubectl scale deployment/@controller -n @system --replicas=0",
        stage: Stage::Controller,
        on: On::Controller,
        ..USUAL
    },
    Case {
        cause: "RolloutStuck",
        harm: "kubectl set env deployment/@controller -n @system REST_CLIENT_TIMEOUT=soon",
        on: On::Controller,
        ..USUAL
    },
    Case {
        cause: "NoLeader",
        harm: r#"while [ $(($(date +%s) - $(date -d "$(kubectl get pods -n @system -l control-plane=controller-manager -o jsonpath='{.items[-1:].metadata.creationTimestamp}')" +%s))) -le 21 ]; do sleep 1; done; kubectl patch lease @id.72dd1cf1.llm-d.ai -n @system --type=merge -p "{\"spec\":{\"holderIdentity\":\"somebody-else\",\"leaseDurationSeconds\":3600,\"renewTime\":\"$(date -u +%Y-%m-%dT%H:%M:%S.000000Z)\"}}""#,
        stage: Stage::Controller,
        on: On::Controller,
        // While a pod is younger than 20 s, another holder of the Lease may be the pod before it, so it is made older first;
        // a standby asks for the Lease every 10 s.
        soon: (FOUND, Duration::from_secs(20)),
        ..USUAL
    },
    Case {
        cause: "ConfigMapMisnamed",
        harm: "kubectl create configmap saturation -n @models --from-literal=default='kvCacheThreshold: 0.7'",
        on: On::Others,
        after: "kubectl delete configmap wva-saturation-scaling-config -n @models",
        ..USUAL
    },
    Case {
        cause: "ConfigMapMisnamed",
        harm: "kubectl create configmap wva-saturation-scaling-config -n @system --from-literal=default='kvCacheThreshold: 0.7'",
        on: On::Others,
        ..USUAL
    },
    Case {
        cause: "ConfigInvalid",
        harm: r#"kubectl patch configmap @config -n @system --type=merge -p '{"data":{"GLOBAL_OPT_INTERVAL":"2"}}'"#,
        on: On::Settings,
        ..USUAL
    },
    Case {
        cause: "OptimizationDisabled",
        harm: r#"kubectl patch configmap @config -n @system --type=merge -p '{"data":{"GLOBAL_OPT_ENABLE":"false"}}'"#,
        on: On::Settings,
        ..USUAL
    },
    Case {
        cause: "OptimizationSlow",
        harm: r#"kubectl patch configmap @config -n @system --type=merge -p '{"data":{"GLOBAL_OPT_INTERVAL":"10m"}}'"#,
        on: On::Settings,
        after: r#"kubectl patch configmap @config -n @system --type=merge -p '{"data":{"GLOBAL_OPT_INTERVAL":"2s"}}'"#,
        ..USUAL
    },
    Case {
        cause: "PodsPending",
        harm: r#"kubectl patch deployment llama -n @models --type=merge -p '{"spec":{"template":{"spec":{"nodeSelector":{"no":"such"}}}}}'"#,
        on: On::Servers,
        ..USUAL
    },
    Case {
        cause: "PodsFailing",
        harm: "kubectl set image deployment/llama -n @models '*=localhost/no-such-image:1'",
        on: On::Servers,
        ..USUAL
    },
    Case {
        cause: "PrometheusUnreachable",
        harm: "kubectl set env deployment/@controller -n @system PROMETHEUS_BASE_URL=http://127.0.0.1:1",
        on: On::Controller,
        after: "kubectl set env deployment/@controller -n @system PROMETHEUS_BASE_URL-",
        ..USUAL
    },
    Case {
        cause: "ServiceMonitorMissing",
        harm: "kubectl delete servicemonitor llama-vllm-monitor -n @models",
        stage: Stage::Metrics,
        on: On::ServerMonitor,
        ..USUAL
    },
    Case {
        cause: "ServiceMonitorMissing",
        harm: r#"kubectl patch service llama-vllm -n @models --type=merge -p '{"spec":{"selector":{"llm-d.ai/model":"lama"}}}'"#,
        stage: Stage::Metrics,
        on: On::ServerMonitor,
        ..USUAL
    },
    Case {
        cause: "ModelNameMismatch",
        harm: r#"kubectl patch va @va -n @models --type=merge -p '{"spec":{"modelID":"meta/other"}}'"#,
        stage: Stage::Metrics,
        ..USUAL
    },
    Case {
        cause: "MetricsMissing",
        harm: r#"kubectl patch servicemonitor llama-vllm-monitor -n @models --type=json -p '[{"op":"replace","path":"/spec/endpoints/0/path","value":"/nothing"}]'"#,
        stage: Stage::Metrics,
        on: On::ServerMonitor,
        // What was scraped within the window of metrics, here 10 s, counts; then comes a decision.
        soon: (Duration::from_secs(15), MENDED),
        ..USUAL
    },
    Case {
        cause: "HpaMissing",
        harm: "kubectl delete hpa llama-hpa -n @models",
        stage: Stage::Follower,
        on: On::Hpa,
        ..USUAL
    },
    Case {
        cause: "HpaSelectorMismatch",
        harm: r#"kubectl patch hpa llama-hpa -n @models --type=json -p '[{"op":"replace","path":"/spec/metrics/0/external/metric/selector/matchLabels/controller_instance","value":"nobody"}]'"#,
        stage: Stage::Follower,
        on: On::Hpa,
        ..USUAL
    },
    Case {
        cause: "HpaTargetMisread",
        harm: r#"kubectl patch hpa llama-hpa -n @models --type=json -p '[{"op":"replace","path":"/spec/metrics/0/external/target","value":{"type":"Value","value":"1"}}]'"#,
        stage: Stage::Follower,
        on: On::Hpa,
        ..USUAL
    },
    Case {
        cause: "MetricNotServed",
        harm: r#"kubectl patch servicemonitor @controller-metrics-monitor -n @system --type=json -p '[{"op":"replace","path":"/spec/endpoints/0/path","value":"/nothing"}]'"#,
        stage: Stage::Follower,
        on: On::ControllerMonitor,
        ..USUAL
    },
    Case {
        cause: "HpaFollowsSlowly",
        harm: r#"kubectl patch hpa llama-hpa -n @models --type=merge -p '{"spec":{"behavior":{"scaleUp":{"stabilizationWindowSeconds":300}}}}'"#,
        on: On::Hpa,
        ..USUAL
    },
];

/// Causes without a case here, each with the reason.
pub(crate) const ELSEWHERE: [(&str, &str); 7] = [
    (
        "ConfigNeedsRestart",
        "doctor does not tell a start within two seconds of the event from one before it: not produced",
    ),
    ("NoController", "other instances of the cluster have controllers: in the cluster of its own of `doctor.rs`"),
    ("InvalidVariant", "the definition of all variants is changed for it: in the cluster of its own of `doctor.rs`"),
    ("ExternalMetricsAbsent", "it is one API for all instances: in the cluster of its own of `doctor.rs`"),
    ("NamespaceNotTracked", "the namespace has no variant, where all controllers are judged: in `doctor.rs`"),
    ("CostsEqual", "advice without a remedy, since only a person knows the costs: in `doctor.rs`"),
    ("SeriesPerPod", "advice: in `doctor.rs`"),
];

/// Why two causes cannot be told side by side; `None` where they can.
pub(crate) fn apart(first: &Case, second: &Case) -> Option<&'static str> {
    let [near, far] = if first.stage <= second.stage { [first, second] } else { [second, first] };
    if first.cause == second.cause {
        return Some("one cause twice is one finding");
    }
    if first.on == second.on {
        return Some("both change one object: the second takes the first away, or the remedy of one takes both");
    }
    // Behind Metrics doctor goes on: a number is published whatever it was made of.
    if near.stage < Stage::Metrics && far.stage != Stage::Nothing {
        return Some("what stands behind a cause on the way of the number follows from it, and is not told");
    }
    if near.stage == Stage::Follower && far.stage == Stage::Follower {
        return Some("who asks for another series, or makes another number of it, is told before what it gets");
    }
    if near.stage < Stage::Metrics && (far.on == On::Servers || far.on == On::Hpa) {
        return Some("pods and HPAs are looked at only of variants that somebody decides for and that have a target");
    }
    if near.stage == Stage::Ownership && matches!(far.on, On::Settings | On::Others | On::Controller) {
        return Some("of a variant that nobody takes, no controller and no settings are judged");
    }
    let restarts = |case: &Case| case.on == On::Controller;
    let heard = |case: &Case| matches!(case.cause, "ModelNameMismatch" | "MetricsMissing");
    if (restarts(first) && heard(second)) || (restarts(second) && heard(first)) {
        return Some("only a controller that works at that moment says that it has no metrics");
    }
    let stops = |case: &Case| matches!(case.cause, "OptimizationDisabled" | "OptimizationSlow" | "ConfigInvalid");
    if (stops(first) && heard(second)) || (stops(second) && heard(first)) {
        return Some("a controller that takes no decisions finds out nothing about metrics");
    }
    if (stops(first) && restarts(second)) || (stops(second) && restarts(first)) {
        return Some(
            "with settings that it cannot use, or none in force, a controller that starts again is another case",
        );
    }
    let applies_all = |case: &Case| case.cause == "ServiceMonitorMissing";
    if (applies_all(first) && second.on == On::Hpa) || (applies_all(second) && first.on == On::Hpa) {
        return Some(
            "add-model applies the HPA too, and refuses a field of it that somebody else has changed until that is mended",
        );
    }
    if near.stage == Stage::Metrics && far.on == On::Servers {
        return Some("pods that do not run have no metrics either");
    }
    if near.stage == Stage::Metrics && far.on == On::Namespace {
        return Some("the remedy of an exclusion begins the variant anew");
    }
    None
}
