// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package up

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seatkeeper/seatkeeper/config"
	"github.com/seatkeeper/seatkeeper/internal/cli/preflight"
	"github.com/seatkeeper/seatkeeper/internal/cli/queryclient"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
)

const (
	controlPlaneTimeout = 90 * time.Second
	managerTimeout      = 60 * time.Second
	firstSyncTimeout    = 3 * time.Minute
	pollInterval        = 250 * time.Millisecond
)

func (m *machine) start(name, binary string, args []string, stdout io.Writer, env ...string) (*process, error) {
	p, err := startProcess(name, filepath.Join(m.BinDir, binary), args, m.logFile(name), stdout, env)
	if err != nil {
		return nil, err
	}
	m.children = append(m.children, p)
	return p, m.writeRunning()
}

func (m *machine) startControlPlane(ctx context.Context, _ func(string)) error {
	r, w := io.Pipe()
	p, err := m.start("control-plane", "localcluster", []string{
		"--data-dir", filepath.Join(m.StateDir, "control-plane"),
		"--secure-port", strconv.Itoa(m.port(preflight.PortControlPlane)),
		"--kubeconfig", m.running.Kubeconfig,
	}, w)
	if err != nil {
		return err
	}
	ready := make(chan struct{})
	go func() {
		for lines := bufio.NewScanner(r); lines.Scan(); {
			var line struct {
				Ready bool `json:"ready"`
			}
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Ready {
				close(ready)
				break
			}
		}
		_, _ = io.Copy(io.Discard, r)
	}()
	ctx, cancel := context.WithTimeout(ctx, controlPlaneTimeout)
	defer cancel()
	select {
	case <-ready:
		return m.loadKubeconfig()
	case <-p.done:
		return p.alive()
	case <-ctx.Done():
		return fmt.Errorf("not ready after %s", controlPlaneTimeout)
	}
}

// installAPI applies the CRDs and the roles that people are bound to, and waits
// until the API server serves the kinds.
func (m *machine) installAPI(ctx context.Context, say func(string)) error {
	a, err := newApplier(m.running.Config)
	if err != nil {
		return err
	}
	dir, err := fs.Sub(config.Files, "crd/bases")
	if err != nil {
		return err
	}
	crds, err := readManifests(dir)
	if err != nil {
		return err
	}
	for _, crd := range crds {
		if err := a.apply(ctx, crd); err != nil {
			return err
		}
	}
	if dir, err = fs.Sub(config.Files, "rbac/roles"); err != nil {
		return err
	}
	roles, err := readManifests(dir)
	if err != nil {
		return err
	}
	for _, role := range roles {
		if err := a.apply(ctx, role); err != nil {
			return err
		}
	}
	gvk := schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}
	res, err := a.resource(gvk, "")
	if err != nil {
		return err
	}
	for _, crd := range crds {
		say(crd.GetName())
		err := poll(ctx, controlPlaneTimeout, func(ctx context.Context) (bool, error) {
			got, err := res.Get(ctx, crd.GetName(), metav1.GetOptions{})
			return err == nil && conditionStatus(got, "Established") == "True", err
		})
		if err != nil {
			return fmt.Errorf("wait for %s: %w", crd.GetName(), err)
		}
	}
	return nil
}

func (m *machine) startSimulators(ctx context.Context, _ func(string)) error {
	gateway, err := ensureServingCert(filepath.Join(m.StateDir, "gateway"), m.Clock.Now())
	if err != nil {
		return err
	}
	client, err := queryclient.TrustingClient(gateway.CertFile)
	if err != nil {
		return err
	}
	m.running.Simulators, err = fakesaas.Start(context.WithoutCancel(ctx), fakesaas.Options{
		Company:   fakesaas.Generate(fakesaas.Config{Seed: m.Seed, People: m.People, Now: m.Clock.Now()}),
		StateFile: filepath.Join(m.StateDir, "simulators.json"),
		Clock:     m.Clock,
		Ports: map[string]int{
			fakesaas.Okta: m.port(preflight.PortOkta), fakesaas.Slack: m.port(preflight.PortSlack), fakesaas.Zoom: m.port(preflight.PortZoom),
			fakesaas.HRIS: m.port(preflight.PortHRIS), fakesaas.Admin: m.port(preflight.PortSimulators),
		},
		SlackInteractivityURL: m.gatewayURL() + "/slack/interactions/" + Namespace + "/slack",
		HTTPClient:            client,
	})
	return err
}

