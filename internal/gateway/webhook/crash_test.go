// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/gateway/webhook"
	"github.com/seatkeeper/seatkeeper/internal/ratelimit"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

const (
	envChild = "SEATKEEPER_CRASH_CHILD" // gateway or drainer
	envDSN   = "SEATKEEPER_CRASH_DSN"
	envRing  = "SEATKEEPER_CRASH_KEYRING"
)

// TestMain lets tests run a gateway or a drainer in a process of its own, to kill
// it in the middle.
func TestMain(m *testing.M) {
	switch os.Getenv(envChild) {
	case "gateway":
		childGateway()
	case "drainer":
		childDrainer()
	default:
		os.Exit(m.Run())
	}
	os.Exit(3) // it was to be killed
}

func child() (*store.Store, *store.Keyring) {
	s, err := store.Open(context.Background(), store.Options{DSN: os.Getenv(envDSN)})
	if err != nil {
		panic(err)
	}
	ring, err := store.LoadKeyring(os.Getenv(envRing), false)
	if err != nil {
		panic(err)
	}
	return s, ring
}

// childGateway serves until it is killed, and prints its address.
func childGateway() {
	s, ring := child()
	h := &webhook.Handler{Endpoints: &webhook.Endpoints{Store: s, Keyring: ring, Manifest: manifest, Clock: clock.RealClock{}},
		Inbox: s, Limiter: ratelimit.NewMemory(clock.RealClock{}), Clock: clock.RealClock{}, Log: slog.New(slog.DiscardHandler),
		Limits: webhook.Limits{Address: ratelimit.Rate{Count: 1e6, Per: time.Second}, Endpoint: ratelimit.Rate{Count: 1e6, Per: time.Second}}}
	mux := http.NewServeMux()
	h.Register(mux)
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	panic(server.Serve(l))
}

// childDrainer dies between the commit of what events say and that of their end.
func childDrainer() {
	s, ring := child()
	failpoint.Set(func(name string) {
		if name == webhook.AppliedNotFinished {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	})
	d := webhook.NewDrainer(webhook.Drainer{Store: s, Keyring: ring, Manifest: manifest, Clock: clock.RealClock{}, Log: slog.New(slog.DiscardHandler)})
	panic(d.Drain(context.Background()))
}

// process is a child that a test kills.
type process struct {
	*exec.Cmd
	out io.Reader
}

func (w *world) spawn(kind, dsn, ring string) process {
	w.Helper()
	cmd := exec.Command(os.Args[0]) //nolint:gosec // this test itself
	cmd.Env = append(os.Environ(), envChild+"="+kind, envDSN+"="+dsn, envRing+"="+ring)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	w.must(err)
	w.must(cmd.Start())
	w.Cleanup(func() { _ = cmd.Process.Kill() })
	return process{cmd, out}
}

func (w *world) killed(p process) {
	w.Helper()
	var exit *exec.ExitError
	err := p.Wait()
	if !errors.As(err, &exit) {
		w.Fatalf("the child ended with %v", err)
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		w.Fatalf("the child was not killed: %v", err)
	}
}

// eachProcess is each for tests whose store another process opens as well.
func eachProcess(t *testing.T, fn func(w *world, dsn, ring string, reopen func())) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs child processes")
	}
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := &world{T: t}
		ring := filepath.Join(t.TempDir(), "keyring")
		reopen := func() {
			if w.s != nil {
				w.must(w.s.Close())
			}
			w.s = storetest.Open(t, dsn)
		}
		reopen()
		var err error
		w.ring, err = store.LoadKeyring(ring, true)
		w.must(err)
		w.tenant, err = w.s.EnsureTenant(t.Context(), "acme")
		w.must(err)
		fn(w, dsn, ring, func() { reopen(); w.drainer = w.realDrainer() })
	})
}

func (w *world) realDrainer() *webhook.Drainer {
	return webhook.NewDrainer(webhook.Drainer{Store: w.s, Keyring: w.ring, Manifest: manifest, Clock: clock.RealClock{}, Log: slog.New(slog.DiscardHandler)})
}

// On SQLite what an event says and that it was handled are two files. A drainer
// that dies between the two neither loses the event nor stores it twice.
func TestDrainerDiesBetweenFiles(t *testing.T) {
	eachProcess(t, func(w *world, dsn, ring string, reopen func()) {
		const events = 25
		w.workflow("open", connector.GenericWebhook{}, "")
		hook := store.Hook{OwnerKind: "Workflow", OwnerName: "open"}
		for i := range events {
			_, err := w.s.ReceiveEvent(w.Context(), store.Event{Tenant: w.tenant, Endpoint: hook.Endpoint(), DedupeKey: fmt.Sprint(i), Body: fmt.Appendf(nil, `{"n":%d}`, i)})
			w.must(err)
		}
		w.must(w.s.Close())
		w.s = nil
		for range 2 {
			w.killed(w.spawn("drainer", dsn, ring))
		}
		reopen()
		if waiting, _ := w.waiting(); waiting != events {
			w.Fatalf("%d of %d events wait", waiting, events)
		}
		if got := w.events(); len(got) != events {
			w.Fatalf("%d of %d events", len(got), events)
		}
		if waiting, dead := w.waiting(); waiting != 0 || dead != 0 {
			w.Fatalf("%d wait, %d are dead", waiting, dead)
		}
	})
}

