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
The label app of every pod of Ceph that gets networks, as far as a selector can say it: these are the exact values in
src/storage/catalogue/ceph.yaml, and tests/chart.rs compares them. CSI controllers whose name begins with one of the operator's
choice cannot be selected, and so belong to the others.
*/}}
{{- define "rook-multihome.daemons" -}}
- rook-ceph-mon
- rook-ceph-mgr
- rook-ceph-osd
- rook-ceph-mds
- rook-ceph-rgw
- rook-ceph-nfs
- rook-ceph-nvmeof
- rook-ceph-rbd-mirror
- rook-ceph-fs-mirror
- rook-ceph-osd-key-rotation
- rook-ceph-tools
- rook-ceph-tools-operator-image
- rbd.csi.ceph.com-ctrlplugin
- cephfs.csi.ceph.com-ctrlplugin
- nfs.csi.ceph.com-ctrlplugin
- nvmeof.csi.ceph.com-ctrlplugin
- csi-rbdplugin-provisioner
- csi-cephfsplugin-provisioner
- csi-nfsplugin-provisioner
{{- end -}}

{{/* A duration such as 90s, 5m, 12h or 7d, in seconds. */}}
{{- define "rook-multihome.seconds" -}}
{{- $unit := dict "s" 1 "m" 60 "h" 3600 "d" 86400 -}}
{{- mul (regexFind "^[0-9]+" .) (get $unit (regexFind "[smhd]$" .)) -}}
{{- end -}}
