{{/* The main ConfigMap: one flat key for each setting. */}}
{{- define "wva.configData" -}}
PROMETHEUS_BASE_URL: {{ required "wva.prometheus.baseURL must be the address of Prometheus" .Values.wva.prometheus.baseURL | quote }}
PROMETHEUS_TLS_INSECURE_SKIP_VERIFY: {{ .Values.wva.prometheus.tls.insecureSkipVerify | quote }}
{{- if .Values.wva.prometheus.caCert }}
PROMETHEUS_CA_CERT_PATH: {{ .Values.wva.prometheus.tls.caCertPath | quote }}
{{- end }}
{{- with include "wva.prometheusTokenPath" . }}
PROMETHEUS_TOKEN_PATH: {{ . | quote }}
{{- end }}
{{- $cache := default dict .Values.wva.prometheus.metricsCache }}
{{- range $name := list "ttl" "cleanupInterval" "fetchInterval" "freshThreshold" "staleThreshold" "unavailableThreshold" }}
{{- with get $cache $name }}
PROMETHEUS_METRICS_CACHE_{{ regexReplaceAll "([A-Z])" $name "_${1}" | upper }}: {{ . | quote }}
{{- end }}
{{- end }}
GLOBAL_OPT_INTERVAL: {{ .Values.wva.reconcileInterval | quote }}
METRICS_WINDOW: {{ .Values.wva.prometheus.metricsWindow | quote }}
WVA_SCALE_TO_ZERO: {{ .Values.wva.scaleToZero | quote }}
WVA_LIMITED_MODE: {{ .Values.wva.limitedMode | quote }}
WVA_NODE_SELECTOR: {{ .Values.wva.nodeSelector | quote }}
{{- end }}

{{/* A token goes over encrypted connections only, unless a path is given on purpose. */}}
{{- define "wva.prometheusTokenPath" -}}
{{- if .Values.wva.prometheus.tokenPath -}}
{{- .Values.wva.prometheus.tokenPath -}}
{{- else if hasPrefix "https://" .Values.wva.prometheus.baseURL -}}
/var/run/secrets/kubernetes.io/serviceaccount/token
{{- end -}}
{{- end }}
