#!/usr/bin/env bash
# Installs the autoscaler from this checkout by helm, configured by the environment; a model too when it is told which.
# It installs neither Prometheus nor model servers.
#
#   CONTROLLER_INSTANCE=pr-123 PROMETHEUS_BASE_URL=https://prometheus:9090 deploy/install.sh
#   deploy/install.sh --set wva.replicaCount=2      # further arguments go to helm
#
# WVA_RELEASE_NAME           release (workload-variant-autoscaler)
# WVA_NS                     its namespace, created if missing (workload-variant-autoscaler-system)
# WVA_IMAGE_REPO, WVA_IMAGE_TAG, WVA_IMAGE_PULL_POLICY
#                            controller image (the chart's)
# CONTROLLER_INSTANCE        instance id (none)
# NAMESPACE_SCOPED           true: watch WVA_NS and LLMD_NS only (false)
# PROMETHEUS_BASE_URL        address of Prometheus (the chart's)
# PROM_CA_CERT_PATH          file with its CA (none)
# SKIP_TLS_VERIFY            true: accept any certificate, for development (false)
# WVA_RECONCILE_INTERVAL     time between two decisions (the chart's)
# LLMD_NS                    namespace of the model, created if missing (llm-d-autoscaler)
# DEPLOY_VA, DEPLOY_HPA, VLLM_SVC_ENABLED
#                            false: leave out the VariantAutoscaling, the HPA, the Service (true)
# MODEL_ID, ACCELERATOR_TYPE what the model is and runs on (the chart's)
# HPA_STABILIZATION_SECONDS  how long the HPA waits before it scales, in both directions (240)
# HPA_MIN_REPLICAS           fewest replicas (the chart's)
set -euo pipefail
case ${1:-} in -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;; esac
chart=$(cd "$(dirname "$0")/.." && pwd)/charts/workload-variant-autoscaler
for program in helm kubectl; do
  command -v "$program" >/dev/null || { echo "install: $program is needed; eval \"\$(hack/tools.sh env)\" provides it" >&2; exit 1; }
done

release=${WVA_RELEASE_NAME:-workload-variant-autoscaler}
namespace=${WVA_NS:-workload-variant-autoscaler-system}
model_namespace=${LLMD_NS:-llm-d-autoscaler}
arguments=(--set "llmd.namespace=$model_namespace")
# set_from VARIABLE VALUE [KIND]: what the variable holds becomes the value of the chart, unless it is unset or empty.
set_from() { [ -z "${!1:-}" ] || arguments+=(--set-"${3:-string}" "$2=${!1}"); }
set_from WVA_IMAGE_REPO wva.image.repository
set_from WVA_IMAGE_TAG wva.image.tag
set_from WVA_IMAGE_PULL_POLICY wva.imagePullPolicy
set_from CONTROLLER_INSTANCE wva.controllerInstance
set_from NAMESPACE_SCOPED wva.namespaceScoped json
set_from PROMETHEUS_BASE_URL wva.prometheus.baseURL
set_from PROM_CA_CERT_PATH wva.prometheus.caCert file
set_from SKIP_TLS_VERIFY wva.prometheus.tls.insecureSkipVerify json
set_from WVA_RECONCILE_INTERVAL wva.reconcileInterval
set_from DEPLOY_VA va.enabled json
set_from DEPLOY_HPA hpa.enabled json
set_from VLLM_SVC_ENABLED vllmService.enabled json
set_from MODEL_ID llmd.modelID
set_from ACCELERATOR_TYPE va.accelerator
set_from HPA_STABILIZATION_SECONDS hpa.behavior.scaleUp.stabilizationWindowSeconds json
set_from HPA_STABILIZATION_SECONDS hpa.behavior.scaleDown.stabilizationWindowSeconds json
set_from HPA_MIN_REPLICAS hpa.minReplicas json

kubectl get namespace "$model_namespace" >/dev/null 2>&1 || kubectl create namespace "$model_namespace"
# Helm installs the definition once and never changes it, so an upgrade applies it.
kubectl apply --server-side --force-conflicts -f "$chart/crds/"
helm upgrade -i "$release" "$chart" --namespace "$namespace" --create-namespace "${arguments[@]}" "$@"
