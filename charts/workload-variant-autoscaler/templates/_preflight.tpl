{{/*
What is looked up in the cluster before anything is changed. Each refusal is one sentence that names the object and the
command. Where there is no cluster, every lookup is empty and nothing is refused.
*/}}
{{- define "wva.preflight" -}}
{{- if include "wva.connected" . -}}
{{- include "wva.preflightNamespaces" . -}}
{{- include "wva.preflightKinds" . -}}
{{- include "wva.preflightDefinition" . -}}
{{- include "wva.preflightController" . -}}
{{- include "wva.preflightAutoscalers" . -}}
{{- end -}}
{{- end }}

{{/* "true" when templates are rendered against a cluster. With --create-namespace the release's comes later. */}}
{{- define "wva.connected" -}}
{{- if and .Values.preflight.enabled (.Capabilities.APIVersions.Has "v1/Namespace") -}}
{{- if lookup "v1" "Namespace" "" .Release.Namespace -}}
true
{{- else if lookup "v1" "Namespace" "" "default" -}}
true
{{- end -}}
{{- end -}}
{{- end }}

{{- define "wva.preflightNamespaces" -}}
{{- $model := or .Values.va.enabled .Values.hpa.enabled .Values.keda.enabled .Values.vllmService.enabled .Values.modelService.enabled -}}
{{- $scoped := and (include "wva.hasRoles" .) .Values.wva.namespaceScoped -}}
{{- if or $model $scoped -}}
{{- $without := ternary " For a controller without a model, set va.enabled=false, hpa.enabled=false and vllmService.enabled=false." "" (and $model (eq (include "wva.hasController" .) "true")) -}}
{{- include "wva.preflightNamespace" (list . .Values.llmd.namespace "llmd.namespace" $without) -}}
{{- end -}}
{{- if $scoped -}}
{{- range .Values.wva.watchNamespaces -}}
{{- include "wva.preflightNamespace" (list $ . "wva.watchNamespaces" "") -}}
{{- end -}}
{{- end -}}
{{- if and (include "wva.hasController" .) .Values.wva.prometheus.caCert .Values.wva.prometheus.copyCaCert -}}
{{- include "wva.preflightNamespace" (list . .Values.wva.prometheus.monitoringNamespace "wva.prometheus.monitoringNamespace" "") -}}
{{- end -}}
{{- if and (include "wva.hasController" .) .Values.wva.grafanaDashboard.enabled .Values.wva.grafanaDashboard.namespace -}}
{{- include "wva.preflightNamespace" (list . .Values.wva.grafanaDashboard.namespace "wva.grafanaDashboard.namespace" "") -}}
{{- end -}}
{{- end }}

{{- define "wva.preflightNamespace" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- if and (ne $name $root.Release.Namespace) (not (lookup "v1" "Namespace" "" $name)) -}}
{{- fail (printf "namespace %q (%s) does not exist: run `kubectl create namespace %s`, or set %s to one that exists.%s" $name (index . 2) $name (index . 2) (index . 3)) -}}
{{- end -}}
{{- end }}

{{/* Kinds that come with other software. */}}
{{- define "wva.preflightKinds" -}}
{{- $operator := "install the Prometheus operator (chart prometheus-community/kube-prometheus-stack), or go without" -}}
{{- if and (include "wva.hasMetrics" .) .Values.wva.metrics.serviceMonitor.enabled -}}
{{- include "wva.preflightKind" (list . "monitoring.coreos.com/v1/ServiceMonitor" (printf "%s: --set wva.metrics.serviceMonitor.enabled=false,vllmService.serviceMonitor.enabled=false" $operator)) -}}
{{- end -}}
{{- if and .Values.vllmService.enabled .Values.vllmService.serviceMonitor.enabled -}}
{{- include "wva.preflightKind" (list . "monitoring.coreos.com/v1/ServiceMonitor" (printf "%s: --set vllmService.serviceMonitor.enabled=false" $operator)) -}}
{{- end -}}
{{- if and (include "wva.hasController" .) .Values.wva.prometheusRule.enabled -}}
{{- include "wva.preflightKind" (list . "monitoring.coreos.com/v1/PrometheusRule" (printf "%s: --set wva.prometheusRule.enabled=false" $operator)) -}}
{{- end -}}
{{- if .Values.keda.enabled -}}
{{- include "wva.preflightKind" (list . "keda.sh/v1alpha1/ScaledObject" "install KEDA (chart kedacore/keda), or scale by HPA: --set keda.enabled=false,hpa.enabled=true") -}}
{{- end -}}
{{- if .Values.va.enabled -}}
{{- include "wva.preflightKind" (list . "llmd.ai/v1alpha1/VariantAutoscaling" (include "wva.definitionCommand" .)) -}}
{{- end -}}
{{- end }}

