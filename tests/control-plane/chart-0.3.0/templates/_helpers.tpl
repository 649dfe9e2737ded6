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
app.kubernetes.io/instance: {{ .Release.Name | quote }}
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

{{- define "rook-multihome.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The Secret in which the replicas keep their authority, in the self-managed mode. */}}
{{- define "rook-multihome.caSecretName" -}}
{{- include "rook-multihome.fullname" . }}-ca
{{- end -}}

{{/* The Secret that is mounted, in the other modes; cert-manager's Certificate has the same name. */}}
{{- define "rook-multihome.tlsSecretName" -}}
{{- $own := printf "%s-tls" (include "rook-multihome.fullname" .) -}}
{{- if eq .Values.tls.mode "provided" -}}
{{- .Values.tls.provided.secretName | default $own -}}
{{- else -}}
{{- $own -}}
{{- end -}}
{{- end -}}

{{/*
The storage systems that are known: the built-in ones that are chosen, as tests/chart writes them into files/ from the catalogue, and
those of the values. Both are documents of the catalogue, so that what follows is computed from either in one way.
*/}}
{{- define "rook-multihome.systems" -}}
{{- $systems := list -}}
{{- range .Files.Get "files/systems.yaml" | fromYamlArray -}}
{{- if has .system $.Values.builtInSystems -}}
{{- $systems = append $systems . -}}
{{- end -}}
{{- end -}}
{{- concat $systems .Values.systems | toYaml -}}
{{- end -}}

{{/* The resources that are watched, as a map from group to plural names. */}}
{{- define "rook-multihome.watched" -}}
{{- $watched := list "/namespaces" "k8s.cni.cncf.io/network-attachment-definitions" "multihome.rook.io/storagenetworks" -}}
{{- if .Values.watchNodes -}}
{{- $watched = append $watched "/nodes" -}}
{{- end -}}
{{- range include "rook-multihome.systems" . | fromYamlArray -}}
{{- range .clusters -}}
{{- $watched = append $watched (printf "%s/%s" .resource.group .resource.plural) -}}
{{- end -}}
{{- range .roles -}}
{{- with .hostOverride -}}
{{- with .resource -}}
{{- $watched = append $watched (printf "%s/%s" .group .plural) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range .owners -}}
{{- $group := has . (list "Job" "CronJob") | ternary "batch" "apps" -}}
{{- $watched = append $watched (printf "%s/%ss" $group (lower .)) -}}
{{- end -}}
{{- end -}}
{{- $groups := dict -}}
{{- range $watched | uniq | sortAlpha -}}
{{- $name := splitn "/" 2 . -}}
{{- $_ := set $groups $name._0 (append (get $groups $name._0 | default list) $name._1) -}}
{{- end -}}
{{- toYaml $groups -}}
{{- end -}}

{{/*
The label app of the pods that get networks, where it alone tells them: what a selector can say. It is not said of pods that take a
second label to be told, such as MinIO's with app: minio: somebody else's may have the same, and must not wait for an answer. Nor can
it be said of CSI controllers whose name begins with one of the operator's choice. All these belong to the others.
*/}}
{{- define "rook-multihome.daemons" -}}
{{- $apps := list -}}
{{- range include "rook-multihome.systems" . | fromYamlArray -}}
{{- range .roles -}}
{{- if .networks -}}
{{- range .match -}}
{{- if and (eq (len .) 1) .app (not (hasPrefix "*" .app)) (not (contains "{cluster}" .app)) -}}
{{- $apps = append $apps .app -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $apps | uniq | toYaml -}}
{{- end -}}

{{/* The files of your own systems, in the order of the values: their numbers keep it. */}}
{{- define "rook-multihome.systemFiles" -}}
{{- $files := dict -}}
{{- range $index, $system := .Values.systems -}}
{{- $name := regexReplaceAll "[^-._a-zA-Z0-9]" $system.system "-" -}}
{{- $_ := set $files (printf "%03d-%s.yaml" $index $name) (toYaml $system) -}}
{{- end -}}
{{- toYaml $files -}}
{{- end -}}

{{/* A duration such as 90s, 5m, 12h or 7d, in seconds. */}}
{{- define "rook-multihome.seconds" -}}
{{- $unit := dict "s" 1 "m" 60 "h" 3600 "d" 86400 -}}
{{- mul (regexFind "^[0-9]+" .) (get $unit (regexFind "[smhd]$" .)) -}}
{{- end -}}
