// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/syncer"
)

// Options configure the manager.
type Options struct {
	// RestConfig reaches the API server; nil loads it as kubectl does.
	RestConfig *rest.Config
	// Store is the DSN: sqlite:DIR or postgres://….
	Store string

	// Gateway serves the gateway in this process; with SQLite nothing else can.
	Gateway        bool
	GatewayOptions GatewayOptions

	// ConnectorEndpoints redirects hosts of built-in connectors, AllowedNetworks
	// opens private networks to them (decision 27).
	ConnectorEndpoints map[string]string
	AllowedNetworks    []netip.Prefix

	// Keyring is the file with the keys that seal stored secrets.
	Keyring string

	// PublicURL is where senders of webhooks, and people who answer from an
	// e-mail, reach the gateway; empty if only the user knows.
	PublicURL string

	// PlaintextMailRelays are the host:port of mail servers that may be reached
	// without TLS, wherever they are: relays of the operator's own.
	PlaintextMailRelays []string

	// WatchNamespaces bounds what is looked at; empty is every namespace.
	WatchNamespaces []string
	// ServiceAccount is the manager's own, for the YAML of a missing right.
	ServiceAccount types.NamespacedName

	MetricsBindAddress string
	MetricsSecure      bool
	HealthBindAddress  string
	// PprofBindAddress serves profiles, which show memory to whoever reaches it;
	// empty serves none.
	PprofBindAddress string
	LeaderElect      bool
	// LeaderElectionNamespace holds the lease; empty is the one it runs in.
	LeaderElectionNamespace string

	// StatusInterval is how often changed states are looked for.
	StatusInterval time.Duration
	// SyncWorkers bounds syncs at the same time on this replica.
	SyncWorkers int
	// Workers bounds reconciles at the same time, per kind.
	Workers int

	Log   *slog.Logger
	Clock clock.WithTicker
	// Ready is called when the API server's state was read and work begins.
	Ready func()

	opened func(*store.Store) // tests
}

// GatewayOptions are what the gateway needs when it runs in this process.
type GatewayOptions struct {
	Listen            string
	CertFile, KeyFile string
	// ClientCA is the authority of client certificates that callers may use.
	ClientCA string
	// Proxies are believed when they say for whom they forward.
	Proxies access.Proxies
	// Listening, if not nil, is told the address.
	Listening func(net.Addr)
}

// Defaults of options that are not set.
const (
	defaultStatusInterval = 3 * time.Second
	defaultSyncWorkers    = 4
	defaultWorkers        = 2
	defaultSystemSpace    = "seatkeeper-system"
	defaultAccount        = "seatkeeper-manager"
)

func (o Options) withDefaults() Options {
	if o.StatusInterval <= 0 {
		o.StatusInterval = defaultStatusInterval
	}
	if o.SyncWorkers <= 0 {
		o.SyncWorkers = defaultSyncWorkers
	}
	if o.Workers <= 0 {
		o.Workers = defaultWorkers
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.ServiceAccount.Namespace == "" {
		o.ServiceAccount.Namespace = defaultSystemSpace
	}
	if o.ServiceAccount.Name == "" {
		o.ServiceAccount.Name = defaultAccount
	}
	if o.sqlite() {
		o.LeaderElect = false // one process (decision 6); its lock file is the lease
	}
	return o
}

func (o Options) sqlite() bool { return strings.HasPrefix(o.Store, "sqlite:") }

func (o Options) validate() error {
	if o.Store == "" {
		return errors.New("--store is not set: want sqlite:DIR or postgres://USER@HOST/DATABASE")
	}
	if o.StatusInterval < time.Second/2 {
		return fmt.Errorf("--status-interval %s: must be 500ms or more", o.StatusInterval)
	}
	if o.PprofBindAddress != "" && !loopback(o.PprofBindAddress) {
		return fmt.Errorf("--pprof-bind-address %s: must be a loopback address, because a profile shows what is in memory", o.PprofBindAddress)
	}
	if u, err := url.Parse(o.PublicURL); o.PublicURL != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "") {
		return fmt.Errorf("--public-url %q: want https://HOST, where senders of webhooks and people reach the gateway", o.PublicURL)
	}
	if (o.GatewayOptions.CertFile == "") != (o.GatewayOptions.KeyFile == "") {
		return errors.New("--gateway-cert-file and --gateway-key-file must be set together")
	}
	return nil
}

func loopback(address string) bool {
	p, err := netip.ParseAddrPort(address)
	return err == nil && p.Addr().IsLoopback()
}