{{- define "wva.preflightKind" -}}
{{- $root := index . 0 -}}
{{- $kind := index . 1 -}}
{{- if not ($root.Capabilities.APIVersions.Has $kind) -}}
{{- fail (printf "the cluster does not know the kind %s (%s): %s" (base $kind) (dir $kind) (index . 2)) -}}
{{- end -}}
{{- end }}

{{/* Applies the definition; CHART stands for what the user gave helm, which templates do not learn. */}}
{{- define "wva.definitionCommand" -}}
run `helm show crds CHART | kubectl apply --server-side --force-conflicts -f -`, CHART being the chart you install, and repeat
{{- end }}

{{/* helm does not change a definition that is there. Who makes cluster roles may read it. */}}
{{- define "wva.preflightDefinition" -}}
{{- if include "wva.hasRoles" . -}}
{{- with lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" "variantautoscalings.llmd.ai" -}}
{{- $served := dict -}}
{{- range .spec.versions -}}
{{- if eq .name "v1alpha1" -}}{{- $served = . -}}{{- end -}}
{{- end -}}
{{- $fields := dig "schema" "openAPIV3Schema" "properties" "spec" "properties" dict $served -}}
{{- if not (hasKey $fields "scaleTargetRef") -}}
{{- fail (printf "the definition variantautoscalings.llmd.ai in the cluster is that of release 0.4 or older, without spec.scaleTargetRef: %s" (include "wva.definitionCommand" $)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* "true" when helm made the object for this release; called with the root and the object. */}}
{{- define "wva.isOwn" -}}
{{- $release := (index . 0).Release -}}
{{- $marks := default dict (index . 1).metadata.annotations -}}
{{- if and (eq (toString (get $marks "meta.helm.sh/release-name")) $release.Name) (eq (toString (get $marks "meta.helm.sh/release-namespace")) $release.Namespace) -}}
true
{{- end -}}
{{- end }}

{{/* What Kubernetes would refuse half-way: fields that cannot change. What another release has, helm refuses by itself. */}}
{{- define "wva.preflightController" -}}
{{- if include "wva.hasController" . -}}
{{- $name := include "wva.controllerName" . -}}
{{- with lookup "apps/v1" "Deployment" .Release.Namespace $name -}}
{{- if include "wva.isOwn" (list $ .) -}}
{{- if not (include "wva.keptSelector" (list $ .)) -}}
{{- fail (printf "deployment %s/%s selects its pods by other labels than this chart's, and that cannot be changed: run `kubectl -n %s delete deployment %s` and repeat; the model's pods are not touched" $.Release.Namespace $name $.Release.Namespace $name) -}}
{{- end -}}
{{- range .spec.template.spec.containers -}}
{{- if and (eq (first (default (list "") .command)) "/manager") (eq .image (include "wva.image" $)) -}}
{{- fail (printf "wva.image is %s, which deployment %s/%s runs: the controller of an earlier release, which does not know this chart's flags. Name this project's image: --set wva.image.repository=…,wva.image.tag=%s" .image $.Release.Namespace $name $.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $config := include "wva.configName" . -}}
{{- with lookup "v1" "ConfigMap" .Release.Namespace $config -}}
{{- if and (include "wva.isOwn" (list $ .)) (eq (toString .immutable) "true") (ne (toJson .data) (include "wva.configData" $ | fromYaml | toJson)) -}}
{{- fail (printf "configmap %s/%s is immutable and its settings would change: run `kubectl -n %s delete configmap %s` and repeat" $.Release.Namespace $config $.Release.Namespace $config) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* A second autoscaler of the target that stays: one of this release goes with the upgrade. */}}
{{- define "wva.preflightAutoscalers" -}}
{{- if or .Values.hpa.enabled .Values.keda.enabled -}}
{{- $target := include "wva.scaleTarget" . | fromYaml -}}
{{- $namespace := .Values.llmd.namespace -}}
{{- range (lookup "autoscaling/v2" "HorizontalPodAutoscaler" $namespace "").items -}}
{{- $same := and (eq .spec.scaleTargetRef.kind $target.kind) (eq .spec.scaleTargetRef.name $target.name) -}}
{{- if and $same (not (include "wva.isOwn" (list $ .))) (ne .metadata.name (include "wva.hpaName" $)) -}}
{{- fail (printf "hpa %s/%s scales %s %s already, and two autoscalers of one target fight: run `kubectl -n %s delete hpa %s` and repeat, or set hpa.enabled=false" $namespace .metadata.name $target.kind $target.name $namespace .metadata.name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
