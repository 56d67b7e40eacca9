// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package packaging

import (
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seatkeeper/seatkeeper/internal/app/gateway"
	"github.com/seatkeeper/seatkeeper/internal/app/manager"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

func TestChartLintsInBothModes(t *testing.T) {
	h := newHelm(t)
	for mode, values := range modes {
		out := h.run(t, append([]string{"lint", "--strict", "--kube-version", kubeVersion, chart(t)}, values...)...)
		if !strings.Contains(out, "0 chart(s) failed") {
			t.Errorf("%s: %s", mode, out)
		}
	}
}

func TestChartRefusesValuesItDoesNotKnow(t *testing.T) {
	h := newHelm(t)
	for _, c := range []struct{ value, want string }{
		{"mod=postgres", "mod"},
		{"mode=mysql", "mode"},
		{"mode=postgres", "dsnSecret"},
		{"gateway.replica=3", "replica"},
		{"manager.service.port=1", "service"},
		{"postgres.dsnSecret.user=x", "user"},
		{"image.digest=sha256:abc", "digest"},
		{"tenantNamespaces={Not_A_Namespace}", "tenantNamespaces"},
		{"gateway.publicURL=http://plain.example", "publicURL"},
		{"sqlite.storage.size=ten", "size"},
		{"manager.logLevel=loud", "logLevel"},
	} {
		_, errOut, err := h.try("template", release, chart(t), "--kube-version", kubeVersion, "--set", c.value)
		if err == nil {
			t.Errorf("%s was accepted", c.value)
		} else if !strings.Contains(errOut, c.want) {
			t.Errorf("%s: the error does not name %q: %s", c.value, c.want, errOut)
		}
	}
}

// TestEveryDefaultIsInTheSchema would fail if a value were added without its
// schema, and the other way round no schema without a default.
func TestEveryDefaultIsInTheSchema(t *testing.T) {
	values := readYAML(t, filepath.Join(chart(t), "values.yaml"))
	schema := readYAML(t, filepath.Join(chart(t), "values.schema.json"))
	properties := schema["properties"].(map[string]any)
	delete(properties, "global")
	if diff := cmp.Diff(slices.Sorted(maps.Keys(properties)), slices.Sorted(maps.Keys(values))); diff != "" {
		t.Errorf("values.yaml and values.schema.json differ (-schema +values):\n%s", diff)
	}
}

func readYAML(t *testing.T, path string) map[string]any {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(raw))[0].Object
}

func TestChartHasTheGeneratedCRDs(t *testing.T) {
	rendered := map[string]*unstructured.Unstructured{}
	for _, crd := range ofKind(newHelm(t).render(t), "CustomResourceDefinition") {
		rendered[crd.GetName()] = crd
	}
	paths, err := filepath.Glob(repoPath(t, "config", "crd", "bases", "*.yaml"))
	if err != nil || len(paths) == 0 || len(paths) != len(rendered) {
		t.Fatalf("config/crd/bases has %d CRDs, the chart %d (%v)", len(paths), len(rendered), err)
	}
	for _, path := range paths {
		want := &unstructured.Unstructured{Object: readYAML(t, path)}
		got, ok := rendered[want.GetName()]
		if !ok {
			t.Errorf("the chart lacks %s", want.GetName())
			continue
		}
		annotations := got.GetAnnotations()
		if annotations["helm.sh/resource-policy"] != "keep" {
			t.Errorf("%s would go with the release", want.GetName())
		}
		delete(annotations, "helm.sh/resource-policy")
		got.SetAnnotations(annotations)
		if diff := cmp.Diff(want.Object, got.Object); diff != "" {
			t.Errorf("%s differs; run make generate (-generated +chart):\n%s", want.GetName(), diff)
		}
	}
	if left := ofKind(newHelm(t).render(t, "--set", "crds.enabled=false"), "CustomResourceDefinition"); len(left) != 0 {
		t.Errorf("crds.enabled=false leaves %d CRDs", len(left))
	}
}

// TestArgumentsAreFlagsOfTheBinaries gives the arguments of every container,
// of chart and kustomizations, to the parser of the binary they are for.
func TestArgumentsAreFlagsOfTheBinaries(t *testing.T) {
	h := newHelm(t)
	sources := map[string][]*unstructured.Unstructured{}
	for mode, values := range modes {
		sources["chart "+mode] = h.render(t, values...)
	}
	for _, dir := range kustomizations {
		sources["kustomize "+dir] = kustomize(t, dir)
	}
	for source, objects := range sources {
		t.Run(source, func(t *testing.T) {
			all := deployments(t, objects)
			if d, ok := all["manager"]; ok {
				checkManager(t, d, all["gateway"] != nil)
			} else {
				t.Error("no manager")
			}
			if d, ok := all["gateway"]; ok {
				provideStore(t, d)
				s, err := gateway.ParseFlags(d.Spec.Template.Spec.Containers[0].Args, io.Discard)
				if err != nil {
					t.Fatalf("gateway refuses its arguments: %v", err)
				}
				if s.Listen != ":8443" || s.CertFile == "" || s.KeyringFile == "" {
					t.Errorf("gateway would run as %+v", s)
				}
			}
		})
	}
}

