// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"k8s.io/utils/clock"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/client/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/runmetrics"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/version"
)

// Settings is the command line of cmd/gateway.
type Settings struct {
	Options
	StoreDSN    string
	KeyringFile string
	Metrics     string
}

// ParseFlags reads the command line. It returns flag.ErrHelp after printing the
// usage.
func ParseFlags(args []string, stderr io.Writer) (Settings, error) {
	s := Settings{Options: Options{ConnectorEndpoints: map[string]string{}, Clock: clock.RealClock{}}}
	fs := flag.NewFlagSet("gateway", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&s.StoreDSN, "store", os.Getenv("SEATKEEPER_STORE"), "PostgreSQL `DSN` postgres://USER@HOST/DATABASE (also SEATKEEPER_STORE)")
	fs.StringVar(&s.KeyringFile, "keyring", "", "`FILE` with the keys that seal stored secrets; the manager's")
	fs.StringVar(&s.Listen, "gateway-listen", ":8443", "`ADDRESS` to serve on")
	fs.StringVar(&s.CertFile, "gateway-cert-file", "", "certificate `FILE`; without one it serves plain HTTP")
	fs.StringVar(&s.KeyFile, "gateway-key-file", "", "key `FILE`")
	fs.StringVar(&s.ClientCA, "gateway-client-ca", "", "`FILE` with the authority of client certificates, as the API server's --client-ca-file")
	fs.StringVar(&s.Metrics, "metrics-bind-address", ":8080", "`ADDRESS` of the metrics; 0 serves none")
	fs.Func("connector-endpoint", "`HOST=URL` that replaces a vendor's host; may be repeated", func(v string) error {
		host, base, ok := strings.Cut(v, "=")
		if !ok || host == "" || base == "" {
			return errors.New("want HOST=URL")
		}
		s.ConnectorEndpoints[host] = base
		return nil
	})
	fs.Func("trusted-proxies", "`NETWORKS` such as 10.0.0.0/8,192.0.2.7 of the proxies in front; only from these is X-Forwarded-For believed", func(v string) (err error) {
		s.Proxies, err = access.ParseProxies(v)
		return err
	})
	level := fs.String("log-level", "info", "debug, info, warn or error")
	if err := fs.Parse(args); err != nil {
		return s, err
	}
	var l slog.Level
	if err := l.UnmarshalText([]byte(*level)); err != nil {
		return s, fmt.Errorf("--log-level %q: want debug, info, warn or error", *level)
	}
	s.Log = slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: l}))
	switch {
	case fs.NArg() > 0:
		return s, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case strings.HasPrefix(s.StoreDSN, "sqlite:"):
		return s, errors.New("--store: SQLite serves one process, so the gateway runs inside the manager (`manager --gateway`); use PostgreSQL here")
	case s.StoreDSN == "":
		return s, errors.New("--store is missing: want postgres://USER@HOST/DATABASE")
	case s.KeyringFile == "":
		return s, errors.New("--keyring is missing: want the manager's key file, mounted from its Secret")
	case (s.CertFile == "") != (s.KeyFile == ""):
		return s, errors.New("--gateway-cert-file and --gateway-key-file go together")
	}
	return s, nil
}

// Run opens what the settings name and serves until ctx ends. It never
// migrates: until the manager has, readiness says so.
func Run(ctx context.Context, s Settings) (err error) {
	if s.RestConfig, err = ctrlconfig.GetConfig(); err != nil {
		return fmt.Errorf("find the API server: %w; set KUBECONFIG, or run in a cluster", err)
	}
	if s.Keyring, err = store.LoadKeyring(s.KeyringFile, false); err != nil {
		return err
	}
	opening, cancel := context.WithTimeout(ctx, 30*time.Second)
	s.Store, err = store.Open(opening, store.Options{DSN: s.StoreDSN, Clock: s.Clock})
	cancel()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Store.Close()) }()
	runmetrics.Count(s.Store)
	app, err := New(s.Options)
	if err != nil {
		return err
	}
	if s.Metrics != "0" {
		server, err := metricsserver.NewServer(metricsserver.Options{BindAddress: s.Metrics}, s.RestConfig, nil)
		if err != nil {
			return fmt.Errorf("metrics: %w", err)
		}
		go func() {
			if err := server.Start(ctx); err != nil {
				s.Log.Error("Metrics are no longer served", "error", err)
			}
		}()
	}
	s.Log.Info("Gateway starts", "version", version.Version)
	return app.Start(ctx)
}
