// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	certutil "k8s.io/client-go/util/cert"
)

// writeCert replaces the pair in dir with a new one of that name, whose
// certificate it returns.
func writeCert(t *testing.T, dir, name string) []byte {
	t.Helper()
	cert, key, err := certutil.GenerateSelfSignedCertKey(name, []net.IP{net.IPv4(127, 0, 0, 1)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for file, data := range map[string][]byte{"tls.crt": cert, "tls.key": key} {
		// As a mounted Secret: the file appears whole.
		if err := os.WriteFile(filepath.Join(dir, file+".new"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, file+".new"), filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
	}
	return cert
}

// startTLS serves with the pair in dir until the test ends.
func startTLS(t *testing.T, dir string, h http.Handler) (address string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	at, done := make(chan net.Addr, 1), make(chan error, 1)
	go func() {
		done <- Serve(ctx, ServerOptions{
			Listen: "127.0.0.1:0", CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key"), Log: slog.New(slog.DiscardHandler),
		}, h, func(a net.Addr) { at <- a })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case a := <-at:
		return a.String()
	case err := <-done:
		done <- nil
		t.Fatal(err)
	}
	return ""
}

func dial(address string, cert []byte, maxVersion uint16) (*tls.Conn, error) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	d := &tls.Dialer{Config: &tls.Config{RootCAs: roots, MaxVersion: maxVersion}} //nolint:gosec // an old version is the point of one test
	conn, err := d.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return conn.(*tls.Conn), nil
}

// TestCertificateIsReloaded renews a certificate under a server that goes on.
func TestCertificateIsReloaded(t *testing.T) {
	dir := t.TempDir()
	writeCert(t, dir, "first.example")
	address := startTLS(t, dir, http.NotFoundHandler())
	renewed := writeCert(t, dir, "second.example")
	deadline := time.Now().Add(30 * time.Second)
	for {
		conn, err := dial(address, renewed, 0)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("30 s after the renewal: %v", err)
		}
		time.Sleep(20 * time.Millisecond) // the files are watched by the kernel's events
	}
}

// TestOldTLSIsRefused holds the floor that identity providers demand.
func TestOldTLSIsRefused(t *testing.T) {
	dir := t.TempDir()
	cert := writeCert(t, dir, "gateway.example")
	address := startTLS(t, dir, http.NotFoundHandler())
	if conn, err := dial(address, cert, tls.VersionTLS11); err == nil {
		_ = conn.Close()
		t.Error("TLS 1.1 was accepted")
	}
	conn, err := dial(address, cert, tls.VersionTLS12)
	if err != nil {
		t.Fatalf("TLS 1.2: %v", err)
	}
	_ = conn.Close()
}

// TestLargeHeadersAreRefused bounds what a caller without any identity can make
// the server keep.
func TestLargeHeadersAreRefused(t *testing.T) {
	url, _, _ := start(t, http.NotFoundHandler())
	for size, want := range map[int]int{maxHeaderBytes / 2: http.StatusNotFound, 2 * maxHeaderBytes: http.StatusRequestHeaderFieldsTooLarge} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+strings.Repeat("x", size))
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(fmt.Errorf("%d bytes: %w", size, err))
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%d bytes of header: %d, want %d", size, resp.StatusCode, want)
		}
	}
}
