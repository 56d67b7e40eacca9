// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package testenv gives a test a real Kubernetes API server with the project's
// custom resource definitions. Every test binary has one control plane of its
// own, started by the first test that asks for it; every test has a namespace.
//
//	func TestMain(m *testing.M) { testenv.Start(m) }
//
//	func TestReconcile(t *testing.T) {
//		env := testenv.Cluster(t)
//		ns := env.Namespace(t)
//		…
//	}
//
// To wait for something, use gomega's Eventually: Start sets its default
// timeout and interval to what an API server needs.
package testenv

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	eventuallyTimeout  = 30 * time.Second
	eventuallyInterval = 25 * time.Millisecond
	requestTimeout     = 30 * time.Second
)

// Env is a running control plane, shared by the tests of one binary.
type Env struct {
	// Config authenticates as a cluster administrator, without a client-side
	// rate limit. It is a copy that the caller may change.
	Config *rest.Config
	// Kubeconfig is the path of the administrator's kubeconfig.
	Kubeconfig string
	// CAFile is the path of the authority that signed the server's certificate
	// and that the server accepts client certificates of.
	CAFile string
}

// shared is the control plane of this test binary.
var shared struct {
	sync.Mutex
	running bool // TestMain uses this package.
	started bool
	process *process
	err     error
}

// TestingM is what this package needs of testing.M.
type TestingM interface{ Run() int }

type runner struct{ tests TestingM }

// Start runs the tests, stops the control plane if one was started, and exits.
// It is all of a package's TestMain.
func Start(m TestingM) { os.Exit(Wrap(m).Run()) }

// Wrap returns a runner that stops the control plane after the tests, for a
// TestMain that must hand its tests to another package, such as testscript.
func Wrap(m TestingM) TestingM { return runner{tests: m} }

// Run implements TestingM.
func (r runner) Run() int {
	gomega.SetDefaultEventuallyTimeout(eventuallyTimeout)
	gomega.SetDefaultEventuallyPollingInterval(eventuallyInterval)

	shared.Lock()
	shared.running = true
	shared.Unlock()
	defer func() {
		shared.Lock()
		defer shared.Unlock()
		if shared.process != nil {
			shared.process.stop()
		}
	}()
	return r.tests.Run()
}

// Cluster returns the control plane of this test binary and starts it at the
// first call. If the localcluster binary has not been built, the test is
// skipped, but fails where CI is set.
func Cluster(t testing.TB) *Env {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if !shared.running {
		t.Fatal("the package needs: func TestMain(m *testing.M) { testenv.Start(m) }")
	}
	first := !shared.started
	if first {
		shared.started = true
		shared.process, shared.err = start()
	}
	var missing *binaryMissingError
	switch {
	case errors.As(shared.err, &missing) && os.Getenv("CI") == "" && !missing.explicit:
		t.Skip(shared.err)
	case shared.err != nil && !first:
		t.Fatal("the control plane did not start; the first test that asked for it says why")
	case shared.err != nil:
		t.Fatal(shared.err)
	}
	env := shared.process.env
	env.Config = rest.CopyConfig(env.Config)
	return &env
}

// Namespace creates a namespace with a new name and has it deleted after the
// test. Nobody waits for the deletion to finish.
func (e *Env) Namespace(t testing.TB) string {
	t.Helper()
	client, err := kubernetes.NewForConfig(e.Config)
	if err != nil {
		t.Fatalf("create client: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), requestTimeout)
	defer cancel()
	created, err := client.CoreV1().Namespaces().Create(ctx,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create namespace: %v", err)
	}
	t.Cleanup(func() {
		// The test's own context has ended by now.
		ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
		defer cancel()
		if err := client.CoreV1().Namespaces().Delete(ctx, created.Name, metav1.DeleteOptions{}); err != nil {
			t.Logf("delete namespace %s: %v", created.Name, err)
		}
	})
	return created.Name
}
