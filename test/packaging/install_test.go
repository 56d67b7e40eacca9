// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package packaging

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

// installation is a release on the embedded control plane.
type installation struct {
	*helm
	env       *testenv.Env
	client    kubernetes.Interface
	namespace string
	tenant    string // bound
	other     string // not bound
	values    []string
}

func install(t *testing.T, mode string) *installation {
	t.Helper()
	in := &installation{helm: newHelm(t), env: testenv.Cluster(t)}
	client, err := kubernetes.NewForConfig(in.env.Config)
	if err != nil {
		t.Fatal(err)
	}
	in.client = client
	in.namespace, in.tenant, in.other = in.env.Namespace(t), in.env.Namespace(t), in.env.Namespace(t)
	restrict(t, client, in.namespace)
	in.values = append([]string{"--set", "tenantNamespaces={" + in.tenant + "}"}, modes[mode]...)
	// The control plane has the CRDs already.
	in.apply(t, "install", "--take-ownership")
	t.Cleanup(func() { _, _, _ = in.try(in.args("uninstall", "--ignore-not-found")...) })
	return in
}

func (in *installation) args(verb string, more ...string) []string {
	return append([]string{verb, release, "-n", in.namespace, "--kubeconfig", in.env.Kubeconfig}, more...)
}

func (in *installation) apply(t *testing.T, verb string, more ...string) {
	t.Helper()
	in.run(t, append(in.args(verb, chart(t), "--wait=false"), append(more, in.values...)...)...)
}

// restrict makes a namespace refuse pods that are not restricted.
func restrict(t *testing.T, client kubernetes.Interface, namespace string) {
	t.Helper()
	patch := `{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted","pod-security.kubernetes.io/enforce-version":"latest"}}}`
	if _, err := client.CoreV1().Namespaces().Patch(t.Context(), namespace, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// createPods creates the pods that the Deployments would: nothing else does so
// on a control plane without nodes.
func createPods(t *testing.T, env *testenv.Env, namespace string, all map[string]*appsv1.Deployment) {
	t.Helper()
	client, err := kubernetes.NewForConfig(env.Config)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Error("no Deployment")
	}
	for name, d := range all {
		pod := &corev1.Pod{ObjectMeta: d.Spec.Template.ObjectMeta, Spec: d.Spec.Template.Spec}
		pod.GenerateName = name + "-"
		// Admission learns of the namespace, its label and its ServiceAccounts
		// through caches.
		gomega.NewWithT(t).Eventually(func() error {
			_, err := client.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: "Strict"})
			return err
		}).Should(gomega.Succeed(), "pod of %s in a restricted namespace", name)
		selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
		if err != nil || !selector.Matches(labels.Set(pod.Labels)) {
			t.Errorf("the selector of %s does not match its pods: %v", name, err)
		}
	}
	loose := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "loose-"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "example.com/x"}}},
	}
	gomega.NewWithT(t).Eventually(func() bool {
		_, err := client.CoreV1().Pods(namespace).Create(t.Context(), loose, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "restricted")
	}).Should(gomega.BeTrue(), "namespace %s admits a pod that is not restricted, so the check above proves nothing", namespace)
}

