{{/*
Completes the values, once; every template begins with it. `helm upgrade --reuse-values` replaces this chart's defaults by
those of the release before, which lack what came later, and a value set to null is gone. `defaults.yaml` repeats
values.yaml, which templates cannot read.
*/}}
{{- define "wva.values" -}}
{{- if not (hasKey .Values "completed") -}}
{{- $older := ne (toString .Values.defaultsOf) .Chart.Version -}}
{{- include "wva.complete" (list .Values (.Files.Get "defaults.yaml" | fromYaml) "" $older) -}}
{{- $_ := set .Values "completed" true -}}
{{- end -}}
{{- end }}

{{/*
Gives each missing key its default; called with a list of values, defaults, the path so far and whether the values are
those of an older chart. What may be left out on purpose stays out unless they are.
*/}}
{{- define "wva.complete" -}}
{{- $values := index . 0 -}}
{{- $path := index . 2 -}}
{{- $older := index . 3 -}}
{{- range $key, $default := index . 1 -}}
{{- $here := printf "%s.%s" $path $key -}}
{{- $value := get $values $key -}}
{{- if or (not (hasKey $values $key)) (kindIs "invalid" $value) -}}
{{- if or $older (not (regexMatch (include "wva.optionalValues" nil) $here)) -}}
{{- $_ := set $values $key $default -}}
{{- end -}}
{{- else if and (kindIs "map" $default) (kindIs "map" $value) -}}
{{- include "wva.complete" (list $value $default $here $older) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Values that null takes away: parts of objects of Kubernetes, and limits that need not be. */}}
{{- define "wva.optionalValues" -}}
^\.(wva\.(resources|podSecurityContext|securityContext|probes\.(liveness|readiness)|scheduling|metrics\.serviceMonitor\.tlsConfig)|hpa\.(behavior|tolerance)|keda\.fallback|llmd\.model(Name|ID))(\.|$)|^\.wva\.(podDisruptionBudget|prometheus\.metricsCache|capacityScaling\.default)\.
{{- end }}
