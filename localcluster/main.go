// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Localcluster runs a Kubernetes control plane without nodes in one process:
// the upstream API server with an embedded etcd and the controllers that keep
// namespaces, owner references and roles working.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/klog/v2"

	"github.com/seatkeeper/seatkeeper/localcluster/internal/controlplane"
	"github.com/seatkeeper/seatkeeper/localcluster/internal/datadir"
)

// exitTimeout bounds the stop, whatever hangs.
const exitTimeout = 15 * time.Second

func main() {
	// Never given back: a signal during the last moments, such as a Ctrl-C that
	// reached parent and child followed by the parent's own, must not prevent the
	// clean-up.
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

type settings struct {
	controlplane.Options
	dataDir        string
	ephemeral      bool
	exitWithParent bool
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	settings, err := parse(args, stderr)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err != nil:
		complain(stderr, err)
		return 2
	}
	if err := serve(ctx, settings, stdin, stdout); err != nil {
		if settings.LogFile != "" {
			err = fmt.Errorf("%w\nlog: %s", err, settings.LogFile)
		}
		complain(stderr, err)
		return 1
	}
	return 0
}

func complain(stderr io.Writer, err error) {
	// Who cannot be told has the exit code.
	_, _ = fmt.Fprintf(stderr, "localcluster: %v\n", err)
}

func parse(args []string, stderr io.Writer) (*settings, error) {
	s := &settings{}
	flags := pflag.NewFlagSet("localcluster", pflag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.SortFlags = false
	flags.StringVar(&s.dataDir, "data-dir", "", "directory for certificates, kubeconfig and etcd; created if missing (required)")
	flags.StringVar(&s.BindAddress, "bind-address", "127.0.0.1", "IP address to serve on")
	flags.IntVar(&s.SecurePort, "secure-port", 0, "port to serve HTTPS on; 0 means the port of the last start, or any free one")
	flags.StringVar(&s.Kubeconfig, "kubeconfig", "", "kubeconfig to write (default: kubeconfig in the data directory)")
	flags.BoolVar(&s.UnsafeNoFsync, "etcd-unsafe-no-fsync", false, "do not wait for the disk; loses data in a power failure; for tests")
	flags.BoolVar(&s.ephemeral, "ephemeral", false, "remove the data directory, which must be new or empty, at the end")
	flags.StringVar(&s.LogFile, "log-file", "", "file to append the log to (default: standard error)")
	flags.IntVarP(&s.Verbosity, "v", "v", 0, "log verbosity, 0 to 10")
	flags.BoolVar(&s.exitWithParent, "exit-with-parent", false, "stop when the standard input is closed, so that no orphan stays")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q; see --help", flags.Arg(0))
	case s.dataDir == "":
		return nil, errors.New("--data-dir is required; see --help")
	case net.ParseIP(s.BindAddress) == nil:
		return nil, fmt.Errorf("--bind-address is %q, must be an IP address", s.BindAddress)
	case s.SecurePort < 0 || s.SecurePort > 65535:
		return nil, fmt.Errorf("--secure-port is %d, must be 0 to 65535", s.SecurePort)
	}
	for _, path := range []*string{&s.LogFile, &s.Kubeconfig} {
		if *path == "" {
			continue
		}
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return nil, err
		}
		*path = absolute
	}
	return s, nil
}

func serve(ctx context.Context, s *settings, stdin io.Reader, stdout io.Writer) (err error) {
	// Locked before logging is set up: a refused second process must not write
	// into the first one's log.
	dir, err := datadir.Open(s.dataDir, s.ephemeral)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	closeLog, err := setUpLog(s)
	if err != nil {
		return err
	}
	defer closeLog()

	if s.exitWithParent {
		// A parent that died took its end of the pipes with it; writing the log
		// must not end the stop half-way.
		signal.Ignore(syscall.SIGPIPE)
		ctx = untilClosed(ctx, stdin)
	}
	returned := make(chan struct{})
	defer close(returned)
	context.AfterFunc(ctx, func() {
		select {
		case <-returned:
		case <-time.After(exitTimeout):
			os.Exit(1)
		}
	})

	return controlplane.Run(ctx, dir, s.Options, func(info controlplane.Info) error {
		return json.NewEncoder(stdout).Encode(readyLine{
			Ready: true, Server: info.Server, Kubeconfig: info.Kubeconfig, CAFile: info.CAFile, PID: os.Getpid(),
		})
	})
}

// readyLine is the only thing that is ever written to the standard output.
type readyLine struct {
	Ready      bool   `json:"ready"`
	Server     string `json:"server"`
	Kubeconfig string `json:"kubeconfig"`
	CAFile     string `json:"caFile"`
	PID        int    `json:"pid"`
}

func untilClosed(ctx context.Context, stdin io.Reader) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, stdin)
	}()
	return ctx
}

func setUpLog(s *settings) (closeLog func(), err error) {
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	if err := flags.Set("v", strconv.Itoa(s.Verbosity)); err != nil {
		return nil, fmt.Errorf("-v: %w", err)
	}
	if s.LogFile == "" {
		return klog.Flush, nil
	}
	file, err := os.OpenFile(s.LogFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log file: %w", err)
	}
	err = errors.Join(flags.Set("logtostderr", "false"), flags.Set("one_output", "true"), flags.Set("stderrthreshold", "FATAL"),
		debug.SetCrashOutput(file, debug.CrashOptions{}))
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	klog.SetOutput(file)
	return func() {
		klog.Flush()
		_ = file.Close()
	}, nil
}
