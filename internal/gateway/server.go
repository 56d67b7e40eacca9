// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gateway is the HTTP side of Seatkeeper: the query API, Slack's
// callbacks and health. Handlers live in subpackages, which declare the
// interfaces they need; this package is the server around them.
package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/certwatcher"

	"github.com/seatkeeper/seatkeeper/internal/defect"
)

// Limits of every connection. Handlers that take large bodies extend the read
// deadline themselves.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 2 * time.Minute
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 16 << 10
	drainTimeout      = 20 * time.Second
)

// ServerOptions says where to listen and with what certificate.
type ServerOptions struct {
	Listen            string // host:port
	CertFile, KeyFile string // both empty: plain HTTP, for a proxy that ends TLS
	Log               *slog.Logger
}

// Serve listens until ctx ends, then lets requests that are running finish.
// ready, if not nil, is called with the address once connections are accepted.
func Serve(ctx context.Context, o ServerOptions, handler http.Handler, ready func(net.Addr)) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return fmt.Errorf("gateway cannot listen on %s: %w", o.Listen, err)
	}
	if o.CertFile != "" {
		watcher, err := certwatcher.New(o.CertFile, o.KeyFile)
		if err != nil {
			_ = listener.Close()
			return fmt.Errorf("gateway certificate %s: %w", o.CertFile, err)
		}
		go func() {
			if err := watcher.Start(ctx); err != nil {
				o.Log.Error("The gateway's certificate is no longer watched for changes", "error", err)
			}
		}()
		listener = tls.NewListener(listener, &tls.Config{
			MinVersion:     tls.VersionTLS12,
			GetCertificate: watcher.GetCertificate,
			NextProtos:     []string{"h2", "http/1.1"},
			// Callers without a certificate are told so by the handlers.
			ClientAuth: tls.RequestClientCert,
		})
	}
	server := &http.Server{
		Handler:           measure(protect(handler, o.Log)),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	if ready != nil {
		ready(listener.Addr())
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("gateway stopped serving: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := server.Shutdown(drain); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("gateway closed connections that did not finish in %s: %w", drainTimeout, err)
	}
	return nil
}

// protect adds security headers and turns a panic into a 500 that says
// nothing about its cause.
func protect(next http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == http.ErrAbortHandler { //nolint:errorlint // recover returns any, and the sentinel is compared by identity as net/http does
				panic(p) // net/http cuts the answer off
			}
			if p != nil {
				// The route's pattern, never the path: a path may hold a credential.
				log.Error("A gateway handler panicked", append([]any{"route", r.Pattern}, defect.Attrs(defect.Caught(p))...)...)
				w.WriteHeader(http.StatusInternalServerError)
			}
		}()
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		if r.TLS != nil {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}