// TestAddressesReachTheProcesses sets what lies between senders and the gateway.
func TestAddressesReachTheProcesses(t *testing.T) {
	h := newHelm(t)
	for mode, values := range modes {
		t.Run(mode, func(t *testing.T) {
			all := deployments(t, h.render(t, slices.Concat(values, []string{"--set", "gateway.publicURL=https://seats.acme.example", "--set", "gateway.trustedProxies={10.0.0.0/8,192.0.2.7}"})...))
			provideStore(t, all["manager"])
			o, err := manager.ParseFlags(all["manager"].Spec.Template.Spec.Containers[0].Args, io.Discard)
			if err != nil || o.PublicURL != "https://seats.acme.example" {
				t.Errorf("manager: public URL %q, %v", o.PublicURL, err)
			}
			proxies := o.GatewayOptions.Proxies
			if d, ok := all["gateway"]; ok {
				provideStore(t, d)
				s, err := gateway.ParseFlags(d.Spec.Template.Spec.Containers[0].Args, io.Discard)
				if err != nil {
					t.Fatal(err)
				}
				proxies = s.Proxies
			}
			if fmt.Sprint(proxies) != "[10.0.0.0/8 192.0.2.7/32]" {
				t.Errorf("trusted proxies %v", proxies)
			}
		})
	}
}

func checkManager(t *testing.T, d *appsv1.Deployment, postgres bool) {
	t.Helper()
	provideStore(t, d)
	o, err := manager.ParseFlags(d.Spec.Template.Spec.Containers[0].Args, io.Discard)
	if err != nil {
		t.Fatalf("manager refuses its arguments: %v", err)
	}
	if sqlite := strings.HasPrefix(o.Store, "sqlite:"); sqlite == postgres || o.Gateway == postgres || o.LeaderElect != postgres {
		t.Errorf("store %q, gateway %v, leader election %v do not fit each other", o.Store, o.Gateway, o.LeaderElect)
	}
	if o.ServiceAccount.Name != d.Spec.Template.Spec.ServiceAccountName || o.ServiceAccount.Namespace != d.Namespace {
		t.Errorf("the manager would print a RoleBinding for %s; it runs as %s/%s", o.ServiceAccount, d.Namespace, d.Spec.Template.Spec.ServiceAccountName)
	}
	if !postgres && (*d.Spec.Replicas != 1 || d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType) {
		t.Errorf("SQLite serves one process: %d replicas, strategy %s", *d.Spec.Replicas, d.Spec.Strategy.Type)
	}
}

// provideStore sets the variable that the pod would have from a Secret, and
// nothing if it has none.
func provideStore(t *testing.T, d *appsv1.Deployment) {
	t.Helper()
	value := ""
	for _, e := range d.Spec.Template.Spec.Containers[0].Env {
		if e.Name == "SEATKEEPER_STORE" && e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
			value = "postgres://seatkeeper@database/seatkeeper"
		}
	}
	t.Setenv("SEATKEEPER_STORE", value)
}

func TestKeyringIsOneThatTheStoreReads(t *testing.T) {
	secret := named(t, newHelm(t).render(t), "Secret", "seatkeeper-keyring")
	encoded, _, _ := unstructured.NestedString(secret.Object, "data", "keyring")
	text, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.ParseKeyring(string(text)); err != nil {
		t.Errorf("the store refuses the keyring: %v", err)
	}
	if immutable, _, _ := unstructured.NestedBool(secret.Object, "immutable"); !immutable {
		t.Error("a renderer without the cluster could replace the keyring")
	}
}

func TestExistingSecretsReplaceTheGeneratedOnes(t *testing.T) {
	objects := newHelm(t).render(t, "--set", "keyring.existingSecret=my-keys,gateway.tls.existingSecret=my-tls")
	if secrets := ofKind(objects, "Secret"); len(secrets) != 0 {
		t.Errorf("the chart makes %d Secrets of its own", len(secrets))
	}
	mounted := map[string]bool{}
	for _, v := range deployments(t, objects)["manager"].Spec.Template.Spec.Volumes {
		if v.Secret != nil {
			mounted[v.Secret.SecretName] = true
		}
	}
	if !mounted["my-keys"] || !mounted["my-tls"] {
		t.Errorf("mounted: %v", mounted)
	}
}

func TestOptionalParts(t *testing.T) {
	h := newHelm(t)
	objects := h.render(t, append(modes["postgres"], "--set",
		"podMonitor.enabled=true,networkPolicy.enabled=true,gateway.publicURL=https://seatkeeper.acme.example,aggregateRoles=false")...)
	if n := len(ofKind(objects, "PodMonitor")); n != 2 {
		t.Errorf("%d PodMonitors; want one per component", n)
	}
	if n := len(ofKind(objects, "NetworkPolicy")); n != 2 {
		t.Errorf("%d NetworkPolicies; want one per component", n)
	}
	if n := len(ofKind(objects, "PodDisruptionBudget")); n != 2 {
		t.Errorf("%d PodDisruptionBudgets; want one per component with replicas", n)
	}
	location := named(t, objects, "ConfigMap", "seatkeeper-gateway")
	if server, _, _ := unstructured.NestedString(location.Object, "data", "server"); server != "https://seatkeeper.acme.example" {
		t.Errorf("published server %q", server)
	}
	for _, o := range ofKind(objects, "ClusterRole") {
		for key := range o.GetLabels() {
			if strings.HasPrefix(key, "rbac.authorization.k8s.io/") {
				t.Errorf("ClusterRole %s has %s without aggregateRoles", o.GetName(), key)
			}
		}
	}
	viewer := named(t, h.render(t), "ClusterRole", "seatkeeper-viewer")
	if viewer.GetLabels()["rbac.authorization.k8s.io/aggregate-to-view"] != "true" {
		t.Error("seatkeeper-viewer is not aggregated to view")
	}
}
