// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package packaging proves what the chart and the kustomizations promise, with
// Helm itself and against a real API server.
package packaging

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Start(m) }

// helmEnv names another helm than the one that `make bin/helm` builds.
const helmEnv = "SEATKEEPER_HELM"

// kubeVersion is what charts are rendered for without a cluster: a helm that
// was built from source claims a version of its own.
const kubeVersion = "v1.30.0"

const release = "seatkeeper"

// modes are the values of both modes.
var modes = map[string][]string{
	"sqlite":   nil,
	"postgres": {"--set", "mode=postgres,postgres.dsnSecret.name=database,manager.replicas=2"},
}

func repoPath(t testing.TB, elements ...string) string {
	t.Helper()
	root, err := testenv.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(append([]string{root}, elements...)...)
}

func chart(t testing.TB) string { return repoPath(t, "charts", "seatkeeper") }

// helm is a helm binary with folders of its own.
type helm struct {
	path string
	env  []string
}

func newHelm(t testing.TB) *helm {
	t.Helper()
	path := os.Getenv(helmEnv)
	explicit := path != ""
	if !explicit {
		path = repoPath(t, "bin", "helm")
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && !explicit && os.Getenv("CI") == "" {
		t.Skipf("no helm at %s; build it with: make %s (or set %s)", path, path, helmEnv)
	} else if err != nil {
		t.Fatalf("helm: %v; build it with: make %s", err, path)
	}
	dir := t.TempDir()
	return &helm{path: path, env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "HELM_CACHE_HOME=" + dir, "HELM_CONFIG_HOME=" + dir, "HELM_DATA_HOME=" + dir,
	}}
}

// try runs helm and returns its outputs.
func (h *helm) try(args ...string) (stdout, stderr string, err error) {
	cmd := exec.Command(h.path, args...)
	var out, errOut bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = h.env, &out, &errOut
	err = cmd.Run()
	return out.String(), errOut.String(), err
}

func (h *helm) run(t testing.TB, args ...string) string {
	t.Helper()
	out, errOut, err := h.try(args...)
	if err != nil {
		t.Fatalf("helm %s: %v\n%s%s", strings.Join(args, " "), err, out, errOut)
	}
	return out
}

// render returns what the chart makes without a cluster.
func (h *helm) render(t testing.TB, values ...string) []*unstructured.Unstructured {
	t.Helper()
	return parse(t, h.run(t, append([]string{"template", release, chart(t), "-n", "seatkeeper-system", "--kube-version", kubeVersion}, values...)...))
}

var separator = regexp.MustCompile(`(?m)^---$`)

// parse reads documents strictly: a key that is there twice is an error.
func parse(t testing.TB, manifests string) []*unstructured.Unstructured {
	t.Helper()
	var out []*unstructured.Unstructured
	for _, doc := range separator.Split(manifests, -1) {
		obj := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict([]byte(doc), &obj.Object); err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		if len(obj.Object) > 0 {
			out = append(out, obj)
		}
	}
	return out
}

func ofKind(objects []*unstructured.Unstructured, kind string) []*unstructured.Unstructured {
	return slices.DeleteFunc(slices.Clone(objects), func(o *unstructured.Unstructured) bool { return o.GetKind() != kind })
}

func named(t testing.TB, objects []*unstructured.Unstructured, kind, name string) *unstructured.Unstructured {
	t.Helper()
	var have []string
	for _, o := range ofKind(objects, kind) {
		if o.GetName() == name {
			return o
		}
		have = append(have, o.GetName())
	}
	t.Fatalf("no %s %q; there are %v", kind, name, have)
	return nil
}

// deployments returns the Deployments by the name of their container.
func deployments(t testing.TB, objects []*unstructured.Unstructured) map[string]*appsv1.Deployment {
	t.Helper()
	out := map[string]*appsv1.Deployment{}
	for _, o := range ofKind(objects, "Deployment") {
		d := &appsv1.Deployment{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, d, true); err != nil {
			t.Fatalf("Deployment %s: %v", o.GetName(), err)
		}
		out[d.Spec.Template.Spec.Containers[0].Name] = d
	}
	return out
}
