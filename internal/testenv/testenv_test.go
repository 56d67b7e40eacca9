// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// helperEnv makes the test binary a parent that dies without cleaning up.
const helperEnv = "TESTENV_DIE_AFTER_START"

func TestMain(m *testing.M) { Start(m) }

func clientOf(t *testing.T, config *rest.Config) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestClusterServesTheProjectsKinds(t *testing.T) {
	env := Cluster(t)
	resources, err := discovery.NewDiscoveryClientForConfigOrDie(env.Config).ServerResourcesForGroupVersion("seatkeeper.dev/v1alpha1")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{}
	for _, resource := range resources.APIResources {
		kinds[resource.Kind] = true
	}
	for _, kind := range []string{"Integration", "Application", "LicensePolicy"} {
		if !kinds[kind] {
			t.Errorf("the server does not serve %s; it serves %v", kind, kinds)
		}
	}
}

func TestClusterReturnsACopyOfTheConfiguration(t *testing.T) {
	env := Cluster(t)
	env.Config.Host = "changed by one test"
	if other := Cluster(t); other.Config.Host == env.Config.Host {
		t.Error("another test sees the change")
	}
}

func TestNamespaceIsNewAndDeletedAfterTheTest(t *testing.T) {
	g := gomega.NewWithT(t)
	env := Cluster(t)
	client := clientOf(t, env.Config)
	var name string
	t.Run("test", func(t *testing.T) {
		name = env.Namespace(t)
		if other := env.Namespace(t); other == name {
			t.Errorf("two calls gave the same namespace %s", name)
		}
		if _, err := client.CoreV1().Namespaces().Get(t.Context(), name, metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
	})
	g.Eventually(func() error {
		_, err := client.CoreV1().Namespaces().Get(t.Context(), name, metav1.GetOptions{})
		return err
	}).Should(gomega.MatchError(apierrors.IsNotFound, "IsNotFound"))
}

func TestClientCertIsWhoItSaysAndHasNoMoreRights(t *testing.T) {
	g := gomega.NewWithT(t)
	env := Cluster(t)
	ns := env.Namespace(t)
	config := env.ClientCert(t, "ann@acme.example", "it", "finance")
	ann := clientOf(t, config)

	review, err := ann.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	g.Expect(err).NotTo(gomega.HaveOccurred())
	g.Expect(review.Status.UserInfo.Username).To(gomega.Equal("ann@acme.example"))
	g.Expect(review.Status.UserInfo.Groups).To(gomega.ConsistOf("it", "finance", "system:authenticated"))

	_, err = ann.CoreV1().ConfigMaps(ns).List(t.Context(), metav1.ListOptions{})
	g.Expect(err).To(gomega.MatchError(apierrors.IsForbidden, "IsForbidden"))

	// The rights of the built-in role come from aggregation.
	_, err = clientOf(t, env.Config).RbacV1().RoleBindings(ns).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "finance"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "finance"}},
	}, metav1.CreateOptions{})
	g.Expect(err).NotTo(gomega.HaveOccurred())
	g.Eventually(func() error {
		_, err := ann.CoreV1().ConfigMaps(ns).List(t.Context(), metav1.ListOptions{})
		return err
	}).Should(gomega.Succeed())
	_, err = ann.CoreV1().Secrets(ns).List(t.Context(), metav1.ListOptions{})
	g.Expect(err).To(gomega.MatchError(apierrors.IsForbidden, "IsForbidden"))
	_, err = ann.CoreV1().ConfigMaps(metav1.NamespaceDefault).List(t.Context(), metav1.ListOptions{})
	g.Expect(err).To(gomega.MatchError(apierrors.IsForbidden, "IsForbidden"))
}

func TestWriteKubeconfigIsTheSameIdentityInTheNamespace(t *testing.T) {
	g := gomega.NewWithT(t)
	env := Cluster(t)
	path := env.WriteKubeconfig(t, env.ClientCert(t, "bob@acme.example"), "somewhere")

	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(&clientcmd.ClientConfigLoadingRules{ExplicitPath: path}, nil)
	namespace, _, err := loader.Namespace()
	g.Expect(err).NotTo(gomega.HaveOccurred())
	g.Expect(namespace).To(gomega.Equal("somewhere"))
	config, err := loader.ClientConfig()
	g.Expect(err).NotTo(gomega.HaveOccurred())
	review, err := clientOf(t, config).AuthenticationV1().SelfSubjectReviews().
		Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	g.Expect(err).NotTo(gomega.HaveOccurred())
	g.Expect(review.Status.UserInfo.Username).To(gomega.Equal("bob@acme.example"))
}

