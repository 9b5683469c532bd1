{{/*
Names. A release may be called anything, so every name is cut to what its kind allows, and whatever is cut gets a hash
of the whole: two releases never meet in one name.
*/}}

{{- define "wva.name" -}}
{{- default .Chart.Name .Values.nameOverride | toString | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{/*
The release's name if it says what it is, else the release's name with the chart's. A release that is itself called
"x-<chart>" gets a hash, because that is what release "x" is called here.
*/}}
{{- define "wva.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else -}}
{{- $name := include "wva.name" . -}}
{{- if hasSuffix (printf "-%s" $name) .Release.Name -}}
{{- printf "%s-%s" .Release.Name (sha256sum .Release.Name | trunc 8) -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Cuts .base so that it fits .max (63 if not given) with .suffix behind it. */}}
{{- define "wva.cut" -}}
{{- $max := int (default 63 .max) -}}
{{- $whole := printf "%s%s" .base .suffix -}}
{{- if le (len $whole) $max -}}
{{- $whole -}}
{{- else -}}
{{- $room := int (sub $max (len .suffix | add 9)) -}}
{{- printf "%s-%s%s" (trunc $room .base | trimSuffix "-" | trimSuffix ".") (sha256sum $whole | trunc 8) .suffix -}}
{{- end -}}
{{- end }}

{{/* <fullname><suffix>; called with a list of the root and the suffix. */}}
{{- define "wva.objectName" -}}
{{- include "wva.cut" (dict "base" (include "wva.fullname" (index . 0)) "suffix" (index . 1)) -}}
{{- end }}

{{/* The same for Services, whose names have no dots although a release's may. */}}
{{- define "wva.serviceName" -}}
{{- $fullname := include "wva.fullname" (index . 0) -}}
{{- if contains "." $fullname -}}
{{- $fullname = printf "%s-%s" (replace "." "-" $fullname) (sha256sum $fullname | trunc 8) -}}
{{- end -}}
{{- include "wva.cut" (dict "base" $fullname "suffix" (index . 1)) -}}
{{- end }}

{{/*
Names of cluster-wide objects: <fullname>-<namespace>-<hash>-<suffix>. The hash is always there: without it release "a-b"
in namespace "c" and release "a" in namespace "b-c" would meet.
*/}}
{{- define "wva.clusterName" -}}
{{- $root := index . 0 -}}
{{- $hash := printf "%s/%s" $root.Release.Namespace $root.Release.Name | sha256sum | trunc 8 -}}
{{- $suffix := printf "-%s-%s" $hash (index . 1) -}}
{{- $room := int (sub 63 (len $suffix)) -}}
{{- /* The namespace stays whole as long as eight characters of the name do. */ -}}
{{- $front := max 8 (sub $room (len $root.Release.Namespace | add1)) -}}
{{- $base := printf "%s-%s" (include "wva.fullname" $root | trunc (int $front) | trimSuffix "-" | trimSuffix ".") $root.Release.Namespace -}}
{{- printf "%s%s" (trunc $room $base | trimSuffix "-" | trimSuffix ".") $suffix -}}
{{- end }}

{{- define "wva.controllerName" -}}
{{- include "wva.objectName" (list . "-controller-manager") -}}
{{- end }}

{{/* The account of the controller's pods. */}}
{{- define "wva.serviceAccountName" -}}
{{- if .Values.wva.serviceAccount.name -}}
{{- .Values.wva.serviceAccount.name -}}
{{- else if .Values.wva.serviceAccount.create -}}
{{- include "wva.controllerName" . -}}
{{- else -}}
default
{{- end -}}
{{- end }}

{{/* The main ConfigMap. Named after its content, an immutable one is replaced instead of changed. */}}
{{- define "wva.configName" -}}
{{- if .Values.wva.configMap.contentName -}}
{{- printf "%s-variantautoscaling-config-%s" .Release.Name (include "wva.configData" . | sha256sum | trunc 8) -}}
{{- else -}}
{{- printf "%s-variantautoscaling-config" .Release.Name -}}
{{- end -}}
{{- end }}

{{- define "wva.saturationConfigName" -}}
{{- printf "%s-saturation-scaling-config" .Release.Name -}}
{{- end }}

{{- define "wva.scaleToZeroConfigName" -}}
{{- printf "%s-model-scale-to-zero-config" .Release.Name -}}
{{- end }}

{{- define "wva.variantName" -}}
{{- include "wva.objectName" (list . "-va") -}}
{{- end }}

{{- define "wva.hpaName" -}}
{{- include "wva.objectName" (list . "-hpa") -}}
{{- end }}

{{/* What the VariantAutoscaling describes and the HPA scales. */}}
{{- define "wva.scaleTarget" -}}
apiVersion: {{ .Values.llmd.target.apiVersion | quote }}
kind: {{ .Values.llmd.target.kind | quote }}
name: {{ include "wva.targetName" . | quote }}
{{- end }}

{{- define "wva.targetName" -}}
{{- if .Values.llmd.deploymentName -}}
{{- .Values.llmd.deploymentName -}}
{{- else -}}
{{- printf "%s-decode" (required "llmd.modelName or llmd.deploymentName must name the model's Deployment" .Values.llmd.modelName) -}}
{{- end -}}
{{- end }}

{{- define "wva.prometheusServiceAccount" -}}
{{- if .Values.wva.prometheus.serviceAccountName -}}
{{- .Values.wva.prometheus.serviceAccountName -}}
{{- else if or .Values.wva.openshift.enabled (hasPrefix "openshift-" .Values.wva.prometheus.monitoringNamespace) -}}
prometheus-user-workload
{{- else -}}
kube-prometheus-stack-prometheus
{{- end -}}
{{- end }}
