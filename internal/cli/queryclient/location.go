// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package queryclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Where an installation says how its gateway is reached. Every authenticated
// user may read it; it holds no secret.
const (
	SystemNamespace  = "seatkeeper-system"
	locationName     = "seatkeeper-gateway"
	locationServer   = "server"
	locationCA       = "ca.crt"
	readerRole       = "seatkeeper-gateway-location"
	defaultTimeout   = 30 * time.Second
	authenticatedAll = "system:authenticated"
)

// Location is where a gateway is reached.
type Location struct {
	Server string // https://host:port
	CA     []byte // PEM; empty: the system's authorities
	// serverName is what the certificate names where that is not the host: the
	// Service, behind a port-forward.
	serverName string
}

// errNoLocation says that the installation does not publish its gateway.
var errNoLocation = errors.New("no published location")

// published reads the location that the installation published.
func published(ctx context.Context, cfg *rest.Config) (Location, error) {
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return Location{}, err
	}
	cm, err := client.CoreV1().ConfigMaps(SystemNamespace).Get(ctx, locationName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return Location{}, errNoLocation
	}
	if err != nil {
		return Location{}, fmt.Errorf("ask the cluster where the gateway is: %w", err)
	}
	return Location{Server: cm.Data[locationServer], CA: []byte(cm.Data[locationCA])}, nil
}

// LocationObjects returns what publishes a gateway's location, for
// server-side apply.
func LocationObjects(server, caFile string) ([]*unstructured.Unstructured, error) {
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	object := func(apiVersion, kind, namespace, name string, rest map[string]any) *unstructured.Unstructured {
		meta := map[string]any{"name": name}
		if namespace != "" {
			meta["namespace"] = namespace
		}
		o := map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": meta}
		for k, v := range rest {
			o[k] = v
		}
		return &unstructured.Unstructured{Object: o}
	}
	const rbac = "rbac.authorization.k8s.io"
	return []*unstructured.Unstructured{
		object("v1", "Namespace", "", SystemNamespace, nil),
		object("v1", "ConfigMap", SystemNamespace, locationName, map[string]any{"data": map[string]any{locationServer: server, locationCA: string(ca)}}),
		object(rbac+"/v1", "Role", SystemNamespace, readerRole, map[string]any{"rules": []any{map[string]any{
			"apiGroups": []any{""}, "resources": []any{"configmaps"}, "resourceNames": []any{locationName}, "verbs": []any{"get"},
		}}}),
		object(rbac+"/v1", "RoleBinding", SystemNamespace, readerRole, map[string]any{
			"roleRef":  map[string]any{"apiGroup": rbac, "kind": "Role", "name": readerRole},
			"subjects": []any{map[string]any{"apiGroup": rbac, "kind": "Group", "name": authenticatedAll}},
		}),
	}, nil
}

// TrustingClient returns a client that trusts the authorities in a PEM file
// and carries no credential.
func TrustingClient(caFile string) (*http.Client, error) {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", caFile)
	}
	return &http.Client{Timeout: defaultTimeout, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
	}}, nil
}