// ParseFlags reads the command line. It returns flag.ErrHelp after printing the
// usage.
func ParseFlags(args []string, stderr io.Writer) (Options, error) {
	o := Options{ConnectorEndpoints: map[string]string{}}
	fs := flag.NewFlagSet("manager", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.Store, "store", os.Getenv("SEATKEEPER_STORE"), "the SQL store: `DSN` sqlite:DIR or postgres://USER@HOST/DATABASE (also SEATKEEPER_STORE)")
	fs.StringVar(&o.Keyring, "keyring", "", "`FILE` with the keys that seal stored secrets")
	fs.StringVar(&o.PublicURL, "public-url", "", "https://`HOST` where senders of webhooks and people reach the gateway; without it Secrets of webhooks have the path only, and nobody is asked by e-mail")
	fs.BoolVar(&o.Gateway, "gateway", false, "serve the gateway in this process; with SQLite nothing else can")
	fs.StringVar(&o.GatewayOptions.Listen, "gateway-listen", ":8443", "`ADDRESS` of the gateway")
	fs.StringVar(&o.GatewayOptions.CertFile, "gateway-cert-file", "", "certificate `FILE` of the gateway; without one it serves plain HTTP")
	fs.StringVar(&o.GatewayOptions.KeyFile, "gateway-key-file", "", "key `FILE` of the gateway")
	fs.StringVar(&o.GatewayOptions.ClientCA, "gateway-client-ca", "", "`FILE` with the authority of client certificates, as the API server's --client-ca-file")
	fs.Func("trusted-proxies", "`NETWORKS` such as 10.0.0.0/8,192.0.2.7 of the proxies in front of the gateway; only from these is X-Forwarded-For believed", func(s string) (err error) {
		o.GatewayOptions.Proxies, err = access.ParseProxies(s)
		return err
	})
	fs.Func("connector-endpoint", "`HOST=URL` that replaces a host of built-in connectors; may be repeated", func(s string) error {
		host, base, err := syncer.ParseEndpoint(s)
		o.ConnectorEndpoints[host] = base
		return err
	})
	fs.Func("allowed-network", "private `CIDR` that connectors may reach; may be repeated", func(s string) error {
		p, err := netip.ParsePrefix(s)
		o.AllowedNetworks = append(o.AllowedNetworks, p)
		return err
	})
	fs.Func("plaintext-mail-relay", "`HOST:PORT` of a mail server of your own that may be reached without TLS, also in a private network; may be repeated", func(s string) error {
		if host, port, err := net.SplitHostPort(s); err != nil || host == "" || port == "" {
			return errors.New("want HOST:PORT")
		}
		o.PlaintextMailRelays = append(o.PlaintextMailRelays, s)
		return nil
	})
	fs.Func("watch-namespace", "`NAMESPACE` to look at; may be repeated. Default: all", func(s string) error {
		o.WatchNamespaces = append(o.WatchNamespaces, s)
		return nil
	})
	fs.Func("service-account", "`NAMESPACE:NAME` of the manager's own ServiceAccount, for messages", func(s string) error {
		ns, name, ok := strings.Cut(s, ":")
		if !ok || ns == "" || name == "" {
			return errors.New("want NAMESPACE:NAME")
		}
		o.ServiceAccount = types.NamespacedName{Namespace: ns, Name: name}
		return nil
	})
	fs.StringVar(&o.MetricsBindAddress, "metrics-bind-address", ":8080", "`ADDRESS` of the metrics; 0 serves none")
	fs.BoolVar(&o.MetricsSecure, "metrics-secure", false, "serve metrics by TLS to callers that may read /metrics")
	fs.StringVar(&o.HealthBindAddress, "health-probe-bind-address", ":8081", "`ADDRESS` of /healthz and /readyz; 0 serves none")
	fs.StringVar(&o.PprofBindAddress, "pprof-bind-address", "", "loopback `ADDRESS` of profiles (/debug/pprof); empty serves none")
	fs.BoolVar(&o.LeaderElect, "leader-elect", true, "let one replica at a time write status; always off with SQLite")
	fs.StringVar(&o.LeaderElectionNamespace, "leader-election-namespace", "", "`NAMESPACE` of the lease. Default: the one this runs in")
	fs.DurationVar(&o.StatusInterval, "status-interval", defaultStatusInterval, "how often changes by sync workers are looked for")
	fs.IntVar(&o.SyncWorkers, "sync-workers", defaultSyncWorkers, "syncs at the same time on this replica")
	fs.IntVar(&o.Workers, "workers", defaultWorkers, "reconciles at the same time, per kind")
	format := fs.String("log-format", "json", "json or text")
	level := fs.String("log-level", "info", "debug, info, warn or error")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	var err error
	if o.Log, err = newLogger(stderr, *format, *level); err != nil {
		return o, err
	}
	o = o.withDefaults()
	return o, o.validate()
}

func newLogger(w io.Writer, format, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level %q: want debug, info, warn or error", level)
	}
	ho := &slog.HandlerOptions{Level: l}
	switch format {
	case "json":
		return slog.New(slog.NewJSONHandler(w, ho)), nil
	case "text":
		return slog.New(slog.NewTextHandler(w, ho)), nil
	}
	return nil, fmt.Errorf("--log-format %q: want json or text", format)
}
