// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"

	"github.com/seatkeeper/seatkeeper/localcluster/internal/datadir"
)

const etcdStartTimeout = 30 * time.Second

// startEtcd starts a single member that only holders of a certificate of its
// own authority can talk to: a loopback port is open to every local user.
func startEtcd(ctx context.Context, dir *datadir.Dir, creds *credentials, opts Options) (*embed.Etcd, error) {
	cfg := embed.NewConfig()
	cfg.Name = "localcluster"
	cfg.Dir = dir.Path("etcd")
	// Port 0: the kernel chooses, the API server asks the listener. A member
	// without peers never dials what it advertises.
	anyPort := []url.URL{{Scheme: "https", Host: "127.0.0.1:0"}}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = anyPort, anyPort
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = anyPort, anyPort
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	tls := transport.TLSInfo{
		CertFile:       creds.etcdServer.CertFile,
		KeyFile:        creds.etcdServer.KeyFile,
		TrustedCAFile:  creds.etcd.CertFile,
		ClientCertAuth: true,
	}
	cfg.ClientTLSInfo, cfg.PeerTLSInfo = tls, tls
	cfg.EnableGRPCGateway = false
	cfg.UnsafeNoFsync = opts.UnsafeNoFsync
	// A lone member elects itself; the default of a second only delays that.
	cfg.TickMs, cfg.ElectionMs = 50, 250
	// Entries between snapshots stay in memory.
	cfg.SnapshotCount, cfg.SnapshotCatchUpEntries = 2000, 500
	// Zero, the default of an embedded member, calls every request slow.
	cfg.WarningUnaryRequestDuration = embed.DefaultWarningUnaryRequestDuration
	cfg.LogLevel = "warn"
	if opts.Verbosity > 2 {
		cfg.LogLevel = "info"
	}
	cfg.LogOutputs = []string{"stderr"}
	if opts.LogFile != "" {
		cfg.LogOutputs = []string{opts.LogFile}
	}

	etcd, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, fmt.Errorf("start etcd in %s: %w", cfg.Dir, err)
	}
	timeout := time.NewTimer(etcdStartTimeout)
	defer timeout.Stop()
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, nil
	case err = <-etcd.Err():
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-timeout.C:
		err = fmt.Errorf("not ready after %s", etcdStartTimeout)
	}
	etcd.Close()
	return nil, fmt.Errorf("start etcd in %s: %w", cfg.Dir, err)
}

func etcdEndpoint(etcd *embed.Etcd) string {
	return "https://" + etcd.Clients[0].Addr().String()
}
