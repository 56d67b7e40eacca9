// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
)

// start serves a handler until the test ends and returns its address.
func start(t *testing.T, h http.Handler) (string, context.CancelFunc, <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	address, done := make(chan net.Addr, 1), make(chan error, 1)
	go func() {
		done <- Serve(ctx, ServerOptions{Listen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)}, h, func(a net.Addr) { address <- a })
	}()
	select {
	case a := <-address:
		return "http://" + a.String(), cancel, done
	case err := <-done:
		t.Fatal(err)
	}
	return "", cancel, done
}

func TestPanicIsContainedAndCounted(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /boom/{secret}", func(http.ResponseWriter, *http.Request) { panic("private detail") })
	mux.HandleFunc("GET /half", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("half of an answer"))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	url, _, _ := start(t, access.Proxies{}.Handler(mux)) // as the gateway does
	before := testutil.ToFloat64(requests.WithLabelValues("GET /boom/{secret}", "500"))
	for range 2 { // the second proves that the first did not end the server
		resp, err := http.Get(url + "/boom/s3cret")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusInternalServerError {
			t.Errorf("status %d", resp.StatusCode)
		}
		for _, h := range []string{"X-Content-Type-Options", "Content-Security-Policy", "Referrer-Policy"} {
			if resp.Header.Get(h) == "" {
				t.Errorf("no header %s", h)
			}
		}
	}
	if got := testutil.ToFloat64(requests.WithLabelValues("GET /boom/{secret}", "500")) - before; got != 2 {
		t.Errorf("counted %v requests of the route, want 2", got)
	}
	// An answer that is given up is cut off, and does not pass for a whole one.
	resp, err := http.Get(url + "/half")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("%q passes for a whole answer", body)
	}
}

// TestStopFinishesWhatRuns is the graceful stop: a request that is being served
// ends normally.
func TestStopFinishesWhatRuns(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /slow", func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = w.Write([]byte("done"))
	})
	url, cancel, done := start(t, mux)
	answered := make(chan error, 1)
	go func() {
		resp, err := http.Get(url + "/slow")
		if err == nil {
			_ = resp.Body.Close()
		}
		answered <- err
	}()
	<-entered
	cancel()
	close(release)
	if err := <-answered; err != nil {
		t.Errorf("the request was cut off: %v", err)
	}
	if err := <-done; err != nil {
		t.Errorf("stop: %v", err)
	}
}

func TestBusyPortIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	err = Serve(t.Context(), ServerOptions{Listen: l.Addr().String(), Log: slog.New(slog.DiscardHandler)}, http.NotFoundHandler(), nil)
	if err == nil || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("%v does not name the address", err)
	}
}
