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

{{/* The namespaces a namespace-scoped controller watches, separated by commas. */}}
{{- define "wva.watchedNamespaces" -}}
{{- list .Release.Namespace .Values.llmd.namespace | uniq | join "," -}}
{{- end }}

{{/* What the controller may do with namespaced objects, in each namespace it watches. */}}
{{- define "wva.controllerRules" -}}
- apiGroups: [llmd.ai]
  resources: [variantautoscalings]
  verbs: [get, list, watch]
- apiGroups: [llmd.ai]
  resources: [variantautoscalings/status]
  verbs: [get, patch, update]
- apiGroups: [apps]
  resources: [deployments, replicasets, statefulsets]
  verbs: [get, list, watch]
- apiGroups: [apps]
  resources: [deployments/scale, statefulsets/scale]
  verbs: [get, patch, update]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch]
- apiGroups: [leaderworkerset.x-k8s.io]
  resources: [leaderworkersets]
  verbs: [get, list, watch]
- apiGroups: [leaderworkerset.x-k8s.io]
  resources: [leaderworkersets/scale]
  verbs: [get, patch, update]
- apiGroups: [inference.networking.k8s.io, inference.networking.x-k8s.io]
  resources: [inferencepools]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [configmaps, pods, services]
  verbs: [get, list, watch]
- apiGroups: ["", events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- with .Values.wva.rbac.extraRules }}
{{ toYaml . }}
{{- end }}
{{- end }}