// Ten thousand events are sent at once, and the gateway is killed in the middle.
// Whatever it acknowledged is there, once; what it did not is sent again.
func TestBurstSurvivesKill(t *testing.T) {
	const events, senders = 10_000, 64
	eachProcess(t, func(w *world, dsn, ring string, reopen func()) {
		signature := connector.GenericWebhook{Signature: &connector.GenericSignature{Header: "X-Sig"}, Dedupe: "${body.id}"}
		path := w.workflow("open", signature, "sesame")
		hook, err := connector.NewWebhook(signature)
		w.must(err)
		w.must(w.s.Close())
		w.s = nil

		var mu sync.Mutex
		acknowledged := map[int]string{}
		transport := &http.Transport{MaxIdleConnsPerHost: senders}
		send := func(address string, i int) error {
			body := fmt.Sprintf(`{"id":%d,"pad":%q}`, i, strings.Repeat("x", 200))
			in := connector.WebhookRequest{Header: http.Header{}, Body: []byte(body)}
			if err := hook.Prove(w.Context(), &in, map[string]string{connector.GenericKey: "sesame"}, time.Now()); err != nil {
				return err
			}
			r, err := http.NewRequestWithContext(w.Context(), http.MethodPost, "http://"+address+path, strings.NewReader(body))
			if err != nil {
				return err
			}
			r.Header = in.Header
			resp, err := transport.RoundTrip(r)
			if err != nil {
				return err
			}
			defer func() { _ = resp.Body.Close() }()
			raw, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusAccepted {
				return fmt.Errorf("%d %s %w", resp.StatusCode, raw, err)
			}
			mu.Lock()
			defer mu.Unlock()
			id := strings.Split(string(raw), `"`)[3]
			if before := acknowledged[i]; before != "" && before != id {
				return fmt.Errorf("event %d is known as %s and %s", i, before, id)
			}
			acknowledged[i] = id
			return nil
		}
		// burst sends what is not acknowledged yet, and kills the gateway when
		// half of it is, if told to.
		burst := func(kill bool) (refused int64) {
			p := w.spawn("gateway", dsn, ring)
			address, err := bufio.NewReader(p.out).ReadString('\n')
			w.must(err)
			todo := make(chan int, events)
			for i := range events {
				if acknowledged[i] == "" {
					todo <- i
				}
			}
			close(todo)
			half := int64(len(todo) / 2)
			var sent, failed atomic.Int64
			var wait sync.WaitGroup
			for range senders {
				wait.Go(func() {
					for i := range todo {
						if err := send(strings.TrimSpace(address), i); err != nil {
							failed.Add(1)
						} else if sent.Add(1) == half && kill {
							_ = p.Process.Kill()
						}
					}
				})
			}
			wait.Wait()
			_ = p.Process.Kill()
			w.killed(p)
			return failed.Load()
		}
		start := time.Now()
		if n := burst(true); n == 0 {
			w.Error("nobody noticed that the gateway was killed")
		}
		first := len(acknowledged)
		reopen()
		// Each acknowledged event is there before anything is sent again.
		for i, id := range acknowledged {
			if e, err := w.s.ReceivedEvent(w.Context(), w.tenant, id); err != nil || e.State != store.EventNew {
				w.Fatalf("acknowledged event %d: %v", i, err)
			}
		}
		w.must(w.s.Close())
		w.s = nil
		if n := burst(false); n != 0 {
			w.Errorf("%d events were refused", n)
		}
		reopen()
		w.must(w.drainer.Drain(w.Context()))
		total := 0
		for {
			got, err := w.s.NewEvents(w.Context(), w.tenant, 1000)
			w.must(err)
			if len(got) == 0 {
				break
			}
			ids := make([]string, len(got))
			for i, e := range got {
				ids[i] = e.ID
			}
			w.must(w.s.MarkEventsHandled(w.Context(), w.tenant, ids))
			total += len(got)
		}
		if len(acknowledged) != events || total != events {
			w.Errorf("%d acknowledged and %d stored of %d", len(acknowledged), total, events)
		}
		w.Logf("%d acknowledged before the kill; all %d in %s", first, events, time.Since(start).Round(time.Millisecond))
	})
}
