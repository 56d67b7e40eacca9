{{- define "seatkeeper.name" -}}
{{- if contains "seatkeeper" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-seatkeeper" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "seatkeeper.labels" -}}
app.kubernetes.io/name: seatkeeper
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "seatkeeper.selector" -}}
app.kubernetes.io/name: seatkeeper
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* The pods that serve the gateway, in either mode. */}}
{{- define "seatkeeper.gatewaySelector" -}}
app.kubernetes.io/name: seatkeeper
app.kubernetes.io/instance: {{ .Release.Name }}
seatkeeper.dev/serves-gateway: "true"
{{- end }}

{{- define "seatkeeper.image" -}}
{{- $i := .Values.image -}}
{{ $i.repository }}{{ if $i.digest }}@{{ $i.digest }}{{ else }}:{{ $i.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "seatkeeper.keyringSecret" -}}
{{ .Values.keyring.existingSecret | default (printf "%s-keyring" (include "seatkeeper.name" .)) }}
{{- end }}

{{- define "seatkeeper.tlsSecret" -}}
{{ .Values.gateway.tls.existingSecret | default (printf "%s-gateway-tls" (include "seatkeeper.name" .)) }}
{{- end }}

{{/* The authority of the cluster's client certificates; empty if it is not to be had. */}}
{{- define "seatkeeper.clientCA" -}}
{{- if .Values.gateway.clientCertificates -}}
{{- $cm := lookup "v1" "ConfigMap" "kube-system" "extension-apiserver-authentication" -}}
{{- with $cm }}{{ index (.data | default dict) "client-ca-file" }}{{ end }}
{{- end -}}
{{- end }}

{{- define "seatkeeper.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "seatkeeper.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* The DSN is in the environment alone: arguments are for everyone to read. */}}
{{- define "seatkeeper.storeEnv" -}}
{{- if eq .Values.mode "postgres" }}
env:
- name: SEATKEEPER_STORE
  valueFrom:
    secretKeyRef:
      name: {{ required "postgres.dsnSecret.name is needed in postgres mode: a Secret with the DSN" .Values.postgres.dsnSecret.name }}
      key: {{ .Values.postgres.dsnSecret.key }}
{{- end }}
{{- end }}

{{/* What a pod that serves the gateway mounts. */}}
{{- define "seatkeeper.gatewayVolumes" -}}
- {name: tls, secret: {secretName: {{ include "seatkeeper.tlsSecret" . }}}}
{{- if include "seatkeeper.clientCA" . }}
- {name: client-ca, configMap: {name: {{ include "seatkeeper.name" . }}-client-ca}}
{{- end }}
{{- end }}

{{- define "seatkeeper.gatewayMounts" -}}
- {name: tls, mountPath: /etc/seatkeeper/tls, readOnly: true}
{{- if include "seatkeeper.clientCA" . }}
- {name: client-ca, mountPath: /etc/seatkeeper/client-ca, readOnly: true}
{{- end }}
{{- end }}

{{/* Where pods run. */}}
{{- define "seatkeeper.placement" -}}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 0 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 0 }}
{{- end }}
{{- end }}
