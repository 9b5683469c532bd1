{{/* Text made fit for a label's value: what may not stand there becomes a dash. */}}
{{- define "wva.labelValue" -}}
{{- regexReplaceAll "[^A-Za-z0-9_.-]" (toString .) "-" | trunc 63 | trimAll "-_." -}}
{{- end }}

{{- define "wva.selectorLabels" -}}
app.kubernetes.io/name: {{ include "wva.labelValue" (include "wva.name" .) | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* Selects the controller's pods. Selectors cannot change, so the instance id is not part of them. */}}
{{- define "wva.controllerSelector" -}}
control-plane: controller-manager
{{ include "wva.selectorLabels" . }}
{{- end }}

{{/*
What the Deployment selects by. A selector cannot change, so one that is there, and that the pods match, stays: that of
release 0.4.1 has no instance.
*/}}
{{- define "wva.deploymentSelector" -}}
{{- $there := lookup "apps/v1" "Deployment" .Release.Namespace (include "wva.controllerName" .) -}}
{{- default (include "wva.controllerSelector" .) (include "wva.keptSelector" (list . $there)) -}}
{{- end }}

{{/* The selector of a Deployment if the controller's pods match it; called with a list of the root and the Deployment. */}}
{{- define "wva.keptSelector" -}}
{{- $pods := include "wva.controllerSelector" (index . 0) | fromYaml -}}
{{- $selector := dig "spec" "selector" dict (index . 1) -}}
{{- $kept := default dict $selector.matchLabels -}}
{{- range $key, $value := $kept -}}
{{- if ne (toString (get $pods $key)) $value -}}{{- $kept = dict -}}{{- end -}}
{{- end -}}
{{- if and $kept (not $selector.matchExpressions) -}}{{- toYaml $kept -}}{{- end -}}
{{- end }}

{{/* Only when an id is set: its absence is what marks an object as belonging to the controller without an id. */}}
{{- define "wva.instanceLabel" -}}
{{- with .Values.wva.controllerInstance }}
wva.llmd.ai/controller-instance: {{ . | quote }}
{{- end }}
{{- end }}

{{/* Labels of every object. */}}
{{- define "wva.labels" -}}
{{- include "wva.labelsAnd" (list . dict) -}}
{{- end }}

{{/*
The same and others; called with a list of the root and the others. Where one is given twice the others win over
commonLabels, and what identifies the release wins over all.
*/}}
{{- define "wva.labelsAnd" -}}
{{- $root := index . 0 -}}
{{- $own := include "wva.ownLabels" $root | fromYaml -}}
{{- toYaml (merge $own (index . 1) $root.Values.commonLabels) -}}
{{- end }}

{{- define "wva.ownLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
{{ include "wva.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
{{- include "wva.instanceLabel" . }}
{{- end }}

{{/* Labels of the controller's objects that something selects. */}}
{{- define "wva.controllerLabels" -}}
{{- include "wva.labelsAnd" (list . (dict "control-plane" "controller-manager")) -}}
{{- end }}

{{/* Labels of a ServiceMonitor: those given for it, and the one that OpenShift's user-workload monitoring looks for. */}}
{{- define "wva.monitorLabels" -}}
{{- $root := index . 0 -}}
{{- $extra := dict -}}
{{- if include "wva.onOpenShift" $root -}}
{{- $extra = dict "openshift.io/user-monitoring" "true" -}}
{{- end -}}
{{- include "wva.labelsAnd" (list $root (merge $extra (index . 1) (default dict (index . 2)))) -}}
{{- end }}

{{/* Labels of the model's Service, and what its ServiceMonitor selects: this release's Service and no other. */}}
{{- define "wva.vllmSelector" -}}
app.kubernetes.io/component: vllm
{{ include "wva.selectorLabels" . }}
{{- end }}

{{- define "wva.modelLabel" -}}
llm-d.ai/model: {{ include "wva.labelValue" .Values.llmd.modelName | quote }}
{{- end }}
