{{/* What the releases 0.4.1 to 0.5.1, whose controller was written in Go, leave in values, and what becomes of it. */}}

{{/* "true" when wva.image names the Go controller, by path and tag: it does not know this chart's flags. */}}
{{- define "wva.hasGoImage" -}}
{{- with .Values.wva.image -}}
{{- $path := regexMatch "(^|/)(llm-d/llm-d-workload-variant-autoscaler|llm-d-incubation/workload-variant-autoscaler|infernoautoscaler/inferno-controller)$" (toString .repository) -}}
{{- if and $path (not .digest) (regexMatch "^(latest|v?0\\.[0-5]\\..*)$" (toString .tag)) -}}true{{- end -}}
{{- end -}}
{{- end }}

{{/* Hybrid mode: wva.proactiveModel, or as 0.4.1 and 0.4.2 asked for it. YAML reads a bare `on` as true. */}}
{{- define "wva.hybridMode" -}}
{{- $old := toString (default "" .Values.wva.experimentalHybridOptimization) -}}
{{- or .Values.wva.proactiveModel (has $old (list "true" "on" "model-only")) -}}
{{- end }}

{{/* Pull secrets, the one of `wva.imagePullSecret` among them. */}}
{{- define "wva.pullSecrets" -}}
{{- $secrets := default list .Values.wva.imagePullSecrets -}}
{{- with .Values.wva.imagePullSecret -}}
{{- $secrets = append $secrets (dict "name" .) -}}
{{- end -}}
{{- if $secrets -}}{{- toYaml $secrets -}}{{- end -}}
{{- end }}

{{/* One line for each value that is accepted for the sake of older releases. */}}
{{- define "wva.legacyNotes" -}}
{{- if include "wva.hasGoImage" . }}
- wva.image names {{ .Values.wva.image.repository }}:{{ .Values.wva.image.tag }}, the controller of an earlier release, which this chart cannot run;
  {{ include "wva.image" . }} runs instead. Leave wva.image out, or name this project's image.
{{- end }}
{{- if hasKey .Values.wva "experimentalHybridOptimization" }}
- wva.experimentalHybridOptimization is deprecated: {{ if eq (toString .Values.wva.experimentalHybridOptimization) "model-only" }}`model-only` turns the hybrid mode on, in which saturation counts too
  {{- else if eq (include "wva.hybridMode" .) "true" }}the hybrid mode is on{{ else }}the hybrid mode is off{{ end }}. Set wva.proactiveModel.
{{- end }}
{{- with .Values.wva.imagePullSecret }}
- wva.imagePullSecret is deprecated: set wva.imagePullSecrets[0].name={{ . }}.
{{- end }}
{{- range $name := list "modelName" "baseName" }}
{{- if hasKey $.Values.wva $name }}
- wva.{{ $name }} is deprecated and has no effect{{ if eq $name "modelName" }}: llmd.modelName names the variant{{ end }}.
{{- end }}
{{- end }}
{{- end }}
