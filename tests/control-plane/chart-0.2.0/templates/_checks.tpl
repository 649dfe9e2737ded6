{{/*
What the schema cannot say, or could not say as well. Included by webhook.yaml alone: nothing is installed without it, and
there is one place for each sentence.
*/}}
{{- define "rook-multihome.checks" -}}

{{- /* Values that had another name in 0.1.0. The schema still knows them, so that this can say where they went. */ -}}
{{- $moved := list -}}
{{- range $old := list "secretName" "ca" "certificate" "key" -}}
{{- if hasKey $.Values.tls $old -}}
{{- $moved = append $moved (printf "tls.%s is now tls.provided.%s" $old $old) -}}
{{- end -}}
{{- end -}}
{{- with $moved -}}
{{- fail (printf "these values have moved: %s; rename them, and set tls.mode=provided to go on bringing the certificate yourself, or leave them out and let the replicas issue it" (join ", " .)) -}}
{{- end -}}
{{- if hasKey .Values.webhook "failurePolicy" -}}
{{- fail "webhook.failurePolicy is now webhook.daemons.failurePolicy; pods of other kinds are always admitted" -}}
{{- end -}}

{{- if not .Values.namespaces -}}
{{- fail "namespaces is empty: name the namespaces of your storage clusters (--set 'namespaces={rook-ceph}')" -}}
{{- end -}}
{{- if has .Release.Namespace .Values.namespaces -}}
{{- fail (printf "namespaces has %s, where this release is installed: the webhook must not stand in its own way; install it into a namespace of its own" .Release.Namespace) -}}
{{- end -}}
{{- if has "kube-system" .Values.namespaces -}}
{{- fail "namespaces has kube-system: the webhook must not stand in the way of the control plane; remove it" -}}
{{- end -}}

{{- if eq .Values.tls.mode "provided" -}}
{{- with .Values.tls.provided -}}
{{- if not .ca -}}
{{- fail "tls.provided.ca is empty: give the PEM text of the authority that signed the serving certificate (--set-file tls.provided.ca=ca.crt)" -}}
{{- end -}}
{{- if not (contains "BEGIN CERTIFICATE" .ca) -}}
{{- fail "tls.provided.ca is no PEM text: give the file (--set-file tls.provided.ca=ca.crt), not its name or its base64" -}}
{{- end -}}
{{- if ne (empty .certificate) (empty .key) -}}
{{- fail "of tls.provided.certificate and tls.provided.key one is empty: set both (--set-file tls.provided.certificate=tls.crt --set-file tls.provided.key=tls.key), or leave both empty and create the Secret yourself" -}}
{{- end -}}
{{- end -}}
{{- else if or .Values.tls.provided.ca .Values.tls.provided.certificate .Values.tls.provided.key .Values.tls.provided.secretName -}}
{{- fail (printf "tls.provided is given, but tls.mode is %s: set tls.mode=provided, or leave tls.provided empty" .Values.tls.mode) -}}
{{- end -}}
{{- if and .Values.tls.clientAuth.names (not .Values.tls.clientAuth.caSecretName) -}}
{{- fail "tls.clientAuth.names is given without tls.clientAuth.caSecretName: without an authority, no name can be trusted" -}}
{{- end -}}

{{- if eq (int .Values.webhookPort) (int .Values.adminPort) -}}
{{- fail (printf "webhookPort and adminPort are both %d: choose two" (int .Values.webhookPort)) -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled .Values.hostNetwork -}}
{{- fail "networkPolicy.enabled and hostNetwork are both true: a NetworkPolicy has no effect on the host network; switch one off" -}}
{{- end -}}
{{- if and .Values.criticalPodsQuota (not .Values.priorityClassName) -}}
{{- fail "criticalPodsQuota is true, but priorityClassName is empty: there is nothing to allow" -}}
{{- end -}}
{{- end -}}
