// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx" of the reference
	"k8s.io/utils/clock"
	_ "modernc.org/sqlite" // and the driver "sqlite"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/gateway/webhook"
	"github.com/seatkeeper/seatkeeper/internal/ratelimit"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

const (
	benchConns      = 64
	benchDeliveries = 20_000
	benchBody       = 1 << 10
	benchRounds     = 5
)

// BenchmarkAcknowledge acknowledges signed deliveries of 1 KiB over 64
// connections, against the least that could be durable: a handler that inserts
// the bytes and answers, several to a commit, on the same store in the same run.
// The two take turns for five rounds, and the middle one counts.
func BenchmarkAcknowledge(b *testing.B) {
	for _, dialect := range []string{"SQLite", "PostgreSQL"} {
		for _, ids := range []struct {
			name string
			id   func() (uuid.UUID, error)
		}{{"ids by time", uuid.NewV7}, {"random ids", uuid.NewRandom}} {
			b.Run(dialect+"/"+ids.name, func(b *testing.B) {
				dsn := storetest.SQLite(b)
				if dialect == "PostgreSQL" {
					dsn = storetest.Postgres(b)
				}
				ours, secrets, hook, path := benchGateway(b, dsn)
				raw := rawServer(b, dsn)
				requests := benchRequests(b, hook, secrets, ids.id)
				rounds := make([]round, benchRounds)
				for i := range rounds {
					rounds[i].raw = drive(b, raw, "/", requests, i)
					rounds[i].ours = drive(b, ours, path, requests, i)
				}
				report(b, dialect, ids.name, rounds)
			})
		}
	}
}

// round is one measurement of each, one after the other.
type round struct{ ours, raw run }

// report prints the rounds whose ratios are the middle ones: the machine may
// be slower in one round than in another.
func report(b *testing.B, dialect, ids string, rounds []round) {
	b.Helper()
	middle := func(ratio func(round) float64) round {
		slices.SortFunc(rounds, func(x, y round) int { return cmp.Compare(ratio(x), ratio(y)) })
		return rounds[len(rounds)/2]
	}
	what := fmt.Sprintf("%d signed, 1 KiB, %d connections, %s", benchDeliveries, benchConns, ids)
	byRate := func(r round) float64 { return r.ours.rate / r.raw.rate }
	m := middle(byRate)
	b.ReportMetric(m.ours.rate, "acks/s")
	b.ReportMetric(byRate(m), "of-raw")
	fmt.Printf("| %s: webhook acknowledgements vs raw durable insert | %s | %.0f/s | %.0f/s | **%.2f** |\n", dialect, what, m.ours.rate, m.raw.rate, byRate(m))
	byP99 := func(r round) float64 { return float64(r.ours.p99) / float64(r.raw.p99) }
	m = middle(byP99)
	fmt.Printf("| %s: webhook acknowledgement p99 vs raw durable insert | %s | %s | %s | **%.2f** |\n", dialect, what,
		m.ours.p99.Round(10*time.Microsecond), m.raw.p99.Round(10*time.Microsecond), byP99(m))
}

