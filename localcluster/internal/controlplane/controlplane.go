// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controlplane runs etcd, the Kubernetes API server and a few of
// upstream's controllers in one process.
package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"

	"github.com/seatkeeper/seatkeeper/localcluster/internal/datadir"
)

const (
	readyTimeout  = 2 * time.Minute
	readyInterval = 50 * time.Millisecond
	// requestTimeout is for one question of many; the next may be answered.
	requestTimeout = 10 * time.Second
	// stopTimeout is how long the API server may drain before etcd is closed
	// under it. Closing etcd is always clean.
	stopTimeout = 5 * time.Second
)

// Options are what the command line decides.
type Options struct {
	BindAddress string
	// SecurePort 0 means the port of the last start, or any free one.
	SecurePort int
	// Kubeconfig is the path to write; empty means in the data directory.
	Kubeconfig string
	// UnsafeNoFsync trades durability for speed, for tests.
	UnsafeNoFsync bool
	// LogFile is empty for the standard error stream.
	LogFile   string
	Verbosity int
}

// Info is what a client needs to know about a running control plane.
type Info struct {
	Server     string
	Kubeconfig string
	CAFile     string
}

// Run starts the control plane, calls ready once it serves, and returns after a
// clean stop when the context ends, or with an error when a part fails.
func Run(ctx context.Context, dir *datadir.Dir, opts Options, ready func(Info) error) error {
	err := run(ctx, dir, opts, ready)
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		return nil
	}
	return err
}

// run ends with the cause of the context's end, or with an error.
func run(ctx context.Context, dir *datadir.Dir, opts Options, ready func(Info) error) (err error) {
	listener, err := dir.Listen(opts.BindAddress, opts.SecurePort)
	if err != nil {
		return err
	}
	// The API server closes it too; what matters is that every path does.
	defer func() { _ = listener.Close() }()

	creds, err := ensureCredentials(dir, opts.BindAddress, time.Now)
	if err != nil {
		return err
	}
	etcd, err := startEtcd(ctx, dir, creds, opts)
	if err != nil {
		return err
	}
	defer etcd.Close()

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	address := listener.Addr().(*net.TCPAddr)
	// A context of its own: the API server ends after those who talk to it.
	serverCtx, stopServer := context.WithCancel(context.WithoutCancel(ctx))
	serverDone := make(chan struct{})
	go func() {
		defer close(serverDone)
		if err := runAPIServer(serverCtx, apiServerArgs(dir, creds, etcdEndpoint(etcd), address), listener); err != nil {
			cancel(err)
		}
	}()
	defer func() {
		stopServer()
		select {
		case <-serverDone:
		case <-time.After(stopTimeout):
			klog.InfoS("API server still drained requests when its time was over", "timeout", stopTimeout)
		}
	}()
	go watchEtcd(ctx, etcd, cancel)

	server := serverURL(address)
	config := creds.restConfig(server, creds.admin)
	config.Timeout = requestTimeout
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	if err := poll(ctx, "the API server to be ready", client, serves); err != nil {
		return err
	}
	controllersCtx, stopControllers := context.WithCancel(ctx)
	controllers, err := startControllers(controllersCtx, creds, server)
	if err != nil {
		stopControllers()
		return err
	}
	defer controllers.wait()
	defer stopControllers()

	if err := poll(ctx, "the controllers to do their first work", client, settled); err != nil {
		return err
	}
	if err := announce(dir, creds, opts, server, ready); err != nil {
		return err
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

func announce(dir *datadir.Dir, creds *credentials, opts Options, server string, ready func(Info) error) error {
	kubeconfig := opts.Kubeconfig
	if kubeconfig == "" {
		kubeconfig = dir.Path("kubeconfig")
	}
	if err := creds.writeKubeconfig(kubeconfig, server); err != nil {
		return err
	}
	return ready(Info{Server: server, Kubeconfig: kubeconfig, CAFile: creds.cluster.CertFile})
}

// serverURL is where a client on this machine reaches the address.
func serverURL(address *net.TCPAddr) string {
	host := address.IP.String()
	if address.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "https://" + net.JoinHostPort(host, strconv.Itoa(address.Port))
}

func watchEtcd(ctx context.Context, etcd *embed.Etcd, fail context.CancelCauseFunc) {
	select {
	case <-ctx.Done():
	case err := <-etcd.Err():
		fail(fmt.Errorf("etcd failed: %w", err))
	case <-etcd.Server.StopNotify():
		fail(errors.New("etcd ended by itself"))
	}
}

// poll asks until the check passes, and says what it answered last if it never
// does.
func poll(ctx context.Context, what string, client kubernetes.Interface, check func(context.Context, kubernetes.Interface) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, readyInterval, readyTimeout, true, func(ctx context.Context) (bool, error) {
		last = check(ctx, client)
		return last == nil, nil
	})
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		return fmt.Errorf("waited %s for %s: %w", readyTimeout, what, last)
	}
}

// serves is nil once the server says that it is ready and has created the
// default namespace, which it does after it is ready.
func serves(ctx context.Context, client kubernetes.Interface) error {
	body, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").Param("verbose", "").DoRaw(ctx)
	if err != nil {
		return fmt.Errorf("/readyz: %w\n%s", err, body)
	}
	_, err = client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceDefault, metav1.GetOptions{})
	return err
}

// settled is nil once the roles that are aggregated have rules and the default
// namespace has its service account: a client that comes early would be refused
// what it has a right to.
func settled(ctx context.Context, client kubernetes.Interface) error {
	for _, name := range []string{"view", "edit", "admin"} {
		role, err := client.RbacV1().ClusterRoles().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if len(role.Rules) == 0 {
			return fmt.Errorf("cluster role %s has no rules yet", name)
		}
	}
	_, err := client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
	return err
}
