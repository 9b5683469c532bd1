{{- define "umbrella.url" -}}
{{- $host := index . 0 }}{{ $root := index . 1 -}}
https://{{ $host }}.{{ $root.Values.global.domain }}/
{{- end -}}
