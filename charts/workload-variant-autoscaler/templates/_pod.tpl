{{/* What the controller's pod mounts, as two lists: wva.volumes and wva.volumeMounts have the same conditions. */}}
{{- define "wva.volumes" -}}
{{- with .Values.wva.prometheus.caCert }}
- name: prometheus-ca
  configMap:
    name: {{ include "wva.objectName" (list $ "-prometheus-ca") }}
{{- end }}
{{- with .Values.wva.prometheus.caCertFrom }}
- name: prometheus-ca
  {{- if .secret }}
  secret:
    secretName: {{ .secret | quote }}
  {{- else }}
  configMap:
    name: {{ .configMap | quote }}
  {{- end }}
{{- end }}
{{- with .Values.wva.prometheus.tokenSecret }}
- name: prometheus-token
  secret:
    secretName: {{ .name | quote }}
    items:
      - key: {{ default "token" .key | quote }}
        path: token
{{- end }}
{{- with .Values.wva.prometheus.clientCertSecret }}
- name: prometheus-client
  secret:
    secretName: {{ . | quote }}
{{- end }}
{{- with .Values.wva.metrics.certSecret }}
- name: metrics-cert
  secret:
    secretName: {{ . | quote }}
{{- end }}
{{- with .Values.wva.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "wva.volumeMounts" -}}
{{- if include "wva.hasCa" . }}
- name: prometheus-ca
  mountPath: {{ .Values.wva.prometheus.tls.caCertPath | quote }}
  subPath: {{ default "ca.crt" .Values.wva.prometheus.caCertFrom.key | quote }}
  readOnly: true
{{- end }}
{{- if .Values.wva.prometheus.tokenSecret }}
- name: prometheus-token
  mountPath: {{ include "wva.prometheusTokenDir" . }}
  readOnly: true
{{- end }}
{{- if .Values.wva.prometheus.clientCertSecret }}
- name: prometheus-client
  mountPath: {{ include "wva.prometheusClientDir" . }}
  readOnly: true
{{- end }}
{{- if .Values.wva.metrics.certSecret }}
- name: metrics-cert
  mountPath: {{ include "wva.metricsCertDir" . }}
  readOnly: true
{{- end }}
{{- with .Values.wva.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/*
OpenShift chooses user and group of a pod itself and refuses others. Where only the address of Prometheus is OpenShift's,
a user that was chosen stays and the chart's own goes: the image names it too.
*/}}
{{- define "wva.podSecurityContext" -}}
{{- $context := default dict .Values.wva.podSecurityContext -}}
{{- if include "wva.onOpenShift" . -}}
{{- $context = omit $context "runAsUser" "runAsGroup" "fsGroup" -}}
{{- else if include "wva.asksOpenShift" . -}}
{{- range $field := list "runAsUser" "runAsGroup" -}}
{{- if eq (toString (get $context $field)) "65532" -}}
{{- $context = omit $context $field -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $context -}}
{{- end }}

{{- define "wva.image" -}}
{{- with .Values.wva.image -}}
{{- if include "wva.hasGoImage" $ -}}
{{- printf "%s:%s" ($.Files.Get "defaults.yaml" | fromYaml).wva.image.repository $.Chart.AppVersion -}}
{{- else if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Nothing can be pulled from localhost: such an image is loaded into the nodes. */}}
{{- define "wva.imagePullPolicy" -}}
{{- $local := hasPrefix "localhost/" (include "wva.image" .) -}}
{{- ternary "IfNotPresent" .Values.wva.imagePullPolicy (and $local (eq .Values.wva.imagePullPolicy "Always")) -}}
{{- end }}

{{- define "wva.arguments" -}}
- --leader-elect={{ .Values.wva.leaderElection.enabled }}
{{- with .Values.wva.leaderElection }}
{{- if .enabled }}
- --leader-election-lease-duration={{ .leaseDuration }}
- --leader-election-renew-deadline={{ .renewDeadline }}
- --leader-election-retry-period={{ .retryPeriod }}
{{- with .id }}
- --leader-election-id={{ . }}
{{- end }}
{{- end }}
{{- end }}
- --health-probe-bind-address=:{{ int .Values.wva.probes.port }}
{{- if .Values.wva.metrics.enabled }}
- --metrics-bind-address=:{{ int .Values.wva.metrics.port }}
- --metrics-secure={{ .Values.wva.metrics.secure }}
{{- if .Values.wva.metrics.certSecret }}
- --metrics-cert-path={{ include "wva.metricsCertDir" . }}
{{- end }}
{{- end }}
{{- if .Values.wva.namespaceScoped }}
- --watch-namespace={{ include "wva.watchedNamespaces" . }}
{{- end }}
{{- with .Values.wva.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}
