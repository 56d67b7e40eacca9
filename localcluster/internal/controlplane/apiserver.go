// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"

	"github.com/seatkeeper/seatkeeper/localcluster/internal/datadir"
)

// apiServerArgs are upstream's own flags, so that its documentation applies.
func apiServerArgs(dir *datadir.Dir, creds *credentials, etcdServer string, address *net.TCPAddr) []string {
	return []string{
		"--bind-address=" + address.IP.String(),
		"--secure-port=" + strconv.Itoa(address.Port),
		// Nothing reaches the server by its service, and without an advertised
		// address upstream looks for a default route, which a laptop may lack.
		"--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none",
		"--cert-dir=" + dir.Path("pki"),
		"--tls-cert-file=" + creds.serving.CertFile,
		"--tls-private-key-file=" + creds.serving.KeyFile,
		"--client-ca-file=" + creds.cluster.CertFile,

		"--etcd-servers=" + etcdServer,
		"--etcd-cafile=" + creds.etcd.CertFile,
		"--etcd-certfile=" + creds.etcdClient.CertFile,
		"--etcd-keyfile=" + creds.etcdClient.KeyFile,

		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-signing-key-file=" + creds.saKeyFile,
		"--service-account-key-file=" + creds.saKeyFile,
		"--service-cluster-ip-range=" + serviceRange,

		"--requestheader-client-ca-file=" + creds.frontProxy.CertFile,
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + creds.frontProxyAgent.CertFile,
		"--proxy-client-key-file=" + creds.frontProxyAgent.KeyFile,

		"--allow-privileged=true",
		"--profiling=false",
		// Watches are told to end, or a stop would wait for them until the
		// request timeout of a minute.
		"--shutdown-watch-termination-grace-period=1s",
	}
}

// runAPIServer serves until the context ends.
func runAPIServer(ctx context.Context, args []string, listener net.Listener) error {
	opts := options.NewServerRunOptions()
	flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, set := range opts.Flags().FlagSets {
		flags.AddFlagSet(set)
	}
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("configure API server: %w", err)
	}
	if err := opts.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return fmt.Errorf("configure API server: %w", err)
	}
	if version, known := upstreamVersion(); known {
		opts.GenericServerRunOptions.ComponentGlobalsRegistry = versionedRegistry{
			ComponentGlobalsRegistry: opts.GenericServerRunOptions.ComponentGlobalsRegistry, gitVersion: version,
		}
	}
	opts.SecureServing.Listener = listener
	completed, err := opts.Complete(ctx)
	if err != nil {
		return fmt.Errorf("configure API server: %w", err)
	}
	if errs := completed.Validate(); len(errs) != 0 {
		return fmt.Errorf("configure API server: %w", utilerrors.NewAggregate(errs))
	}
	if err := app.Run(ctx, completed); err != nil {
		return fmt.Errorf("run API server: %w", err)
	}
	if ctx.Err() == nil {
		return errors.New("API server ended by itself")
	}
	return nil
}
