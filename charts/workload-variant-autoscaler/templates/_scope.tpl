{{/* "true" when this release holds a controller. */}}
{{- define "wva.hasController" -}}
{{- if and .Values.controller.enabled .Values.wva.enabled -}}true{{- end -}}
{{- end }}

{{- define "wva.hasMetrics" -}}
{{- if and (include "wva.hasController" .) .Values.wva.metrics.enabled -}}true{{- end -}}
{{- end }}

{{/* Metrics that only authorised clients get. */}}
{{- define "wva.hasSecureMetrics" -}}
{{- if and (include "wva.hasMetrics" .) .Values.wva.metrics.secure -}}true{{- end -}}
{{- end }}

{{/* "true" when the controller's metrics are scraped with the token of an account made for that. */}}
{{- define "wva.hasScrapeAccount" -}}
{{- if include "wva.hasSecureMetrics" . -}}
{{- if or (include "wva.onOpenShift" .) .Values.wva.metrics.serviceMonitor.dedicatedToken -}}true{{- end -}}
{{- end -}}
{{- end }}

{{/* "true" when Prometheus is the one of OpenShift's monitoring. */}}
{{- define "wva.asksOpenShift" -}}
{{- if contains ".openshift-monitoring." .Values.wva.prometheus.baseURL -}}true{{- end -}}
{{- end }}

{{/* "true" on OpenShift: said so, or the cluster is one and its monitoring is asked. */}}
{{- define "wva.onOpenShift" -}}
{{- if .Values.wva.openshift.enabled -}}
true
{{- else if and (include "wva.asksOpenShift" .) (.Capabilities.APIVersions.Has "config.openshift.io/v1") -}}
true
{{- end -}}
{{- end }}

{{/* "true" when the controller's roles are rendered. */}}
{{- define "wva.hasRoles" -}}
{{- if and (include "wva.hasController" .) .Values.wva.rbac.create -}}true{{- end -}}
{{- end }}

{{/* The controller, as the subject of a binding. */}}
{{- define "wva.subject" -}}
- kind: ServiceAccount
  name: {{ include "wva.serviceAccountName" . | quote }}
  namespace: {{ .Release.Namespace | quote }}
{{- end }}

{{/* The namespaces a namespace-scoped controller watches, separated by commas. */}}
{{- define "wva.watchedNamespaces" -}}
{{- concat (list .Release.Namespace .Values.llmd.namespace) .Values.wva.watchNamespaces | uniq | join "," -}}
{{- end }}

{{/* How the HPA or ScaledObject follows: at once where the controller stabilizes in its place. */}}
{{- define "wva.followerBehavior" -}}
{{- if .Values.hpa.passThrough -}}
{{- $all := list (dict "type" "Pods" "value" 10000 "periodSeconds" 1) -}}
{{- $direction := dict "stabilizationWindowSeconds" 0 "selectPolicy" "Max" "policies" $all -}}
{{- toYaml (dict "scaleUp" $direction "scaleDown" $direction) -}}
{{- else -}}
{{- toYaml (.Values.hpa.behavior | default dict) -}}
{{- end -}}
{{- end }}

{{/* What the controller keeps back in the place of an HPA that follows at once, as fields of its settings. */}}
{{- define "wva.stabilization" -}}
{{- if .Values.hpa.passThrough -}}
{{- $fields := dict -}}
{{- range $direction, $rules := .Values.hpa.behavior | default dict -}}
{{- $window := get (default dict $rules) "stabilizationWindowSeconds" -}}
{{- if $window }}{{ $_ := set $fields (printf "%sStabilizationWindow" $direction) (printf "%ds" (int $window)) }}{{ end -}}
{{- range $policy := reverse (get (default dict $rules) "policies" | default list) -}}
{{- $kind := ternary "Percent" "Replicas" (eq $policy.type "Percent") -}}
{{- $_ := set $fields (printf "%s%s" $direction $kind) (printf "%d/%ds" (int $policy.value) (int $policy.periodSeconds)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $fields -}}
{{- end -}}
{{- end }}

{{/* How the HPA scales: without a tolerance where the cluster knows one, since what is published is an exact number. */}}
{{- define "wva.hpaBehavior" -}}
{{- $behavior := include "wva.followerBehavior" . | fromYaml -}}
{{- $tolerance := .Values.hpa.tolerance -}}
{{- if and (not (kindIs "invalid" $tolerance)) (semverCompare ">=1.35-0" .Capabilities.KubeVersion.Version) -}}
{{- range $direction := list "scaleUp" "scaleDown" -}}
{{- $rules := get $behavior $direction | default dict -}}
{{- if not (hasKey $rules "tolerance") -}}
{{- $_ := set $rules "tolerance" (toString $tolerance) -}}
{{- end -}}
{{- $_ := set $behavior $direction $rules -}}
{{- end -}}
{{- end -}}
{{- toYaml $behavior -}}
{{- end }}

{{/* Fewest replicas of the model, for HPA and ScaledObject. */}}
{{- define "wva.minReplicas" -}}
{{- if kindIs "invalid" .Values.hpa.minReplicas -}}
{{- ternary 0 1 .Values.wva.scaleToZero -}}
{{- else -}}
{{- int .Values.hpa.minReplicas -}}
{{- end -}}
{{- end }}

{{/* What the controller may do with namespaced objects, in each namespace it watches. */}}
{{- define "wva.controllerRules" -}}
- apiGroups: [llmd.ai]
  resources: [variantautoscalings]
  verbs: [list, watch]
- apiGroups: [llmd.ai]
  resources: [variantautoscalings/status]
  verbs: [patch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [list, watch]
- apiGroups: [apps]
  resources: [replicasets, statefulsets]
  verbs: [get, list, watch]
- apiGroups: [apps]
  resources: [deployments/scale, replicasets/scale, statefulsets/scale]
  verbs: [get, patch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list, watch]
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [list, watch]
- apiGroups: [argoproj.io]
  resources: [rollouts]
  verbs: [get, list, watch]
- apiGroups: [argoproj.io]
  resources: [rollouts/scale]
  verbs: [get, patch]
- apiGroups: [leaderworkerset.x-k8s.io]
  resources: [leaderworkersets]
  verbs: [get, list, watch]
- apiGroups: [leaderworkerset.x-k8s.io]
  resources: [leaderworkersets/scale]
  verbs: [get, patch]
- apiGroups: [inference.networking.k8s.io, inference.networking.x-k8s.io]
  resources: [inferencepools]
  verbs: [list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- with .Values.wva.rbac.extraRules }}
{{ toYaml . }}
{{- end }}
{{- end }}
