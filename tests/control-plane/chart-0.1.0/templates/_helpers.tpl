{{/* The name that all objects share: the release's, with the chart's where the release does not say it already. */}}
{{- define "rook-multihome.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "rook-multihome.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "rook-multihome.labels" -}}
{{ include "rook-multihome.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "rook-multihome.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "rook-multihome.fullname" .) -}}
{{- end -}}

{{- define "rook-multihome.secretName" -}}
{{- .Values.tls.secretName | default (printf "%s-tls" (include "rook-multihome.fullname" .)) -}}
{{- end -}}
