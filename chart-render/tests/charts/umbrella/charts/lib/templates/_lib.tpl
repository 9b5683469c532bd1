{{- define "lib.name" -}}
{{ .Release.Name }}-{{ .Chart.Name | replace "_" "-" }}
{{- end -}}
{{- define "lib.labels" -}}
chart: {{ .Chart.Name }}-{{ .Chart.Version }}
root: {{ .Chart.IsRoot | quote }}
{{- with .Values.global.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}
