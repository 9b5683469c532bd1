{{/* Matchers that leave of all series those of this release's controller. */}}
{{- define "wva.ownSeries" -}}
{{- printf "namespace=%q,job=%q" .Release.Namespace (include "wva.serviceName" (list . "-metrics")) -}}
{{- end }}

{{/*
Alerts about the controller of this release. A person has to act on each: `critical` when scaling has stopped, `warning`
when it goes on with what was known last.
*/}}
{{- define "wva.alerts" -}}
{{- $own := include "wva.ownSeries" . -}}
{{- $controller := printf "%s/%s" .Release.Namespace (include "wva.controllerName" .) -}}
- alert: WVAControllerDown
  expr: 'absent(up{ {{- $own -}} } == 1)'
  for: 5m
  labels:
    severity: critical
  annotations:
    summary: 'No controller pod of {{ $controller }} answers Prometheus'
    description: 'Nothing decides about replicas, and autoscalers lose the metric they follow. Look at the pods of the Deployment and at the target in Prometheus.'
- alert: WVANoLeader
  expr: 'sum(wva_leader{ {{- $own -}} }) == 0'
  for: 5m
  labels:
    severity: critical
  annotations:
    summary: 'No pod of {{ $controller }} leads'
    description: 'The pods run but none holds the Lease, so nothing is decided. Look for errors about the Lease in their logs, and for another release that uses the same Lease.'
- alert: WVADecisionsStopped
  expr: 'time() - max(wva_last_cycle_timestamp_seconds{ {{- $own -}} } > 0) > 600'
  for: 1m
  labels:
    severity: critical
  annotations:
    summary: '{{ $controller }} has ended no decision cycle for ten minutes'
    description: 'The last decisions stay in force. Look at the logs of the leader and at the time its queries to Prometheus take.'
- alert: WVASafetyNetActive
  expr: 'max(wva_safety_net_active{ {{- $own -}} }) > 0'
  for: 10m
  labels:
    severity: warning
  annotations:
    summary: '{{ $controller }} holds {{ `{{ $value }}` }} variants because their metrics allow no decision'
    description: 'Their replicas stay as they are. `kubectl get va -A -o wide` shows which and why; look whether Prometheus scrapes the model''s servers.'
- alert: WVAPrometheusQueriesFail
  expr: 'sum(rate(wva_prometheus_query_failures_total{ {{- $own -}} }[5m])) / sum(rate(wva_prometheus_queries_total{ {{- $own -}} }[5m])) > 0.1'
  for: 10m
  labels:
    severity: warning
  annotations:
    summary: '{{ `{{ $value | humanizePercentage }}` }} of the queries of {{ $controller }} to Prometheus fail'
    description: 'Variants are held while their metrics are missing. Look at the controller''s logs, at wva.prometheus.baseURL, and at the load of Prometheus.'
- alert: WVADesiredReplicasNotReached
  expr: |-
    wva_desired_replicas{ {{- $own -}} } != wva_current_replicas{ {{- $own -}} }
    and changes(wva_desired_replicas{ {{- $own -}} }[30m]) == 0
  for: 30m
  labels:
    severity: warning
  annotations:
    summary: '{{ `{{ $labels.exported_namespace }}/{{ $labels.variant_name }}` }} does not reach its desired {{ `{{ $value }}` }} replicas'
    description: 'Look whether the autoscaler reads the metric (`kubectl describe hpa`), whether its limits allow the number, and whether pods are pending for want of accelerators.'
- alert: WVAVariantConflict
  expr: 'max by (kind) (wva_conflicts{ {{- $own -}} }) > 0'
  for: 5m
  labels:
    severity: warning
  annotations:
    summary: '{{ $controller }} refuses {{ `{{ $value }}` }} variants because of a conflict ({{ `{{ $labels.kind }}` }})'
    description: 'Two VariantAutoscalings scale one target, or two controllers write one. Look for Ready=False with `kubectl get va -A -o wide` and remove one of them.'
{{- end }}