// benchGateway serves a Workflow's address whose deliveries are signed by
// Standard Webhooks.
func benchGateway(b *testing.B, dsn string) (address string, secrets map[string]string, hook *connector.Webhook, path string) {
	b.Helper()
	s := storetest.Open(b, dsn)
	tenant, err := s.EnsureTenant(b.Context(), "acme")
	fatal(b, err)
	ring, err := store.LoadKeyring(filepath.Join(b.TempDir(), "keyring"), true)
	fatal(b, err)
	secrets = map[string]string{connector.GenericKey: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
	fatal(b, s.PutSigningSecrets(b.Context(), ring, tenant, store.WorkflowSigning("bench"), secrets))
	token, err := store.NewEndpointToken(tenant)
	fatal(b, err)
	fatal(b, s.PutEndpoints(b.Context(), ring, tenant, "Workflow", "bench", "uid", []store.EndpointSpec{{Token: token, Config: []byte(`{"signature":{"standard":true,"maxSkew":3600000000000}}`)}}))
	hook, err = connector.NewWebhook(connector.GenericWebhook{Signature: &connector.GenericSignature{Standard: true}})
	fatal(b, err)
	unlimited := ratelimit.Rate{Count: 1e6, Per: time.Second}
	h := &webhook.Handler{Endpoints: &webhook.Endpoints{Store: s, Keyring: ring, Manifest: manifest, Clock: clock.RealClock{}}, Inbox: s,
		Limiter: ratelimit.NewMemory(clock.RealClock{}), Limits: webhook.Limits{Address: unlimited, Endpoint: unlimited},
		Clock: clock.RealClock{}, Log: slog.New(slog.DiscardHandler)}
	mux := &access.Router{Refusals: access.NewRefusals(s, clock.RealClock{}, h.Log)}
	h.Register(mux)
	return listen(b, mux), secrets, hook, "/hooks/" + token
}

// rawServer is the reference: it knows neither endpoints nor signatures.
func rawServer(b *testing.B, dsn string) string {
	b.Helper()
	driver, placeholder, create := "pgx", "($%d,$%d)", `CREATE TABLE raw_insert (id BIGINT, body BYTEA)`
	source := dsn
	if dir, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		driver, placeholder, create = "sqlite", "(?,?)", `CREATE TABLE raw_insert (id BIGINT, body BLOB)`
		source = "file:" + filepath.Join(dir, "raw.db") + "?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"
	}
	db, err := sql.Open(driver, source)
	fatal(b, err)
	b.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	_, err = db.ExecContext(b.Context(), create)
	fatal(b, err)
	type row struct {
		body []byte
		done chan error
	}
	rows := make(chan row, 4*benchConns)
	ctx, cancel := context.WithCancel(context.Background())
	b.Cleanup(cancel)
	go func() { // all that wait share a commit
		for n := int64(0); ; {
			var batch []row
			select {
			case r := <-rows:
				batch = append(batch, r)
			case <-ctx.Done():
				return
			}
			for more := true; more && len(batch) < 256; {
				select {
				case r := <-rows:
					batch = append(batch, r)
				default:
					more = false
				}
			}
			var values []string
			var args []any
			for _, r := range batch {
				n++
				if driver == "pgx" {
					values = append(values, fmt.Sprintf(placeholder, len(args)+1, len(args)+2))
				} else {
					values = append(values, placeholder)
				}
				args = append(args, n, r.body)
			}
			_, err := db.ExecContext(ctx, `INSERT INTO raw_insert VALUES `+strings.Join(values, ","), args...)
			for _, r := range batch {
				r.done <- err
			}
		}
	}()
	return listen(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			done := make(chan error, 1)
			rows <- row{body, done}
			err = <-done
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}))
}

func listen(b *testing.B, h http.Handler) string {
	b.Helper()
	l, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	fatal(b, err)
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	b.Cleanup(func() { _ = server.Close() })
	return "http://" + l.Addr().String()
}

type request struct {
	header http.Header
	body   []byte
}

// benchRequests signs beforehand: what is measured is who verifies.
func benchRequests(b *testing.B, hook *connector.Webhook, secrets map[string]string, newID func() (uuid.UUID, error)) []request {
	b.Helper()
	pad := strings.Repeat("x", benchBody-60)
	out := make([]request, benchDeliveries*benchRounds)
	for i := range out {
		id, err := newID()
		fatal(b, err)
		in := connector.WebhookRequest{Header: http.Header{"Webhook-Id": {id.String()}, "Content-Type": {"application/json"}},
			Body: fmt.Appendf(nil, `{"event":"employee.created","n":%8d,"pad":%q}`, i, pad)}
		fatal(b, hook.Prove(b.Context(), &in, secrets, time.Now()))
		out[i] = request{in.Header, in.Body}
	}
	return out
}

type run struct {
	rate float64
	p99  time.Duration
}

// drive sends one round of deliveries over 64 connections.
func drive(b *testing.B, address, path string, all []request, nth int) run {
	b.Helper()
	requests := all[nth*benchDeliveries : (nth+1)*benchDeliveries]
	transport := &http.Transport{MaxIdleConnsPerHost: benchConns, MaxConnsPerHost: benchConns}
	defer transport.CloseIdleConnections()
	took := make([]time.Duration, len(requests))
	var next, failed atomic.Int64
	var wait sync.WaitGroup
	start := time.Now()
	for range benchConns {
		wait.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(requests) {
					return
				}
				at := time.Now()
				r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, address+path, bytes.NewReader(requests[i].body))
				if err == nil {
					r.Header = requests[i].header
					var resp *http.Response
					if resp, err = transport.RoundTrip(r); err == nil {
						_, _ = io.Copy(io.Discard, resp.Body)
						_ = resp.Body.Close()
						if resp.StatusCode != http.StatusAccepted {
							err = fmt.Errorf("%d", resp.StatusCode)
						}
					}
				}
				if err != nil && failed.Add(1) == 1 {
					b.Errorf("delivery %d: %v", i, err)
				}
				took[i] = time.Since(at)
			}
		})
	}
	wait.Wait()
	total := time.Since(start)
	if failed.Load() > 0 {
		b.Fatalf("%d deliveries failed", failed.Load())
	}
	slices.Sort(took)
	return run{rate: float64(len(requests)) / total.Seconds(), p99: took[len(took)*99/100]}
}

func fatal(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
