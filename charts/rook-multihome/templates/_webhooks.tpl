{{/* What both webhook configurations have in common: the same name, the same authority, the same namespaces that are never asked about. */}}

{{/* The metadata of either. */}}
{{- define "rook-multihome.configurationMetadata" -}}
name: {{ include "rook-multihome.fullname" . }}
labels:
  {{- include "rook-multihome.labels" . | nindent 2 }}
  {{- with .Values.webhook.labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- if or (ne .Values.tls.mode "provided") .Values.webhook.annotations }}
annotations:
  {{- if eq .Values.tls.mode "self-managed" }}
  # Leaves the caBundle to the replicas.
  multihome.rook.io/ca-bundle: self-managed
  {{- else if eq .Values.tls.mode "cert-manager" }}
  cert-manager.io/inject-ca-from: {{ .Release.Namespace }}/{{ include "rook-multihome.tlsSecretName" . }}
  {{- end }}
  {{- with .Values.webhook.annotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Whom an entry calls, by .root and .path. */}}
{{- define "rook-multihome.clientConfig" -}}
service:
  name: {{ include "rook-multihome.fullname" .root }}
  namespace: {{ .root.Release.Namespace | quote }}
  path: {{ .path }}
  port: 443
{{- if eq .root.Values.tls.mode "provided" }}
caBundle: {{ .root.Values.tls.provided.ca | b64enc }}
{{- else }}
# The caBundle is written by {{ if eq .root.Values.tls.mode "cert-manager" }}cert-manager{{ else }}the replicas{{ end }}. It is not here, so that neither an upgrade nor GitOps takes it back.
{{- end }}
{{- end -}}

{{/*
The namespace selector of an entry, by .root: of those in .namespaces (all where empty) that .selector selects, those that are not in
.asked, and never our own.
*/}}
{{- define "rook-multihome.namespaceSelector" -}}
matchExpressions:
  {{- with (.selector | default dict).matchExpressions }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with .namespaces }}
  # The label that Kubernetes 1.21 and later put on every namespace; on older ones put it there yourself.
  - key: kubernetes.io/metadata.name
    operator: In
    values:
      {{- toYaml . | nindent 6 }}
  {{- end }}
  # Said here too, for those who edit what is above in the cluster.
  - key: kubernetes.io/metadata.name
    operator: NotIn
    values: [{{ .root.Release.Namespace | quote }}, kube-system]
  {{- with .asked }}
  # What is in them is asked about already, by the entries above.
  - key: kubernetes.io/metadata.name
    operator: NotIn
    values:
      {{- toYaml . | nindent 6 }}
  {{- end }}
  {{- with .root.Values.webhook.namespaceSelectorExpressions }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with (.selector | default dict).matchLabels }}
matchLabels:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
A match condition for entries that are asked about specs: that there is another one than before. So a status, a finalizer and the
labels that an operator writes wait for no answer, and an object that was there before it was judged can always be deleted. The
expression cannot fail, whatever the object is like: a field is looked at only after it is known to be there. Of an attachment
definition it need not be, because its configuration may lie in a file of the nodes.
*/}}
{{- define "rook-multihome.whereSpecIsNew" -}}
- name: spec-is-new
  expression: "{{ include "rook-multihome.specIsNew" . }}"
{{- end -}}

{{/* The same for attachment definitions, which name the resource of their devices in an annotation. */}}
{{- define "rook-multihome.whereNetworkIsNew" -}}
{{- $named := "(has(%[1]s.metadata.annotations) && '%[2]s' in %[1]s.metadata.annotations ? %[1]s.metadata.annotations['%[2]s'] : '')" -}}
{{- $resource := "k8s.v1.cni.cncf.io/resourceName" -}}
- name: network-is-new
  expression: "{{ include "rook-multihome.specIsNew" . }} || {{ printf $named "object" $resource }} != {{ printf $named "oldObject" $resource }}"
{{- end -}}

{{- define "rook-multihome.specIsNew" -}}
request.operation != 'UPDATE' || has(object.spec) != has(oldObject.spec) || (has(object.spec) && object.spec != oldObject.spec)
{{- end -}}

{{/* Whether the API server knows match conditions; empty where it does not. */}}
{{- define "rook-multihome.hasMatchConditions" -}}
{{- if semverCompare ">=1.28-0" .Capabilities.KubeVersion.Version -}}
true
{{- end -}}
{{- end -}}