func (m *machine) startManager(ctx context.Context, _ func(string)) error {
	cert, err := ensureServingCert(filepath.Join(m.StateDir, "gateway"), m.Clock.Now())
	if err != nil {
		return err
	}
	m.running.Gateway, m.running.GatewayCA = m.gatewayURL(), cert.CertFile
	args := []string{
		"--store", "sqlite:" + filepath.Join(m.StateDir, "store"),
		"--metrics-bind-address", fmt.Sprintf("127.0.0.1:%d", m.port(preflight.PortMetrics)),
		"--health-probe-bind-address", "0",
		"--gateway",
		"--gateway-listen", fmt.Sprintf("127.0.0.1:%d", m.port(preflight.PortGateway)),
		"--public-url", fmt.Sprintf("https://127.0.0.1:%d", m.port(preflight.PortGateway)),
		"--gateway-cert-file", cert.CertFile, "--gateway-key-file", cert.KeyFile,
		"--gateway-client-ca", filepath.Join(m.StateDir, "control-plane", "ca.crt"),
	}
	if m.Simulate {
		for host, url := range m.running.Simulators.Endpoints() {
			args = append(args, "--connector-endpoint", host+"="+url)
		}
	}
	p, err := m.start("manager", "manager", args, nil, "KUBECONFIG="+m.running.Kubeconfig)
	if err != nil {
		return err
	}
	client, err := queryclient.TrustingClient(cert.CertFile)
	if err != nil {
		return err
	}
	if err := m.publishGateway(ctx); err != nil {
		return err
	}
	return poll(ctx, managerTimeout, func(ctx context.Context) (bool, error) {
		if err := p.alive(); err != nil {
			return false, stop{err}
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.gatewayURL()+"/readyz", nil)
		if err != nil {
			return false, stop{err}
		}
		resp, err := client.Do(req)
		if err != nil {
			return false, fmt.Errorf("the gateway does not answer yet: %w", err)
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusOK {
			return false, fmt.Errorf("the gateway is not ready: status %d", resp.StatusCode)
		}
		return true, nil
	})
}

func (m *machine) gatewayURL() string {
	return fmt.Sprintf("https://127.0.0.1:%d", m.port(preflight.PortGateway))
}

// publishGateway writes down where the gateway is, for `seatkeeper` without
// --server.
func (m *machine) publishGateway(ctx context.Context) error {
	a, err := newApplier(m.running.Config)
	if err != nil {
		return err
	}
	objects, err := queryclient.LocationObjects(m.gatewayURL(), m.running.GatewayCA)
	if err != nil {
		return err
	}
	for _, obj := range objects {
		if err := a.apply(ctx, obj); err != nil {
			return err
		}
	}
	return nil
}

// samples are the resources of the sample company.
func samples() ([]*unstructured.Unstructured, error) {
	dir, err := fs.Sub(config.Files, "samples/acme")
	if err != nil {
		return nil, err
	}
	return readManifests(dir)
}

// applySamples applies what a git repository would hold, and the Secrets that
// it would not.
func (m *machine) applySamples(ctx context.Context, say func(string)) error {
	a, err := newApplier(m.running.Config)
	if err != nil {
		return err
	}
	objects, err := samples()
	if err != nil {
		return err
	}
	secretsDone := false
	for _, obj := range objects {
		if obj.GetKind() != "Namespace" && !secretsDone {
			for _, s := range simulatorSecrets() {
				if err := a.apply(ctx, s); err != nil {
					return err
				}
			}
			secretsDone = true
		}
		say(obj.GetKind() + " " + obj.GetName())
		if err := a.apply(ctx, obj); err != nil {
			return err
		}
	}
	return nil
}

// simulatorSecrets are the credentials of the simulated vendors, which accept
// nothing else.
func simulatorSecrets() []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	for name, data := range map[string]map[string]any{
		"okta-token":   {"token": fakesaas.SimOktaToken},
		"slack-tokens": {"token": fakesaas.SimSlackBotToken, "adminToken": fakesaas.SimSlackAdminToken, "signingSecret": fakesaas.SimSlackSigningSecret},
		"zoom-s2s":     {"accountId": fakesaas.SimZoomAccountID, "clientId": fakesaas.SimZoomClientID, "clientSecret": fakesaas.SimZoomClientSecret},
		"hris-export":  {"token": fakesaas.SimHRISToken},
	} {
		out = append(out, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
			"metadata":   map[string]any{"name": name, "namespace": Namespace},
			"stringData": data,
		}})
	}
	return out
}

// awaitFirstSync waits until every Integration and LicensePolicy of the sample
// is Ready. What a user has added beside them holds up no start.
func (m *machine) awaitFirstSync(ctx context.Context, say func(string)) error {
	a, err := newApplier(m.running.Config)
	if err != nil {
		return err
	}
	objects, err := samples()
	if err != nil {
		return err
	}
	sample := map[string]bool{}
	for _, obj := range objects {
		sample[obj.GetKind()+"/"+obj.GetName()] = true
	}
	for _, kind := range []string{"Integration", "Application", "Contract", "LicensePolicy"} {
		res, err := a.resource(schema.GroupVersionKind{Group: "seatkeeper.dev", Version: "v1alpha1", Kind: kind}, Namespace)
		if err != nil {
			return err
		}
		err = poll(ctx, firstSyncTimeout, func(ctx context.Context) (bool, error) {
			for _, child := range m.children {
				if err := child.alive(); err != nil {
					return false, stop{err}
				}
			}
			list, err := res.List(ctx, metav1.ListOptions{})
			if err != nil {
				return false, err
			}
			var waiting []error
			for i := range list.Items {
				if obj := &list.Items[i]; sample[kind+"/"+obj.GetName()] && !ready(obj) {
					waiting = append(waiting, fmt.Errorf("%s %s: %s", kind, obj.GetName(), conditionMessage(obj)))
				}
			}
			if len(waiting) > 0 {
				say(waiting[0].Error())
				return false, errors.Join(waiting...)
			}
			return len(list.Items) > 0, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
