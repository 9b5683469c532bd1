{{- define "functions.name" -}}
{{ .Chart.Name }}-{{ .Release.Name | trunc 10 }}
{{- end -}}
{{- define "functions.pair" }}{{ index . 0 }}={{ index . 1 }}{{ end -}}
{{- define "functions.recurse" -}}
{{- if gt . 0 }}{{ . }} {{ include "functions.recurse" (int (sub . 1)) }}{{ end -}}
{{- end -}}