func TestInstallUpgradeUninstall(t *testing.T) {
	for mode := range modes {
		t.Run(mode, func(t *testing.T) {
			in := install(t, mode)
			objects := parse(t, in.run(t, "get", "manifest", release, "-n", in.namespace, "--kubeconfig", in.env.Kubeconfig))
			createPods(t, in.env, in.namespace, deployments(t, objects))

			in.checkClientCA(t, objects)

			before := in.read(t)
			want := []string{"Secret seatkeeper-keyring", "Secret seatkeeper-gateway-tls", "Deployment seatkeeper-manager"}
			if mode == "sqlite" {
				want = append(want, "PersistentVolumeClaim seatkeeper-store")
			} else {
				want = append(want, "Deployment seatkeeper-gateway")
			}
			for _, name := range want {
				if before[name] == "" {
					t.Errorf("the release lacks %s; it has %v", name, before)
				}
			}
			in.apply(t, "upgrade")
			if diff := cmp.Diff(before, in.read(t)); diff != "" {
				t.Errorf("an upgrade to the same changed resource versions (-before +after):\n%s", diff)
			}

			in.run(t, in.args("uninstall")...)
			after := in.read(t)
			for _, name := range []string{"Secret seatkeeper-keyring", "PersistentVolumeClaim seatkeeper-store"} {
				if after[name] != before[name] {
					t.Errorf("uninstall changed %s: version %q, was %q", name, after[name], before[name])
				}
			}
			if after["Deployment seatkeeper-manager"] != "" {
				t.Error("uninstall left the manager")
			}
			if n := in.crds(t); n != 10 {
				t.Errorf("uninstall left %d CRDs; want 10", n)
			}

			// What was left is taken up again by the next release.
			in.apply(t, "install", "--take-ownership")
			if again := in.read(t); again["Secret seatkeeper-keyring"] == "" {
				t.Error("no keyring after installing again")
			}
			if a, b := in.keyring(t), before["keyring"]; a != b {
				t.Error("installing again replaced the keyring")
			}
		})
	}
}

// state is what an upgrade must not change and an uninstall must leave.
type state map[string]string // object to resourceVersion

func (in *installation) read(t *testing.T) state {
	t.Helper()
	ctx, out := context.Background(), state{}
	add := func(kind string, meta metav1.ObjectMeta, err error) {
		if apierrors.IsNotFound(err) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if meta.DeletionTimestamp == nil {
			out[kind+" "+meta.Name] = meta.ResourceVersion
		}
	}
	for _, name := range []string{release + "-keyring", release + "-gateway-tls"} {
		s, err := in.client.CoreV1().Secrets(in.namespace).Get(ctx, name, metav1.GetOptions{})
		add("Secret", s.ObjectMeta, err)
	}
	out["keyring"] = in.keyring(t)
	pvc, err := in.client.CoreV1().PersistentVolumeClaims(in.namespace).Get(ctx, release+"-store", metav1.GetOptions{})
	add("PersistentVolumeClaim", pvc.ObjectMeta, err)
	all, err := in.client.AppsV1().Deployments(in.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all.Items {
		add("Deployment", d.ObjectMeta, nil)
	}
	return out
}

func (in *installation) crds(t *testing.T) int {
	t.Helper()
	client, err := dynamic.NewForConfig(in.env.Config)
	if err != nil {
		t.Fatal(err)
	}
	all, err := client.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, crd := range all.Items {
		if strings.HasSuffix(crd.GetName(), ".seatkeeper.dev") && crd.GetDeletionTimestamp() == nil {
			n++
		}
	}
	return n
}

func (in *installation) keyring(t *testing.T) string {
	t.Helper()
	s, err := in.client.CoreV1().Secrets(in.namespace).Get(context.Background(), release+"-keyring", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return string(s.Data["keyring"])
}

// checkClientCA wants the gateway to know the authority of the cluster's client
// certificates, so that people whose kubeconfig has one can sign in.
func (in *installation) checkClientCA(t *testing.T, objects []*unstructured.Unstructured) {
	t.Helper()
	want, err := os.ReadFile(in.env.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	cm := named(t, objects, "ConfigMap", release+"-client-ca")
	if got, _, _ := unstructured.NestedString(cm.Object, "data", "ca.crt"); strings.TrimSpace(got) != strings.TrimSpace(string(want)) {
		t.Errorf("the gateway would trust client certificates of another authority:\n%s", got)
	}
	all := deployments(t, objects)
	serving := all["gateway"]
	if serving == nil {
		serving = all["manager"]
	}
	if args := serving.Spec.Template.Spec.Containers[0].Args; !slices.Contains(args, "--gateway-client-ca=/etc/seatkeeper/client-ca/ca.crt") {
		t.Errorf("the gateway is not told of it: %v", args)
	}
}
