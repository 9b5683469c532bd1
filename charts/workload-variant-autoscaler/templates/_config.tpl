{{/* The main ConfigMap: one flat key for each setting. Paths into the pod are not among them; the pod knows those. */}}
{{- define "wva.configData" -}}
PROMETHEUS_BASE_URL: {{ required "wva.prometheus.baseURL must be the address of Prometheus" .Values.wva.prometheus.baseURL | quote }}
PROMETHEUS_TLS_INSECURE_SKIP_VERIFY: {{ .Values.wva.prometheus.tls.insecureSkipVerify | quote }}
{{- with .Values.wva.prometheus.tls.serverName }}
PROMETHEUS_SERVER_NAME: {{ . | quote }}
{{- end }}
{{- with .Values.wva.prometheus.extraMatchers }}
PROMETHEUS_EXTRA_MATCHERS: {{ . | quote }}
{{- end }}
{{- with .Values.wva.prometheus.headers }}
{{- $lines := list }}
{{- range $name, $value := . }}
{{- $lines = append $lines (printf "%s: %s" $name $value) }}
{{- end }}
PROMETHEUS_HEADERS: {{ join "\n" $lines | quote }}
{{- end }}
{{- $cache := default dict .Values.wva.prometheus.metricsCache }}
{{- range $name := list "ttl" "cleanupInterval" "fetchInterval" "freshThreshold" "staleThreshold" "unavailableThreshold" }}
{{- with get $cache $name }}
PROMETHEUS_METRICS_CACHE_{{ regexReplaceAll "([A-Z])" $name "_${1}" | upper }}: {{ . | quote }}
{{- end }}
{{- end }}
GLOBAL_OPT_ENABLE: {{ not .Values.wva.paused | quote }}
GLOBAL_OPT_INTERVAL: {{ .Values.wva.reconcileInterval | quote }}
EXPERIMENTAL_PROACTIVE_MODEL: {{ include "wva.hybridMode" . | quote }}
METRICS_WINDOW: {{ .Values.wva.prometheus.metricsWindow | quote }}
WVA_SCALE_TO_ZERO: {{ .Values.wva.scaleToZero | quote }}
SCALE_FROM_ZERO_ENGINE_MAX_CONCURRENCY: {{ int .Values.wva.scaleFromZero.maxConcurrency | quote }}
WVA_LIMITED_MODE: {{ .Values.wva.limitedMode | quote }}
WVA_NODE_SELECTOR: {{ .Values.wva.nodeSelector | quote }}
{{- end }}

{{/* Where the files of the controller are mounted. */}}
{{- define "wva.prometheusTokenDir" -}}/etc/wva/prometheus-token{{- end }}
{{- define "wva.prometheusClientDir" -}}/etc/wva/prometheus-client{{- end }}
{{- define "wva.metricsCertDir" -}}/etc/wva/metrics-cert{{- end }}

{{/* A token goes over encrypted connections only, unless one is given on purpose. */}}
{{- define "wva.prometheusTokenPath" -}}
{{- if .Values.wva.prometheus.tokenPath -}}
{{- .Values.wva.prometheus.tokenPath -}}
{{- else if .Values.wva.prometheus.tokenSecret.name -}}
{{- include "wva.prometheusTokenDir" . }}/token
{{- else if hasPrefix "https://" .Values.wva.prometheus.baseURL -}}
/var/run/secrets/kubernetes.io/serviceaccount/token
{{- end -}}
{{- end }}

{{/* "true" when the pod has a CA file for Prometheus. */}}
{{- define "wva.hasCa" -}}
{{- if or .Values.wva.prometheus.caCert .Values.wva.prometheus.caCertFrom -}}true{{- end -}}
{{- end }}

{{/* Settings that are paths in the pod, references to Secrets, or decided before any ConfigMap can be read. */}}
{{- define "wva.environment" -}}
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: CONFIG_MAP_NAME
  value: {{ include "wva.configName" . | quote }}
- name: SATURATION_CONFIG_MAP_NAME
  value: {{ include "wva.saturationConfigName" . | quote }}
{{- if .Values.wva.scaleToZeroModels }}
- name: SCALE_TO_ZERO_CONFIG_MAP_NAME
  value: {{ include "wva.scaleToZeroConfigName" . | quote }}
{{- end }}
- name: LOG_LEVEL
  value: {{ .Values.wva.logging.level | quote }}
{{- with .Values.wva.controllerInstance }}
- name: CONTROLLER_INSTANCE
  value: {{ . | quote }}
{{- end }}
{{- if .Values.wva.manageAllInstances }}
- name: MANAGE_ALL_INSTANCES
  value: "true"
{{- end }}
{{- if include "wva.hasCa" . }}
- name: PROMETHEUS_CA_CERT_PATH
  value: {{ .Values.wva.prometheus.tls.caCertPath | quote }}
{{- end }}
{{- with include "wva.prometheusTokenPath" . }}
- name: PROMETHEUS_TOKEN_PATH
  value: {{ . | quote }}
{{- end }}
{{- if .Values.wva.prometheus.clientCertSecret }}
- name: PROMETHEUS_CLIENT_CERT_PATH
  value: {{ include "wva.prometheusClientDir" . }}/tls.crt
- name: PROMETHEUS_CLIENT_KEY_PATH
  value: {{ include "wva.prometheusClientDir" . }}/tls.key
{{- end }}
{{- with .Values.wva.prometheus.headersSecret }}
- name: PROMETHEUS_HEADERS
  valueFrom:
    secretKeyRef:
      name: {{ .name | quote }}
      key: {{ default "headers" .key | quote }}
{{- end }}
{{- with .Values.wva.scaleFromZero.poolGroup }}
- name: POOL_GROUP
  value: {{ . | quote }}
{{- end }}
{{- with .Values.wva.scaleFromZero.tokenSecret }}
- name: EPP_METRIC_READER_BEARER_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ .name | quote }}
      key: {{ default "token" .key | quote }}
{{- end }}
{{- end }}
