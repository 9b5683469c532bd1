{{/* Each refusal says which values disagree and what to do. */}}
{{- define "wva.validate" -}}
{{- include "wva.validateInstance" . -}}
{{- include "wva.validateReplicas" . -}}
{{- include "wva.validateScope" . -}}
{{- include "wva.validatePrometheus" . -}}
{{- include "wva.validateModelService" . -}}
{{- end }}

{{- define "wva.validateInstance" -}}
{{- $id := .Values.wva.controllerInstance -}}
{{- if or (gt (len $id) 63) (not (regexMatch "^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$" $id)) -}}
{{- fail (printf "wva.controllerInstance is %q, but it becomes a label: use at most 63 letters, digits, '-', '_' and '.', and begin and end with a letter or digit" $id) -}}
{{- end -}}
{{- if and $id .Values.wva.manageAllInstances (include "wva.hasController" .) -}}
{{- fail (printf "wva.manageAllInstances takes the VariantAutoscalings of all instances, wva.controllerInstance=%s those of one: set only one of them" $id) -}}
{{- end -}}
{{- end }}

{{- define "wva.validateReplicas" -}}
{{- if and .Values.hpa.enabled .Values.keda.enabled -}}
{{- fail "hpa.enabled and keda.enabled are both true, and two autoscalers of one Deployment fight: set hpa.enabled=false to let KEDA scale" -}}
{{- end -}}
{{- if or .Values.hpa.enabled .Values.keda.enabled -}}
{{- $min := include "wva.minReplicas" . | int -}}
{{- $max := int .Values.hpa.maxReplicas -}}
{{- if gt $min $max -}}
{{- fail (printf "hpa.minReplicas is %d and hpa.maxReplicas is %d: the minimum may not exceed the maximum" $min $max) -}}
{{- end -}}
{{- end -}}
{{- if and (include "wva.hasController" .) (not .Values.wva.leaderElection.enabled) (gt (int .Values.wva.replicaCount) 1) -}}
{{- fail (printf "wva.replicaCount is %d without leader election, and all of them would decide at once: set wva.leaderElection.enabled=true or wva.replicaCount=1" (int .Values.wva.replicaCount)) -}}
{{- end -}}
{{- end }}

{{- define "wva.validateScope" -}}
{{- if and .Values.wva.watchNamespaces (not .Values.wva.namespaceScoped) -}}
{{- fail "wva.watchNamespaces counts only for a namespace-scoped controller, and this one watches the whole cluster: set wva.namespaceScoped=true or leave wva.watchNamespaces empty" -}}
{{- end -}}
{{- if and (include "wva.hasController" .) (not .Values.wva.serviceAccount.create) (not .Values.wva.serviceAccount.name) .Values.wva.rbac.create -}}
{{- fail "wva.serviceAccount.create is false and wva.serviceAccount.name is empty, so the controller's rights would go to the account `default`, which other pods use: set wva.serviceAccount.name" -}}
{{- end -}}
{{- end }}

{{- define "wva.validateModelService" -}}
{{- if and .Values.modelService.enabled (not .Values.modelService.selector) -}}
{{- fail "modelService.enabled is true and modelService.selector is empty: give a label that the pods of every variant of the model carry, and no others" -}}
{{- end -}}
{{- end }}

{{- define "wva.validatePrometheus" -}}
{{- with .Values.wva.prometheus -}}
{{- if and .caCert .caCertFrom -}}
{{- fail "wva.prometheus.caCert and wva.prometheus.caCertFrom both give the CA of Prometheus: set only one of them" -}}
{{- end -}}
{{- if and .tokenPath .tokenSecret -}}
{{- fail "wva.prometheus.tokenPath and wva.prometheus.tokenSecret both give the token for Prometheus: set only one of them" -}}
{{- end -}}
{{- if and .headers .headersSecret -}}
{{- fail "wva.prometheus.headers and wva.prometheus.headersSecret both give the headers for Prometheus: set only one of them" -}}
{{- end -}}
{{- end -}}
{{- end }}