func TestServiceAccountTokenAuthenticates(t *testing.T) {
	g := gomega.NewWithT(t)
	env := Cluster(t)
	ns := env.Namespace(t)
	client := clientOf(t, env.Config)
	_, err := client.CoreV1().ServiceAccounts(ns).Create(t.Context(),
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "gateway"}}, metav1.CreateOptions{})
	g.Expect(err).NotTo(gomega.HaveOccurred())
	token, err := client.CoreV1().ServiceAccounts(ns).CreateToken(t.Context(), "gateway", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	g.Expect(err).NotTo(gomega.HaveOccurred())
	review, err := client.AuthenticationV1().TokenReviews().Create(t.Context(),
		&authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token.Status.Token}}, metav1.CreateOptions{})
	g.Expect(err).NotTo(gomega.HaveOccurred())
	g.Expect(review.Status.Authenticated).To(gomega.BeTrue())
	g.Expect(review.Status.User.Username).To(gomega.Equal("system:serviceaccount:" + ns + ":gateway"))
}

func TestMissingBinarySkipsOnlyOutsideCI(t *testing.T) {
	for _, test := range []struct {
		name, ci, binary string
		want             string
	}{
		{name: "workstation", want: "--- SKIP"},
		{name: "gate", ci: "true", want: "--- FAIL"},
		{name: "named but absent", binary: "/nonexistent/localcluster", want: "--- FAIL"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.test\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), testBinary(t), "-test.run=^TestClusterServesTheProjectsKinds$", "-test.v")
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "CI="+test.ci, binaryEnv+"="+test.binary)
			output, _ := cmd.CombinedOutput()
			if !bytes.Contains(output, []byte(test.want)) || !bytes.Contains(output, []byte("make localcluster")) {
				t.Errorf("want %q and the make target to run, got:\n%s", test.want, output)
			}
		})
	}
}

// TestHelperDiesAfterStart is the other half of the next test.
func TestHelperDiesAfterStart(t *testing.T) {
	path := os.Getenv(helperEnv)
	if path == "" {
		t.Skip("only as a child of TestNothingStaysWhenTheTestBinaryIsKilled")
	}
	env := Cluster(t)
	if err := os.WriteFile(path, []byte(filepath.Dir(env.CAFile)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

func TestNothingStaysWhenTheTestBinaryIsKilled(t *testing.T) {
	Cluster(t) // Skips where there is no binary.
	g := gomega.NewWithT(t)
	path := filepath.Join(t.TempDir(), "data-dir")
	cmd := exec.CommandContext(t.Context(), testBinary(t), "-test.run=^TestHelperDiesAfterStart$")
	cmd.Env = append(os.Environ(), helperEnv+"="+path)
	var exit *exec.ExitError
	output, err := cmd.CombinedOutput()
	if !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Fatalf("want the child to be killed, got %v\n%s", err, output)
	}
	dataDir, err := os.ReadFile(path)
	g.Expect(err).NotTo(gomega.HaveOccurred())
	g.Expect(filepath.Base(string(dataDir))).To(gomega.HavePrefix("seatkeeper-testenv-"))
	// The control plane removes its directory as the last thing it does.
	g.Eventually(func() error {
		_, err := os.Stat(string(dataDir))
		return err
	}).Should(gomega.MatchError(fs.ErrNotExist))
}

func TestTailKeepsTheLastLines(t *testing.T) {
	log := &tail{}
	for range logLines + 5 {
		for _, part := range []string{"li", "ne\nnext ", "line\n"} {
			if n, err := log.Write([]byte(part)); n != len(part) || err != nil {
				t.Fatalf("Write(%q) = %d, %v", part, n, err)
			}
		}
	}
	lines := strings.Split(log.String(), "\n")
	if len(lines) != logLines || lines[0] != "line" || lines[logLines-1] != "next line" {
		t.Errorf("got %d lines: %q", len(lines), lines)
	}
}

func testBinary(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
