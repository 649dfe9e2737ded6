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
{{- range $value := list "builtInSystems" "systems" "clients" -}}
{{- if kindIs "invalid" (index $.Values $value) -}}
{{- fail (printf "%s has no value: leave it out for its default; where the values of an older release are reused without the new defaults, upgrade with --reset-then-reuse-values instead of --reuse-values" $value) -}}
{{- end -}}
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

{{- $names := .Values.builtInSystems -}}
{{- range .Values.systems -}}
{{- if has .system $.Values.builtInSystems -}}
{{- fail (printf "systems describes %s, and a system of this name is built in: give yours another name, or leave %s out of builtInSystems" .system .system) -}}
{{- end -}}
{{- if has .system $names -}}
{{- fail (printf "systems describes %s twice: give one of the two another name, or remove it" .system) -}}
{{- end -}}
{{- $names = append $names .system -}}
{{- if eq .system "custom" -}}
{{- fail "systems describes custom, which is what pods that a StorageNetwork selects belong to: give the system another name" -}}
{{- end -}}
{{- $system := .system -}}
{{- $keys := list -}}
{{- range .keys -}}
{{- $keys = append $keys .name -}}
{{- end -}}
{{- $asked := list -}}
{{- with .client -}}
{{- $asked = append $asked (list "client" .) -}}
{{- end -}}
{{- range .keys -}}
{{- with .fallback -}}
{{- $asked = append $asked (list "a fallback" .) -}}
{{- end -}}
{{- end -}}
{{- range $role := .roles -}}
{{- if eq .name "client" -}}
{{- fail (printf "systems: %s has a role client, which is that of pods that ask for the network of a cluster's clients: give the role another name" $system) -}}
{{- end -}}
{{- range concat (.networks | default list) (.networksAtRisk | default list) -}}
{{- $asked = append $asked (list (printf "its role %s" $role.name) .) -}}
{{- end -}}
{{- end -}}
{{- range $asked -}}
{{- if not (has (last .) $keys) -}}
{{- fail (printf "systems: %s names the network %s for %s, and has no such key: add it to keys, or mend the name" $system (last .) (first .)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $owners := dict -}}
{{- $atRisk := false -}}
{{- range $system := include "rook-multihome.systems" . | fromYamlArray -}}
{{- range .clusters -}}
{{- /* The program tells clusters by their kind; the API server knows them by the plural. Neither may mean two things. */ -}}
{{- range $resource := list (printf "%s.%s" .resource.plural .resource.group) (printf "the kind %s of %s" .resource.kind .resource.group) -}}
{{- with get $owners $resource -}}
{{- if eq . $system.system -}}
{{- fail (printf "systems: %s has two clusters of %s: remove one of them" . $resource) -}}
{{- end -}}
{{- fail (printf "%s: clusters of %s and of %s: leave one of the two systems out" $resource . $system.system) -}}
{{- end -}}
{{- $_ := set $owners $resource $system.system -}}
{{- end -}}
{{- end -}}
{{- range .roles -}}
{{- $atRisk = or $atRisk (not (empty .networksAtRisk)) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.settings.attachCsiNodePluginsAndRiskHungMounts (not $atRisk) -}}
{{- fail "settings.attachCsiNodePluginsAndRiskHungMounts is true, but no system has CSI node plugins: add ceph to builtInSystems, or set it to false" -}}
{{- end -}}

{{- with .Values.clients -}}
{{- if and .namespaces .namespaceSelector -}}
{{- fail "clients.namespaces and clients.namespaceSelector are both given: keep one of the two, a label of the namespaces selects those of the list as well" -}}
{{- end -}}
{{- if has $.Release.Namespace .namespaces -}}
{{- fail (printf "clients.namespaces has %s, where this release is installed: the webhook must not stand in its own way; remove it" $.Release.Namespace) -}}
{{- end -}}
{{- if has "kube-system" .namespaces -}}
{{- fail "clients.namespaces has kube-system: the webhook must not stand in the way of the control plane; remove it" -}}
{{- end -}}
{{- range .namespaces -}}
{{- if has . $.Values.namespaces -}}
{{- fail (printf "clients.namespaces has %s, which namespaces has too: its pods are asked about already; remove it from clients.namespaces" .) -}}
{{- end -}}
{{- end -}}
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
