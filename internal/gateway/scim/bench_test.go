// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	gateway "github.com/seatkeeper/seatkeeper/internal/gateway/scim"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// loaders is how many connections the first cycle of a large directory has.
const loaders = 8

// benchServer is a SCIM server for a benchmark, and beside it a server whose
// requests cost one look-up by primary key, or one durable insert.
type benchServer struct {
	*testing.B
	api, raw *httptest.Server
	client   *http.Client
	ids      []string
	sent     []string // those of them that are no copies
	dsn      string
	postgres bool
}

// BenchmarkSCIM measures requests of identity providers as the directory grows.
// Keys are not looked up: BenchmarkAuthenticate measures that alone, and their
// budget would be what is measured here.
func BenchmarkSCIM(b *testing.B) {
	largest := storetest.BenchRows(b)
	sizes := []int{largest / 100, largest / 10, largest}
	for _, name := range []string{"sqlite", "postgres"} {
		b.Run(name, func(b *testing.B) {
			dsn := storetest.SQLite(b)
			if name == "postgres" {
				dsn = storetest.Postgres(b)
			}
			for b.Loop() {
				s := newBenchServer(b, dsn)
				times := map[string][]time.Duration{}
				for _, n := range sizes {
					s.grow(n, name)
					s.measure(n, name, times)
				}
				for _, what := range []string{"GET by id", "userName eq", "externalId eq", "PATCH active", "POST"} {
					t := times[what]
					exponent := math.Log(t[2].Seconds()/t[0].Seconds()) / math.Log(float64(sizes[2])/float64(sizes[0]))
					fmt.Printf("| growth of SCIM %s, %s | %d | %s | exponent %.2f |\n", what, name, sizes[2], series(sizes, t), exponent)
				}
			}
		})
	}
}

func series(sizes []int, t []time.Duration) string {
	parts := make([]string, len(sizes))
	for i, n := range sizes {
		parts[i] = fmt.Sprintf("%d: %.2f ms", n, milliseconds(t[i]))
	}
	return strings.Join(parts, " · ")
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func newBenchServer(b *testing.B, dsn string) *benchServer {
	b.Helper()
	st := storetest.Open(b, dsn)
	tenant, err := st.EnsureTenant(b.Context(), strings.ToLower(rand.Text()))
	if err != nil {
		b.Fatal(err)
	}
	if err := st.SetTenantFacts(b.Context(), tenant, store.TenantFacts{SCIM: store.SCIMFacts{Enabled: true}}); err != nil {
		b.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	recorder := gateway.NewRecorder(st, clock.RealClock{}, log)
	ctx, stop := context.WithCancel(context.WithoutCancel(b.Context()))
	b.Cleanup(stop)
	go recorder.Run(ctx)
	mux := &access.Router{Refusals: access.NewRefusals(st, clock.RealClock{}, log)}
	(&gateway.API{Store: st, Clock: clock.RealClock{}, Log: log, Requests: recorder,
		Keys: fakeKeys{"acme": {Tenant: tenant, KeyID: "k", Name: "entra", Type: access.KeySCIM}}}).Register(mux)
	s := &benchServer{B: b, dsn: dsn, postgres: !strings.HasPrefix(dsn, "sqlite:"), api: httptest.NewServer(mux), client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: loaders}}}
	b.Cleanup(s.api.Close)
	s.raw = httptest.NewServer(rawSQL(b, dsn))
	b.Cleanup(s.raw.Close)
	return s
}

// rawSQL answers GET with one row by primary key, and POST with one insert that
// is on disk.
func rawSQL(b *testing.B, dsn string) http.Handler {
	b.Helper()
	driver, at := "pgx", dsn
	if dir, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		driver, at = "sqlite", "file:"+dir+"/raw.db?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"
	}
	db, err := sql.Open(driver, at)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	if _, err := db.ExecContext(b.Context(), `CREATE TABLE raw_user (id TEXT PRIMARY KEY, document TEXT NOT NULL)`); err != nil {
		b.Fatal(err)
	}
	document := strings.Repeat("x", 600) // as long as a user
	if _, err := db.ExecContext(b.Context(), `INSERT INTO raw_user (id, document) VALUES ($1, $2)`, "one", document); err != nil {
		b.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		var out string
		if err := db.QueryRowContext(r.Context(), `SELECT document FROM raw_user WHERE id = $1`, "one").Scan(&out); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, out)
	})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		if _, err := db.ExecContext(r.Context(), `INSERT INTO raw_user (id, document) VALUES ($1, $2)`, rand.Text(), document); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	return mux
}

// send makes a request and returns its answer's body.
func (s *benchServer) send(method, target, body string) []byte {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), method, target, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer acme")
	r.Header.Set("Content-Type", "application/scim+json")
	resp, err := s.client.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= http.StatusBadRequest {
		s.Fatalf("%s %s: %d %s %v", method, target, resp.StatusCode, raw, err)
	}
	return raw
}

func benchUser(i int) string {
	return fmt.Sprintf(`{"schemas":[%q,%q],"externalId":"ext-%d","userName":"person.%d@acme.example","active":true,"displayName":"Person %d","title":"Clerk",
		"name":{"givenName":"Person","familyName":"No %d"},"emails":[{"value":"person.%d@acme.example","type":"work","primary":true}],
		%q:{"employeeNumber":"E%d","department":"Sales"}}`, coreUser, enterprise, i, i, i, i, i, enterprise, i)
}

func (s *benchServer) create(i int) string {
	s.Helper()
	var out struct{ ID string }
	if err := json.Unmarshal(s.send(http.MethodPost, s.api.URL+"/scim/v2/Users", benchUser(i)), &out); err != nil {
		s.Fatal(err)
	}
	return out.ID
}

// grow provisions users, as a first cycle does, and then copies, until there are
// n.
func (s *benchServer) grow(all int, name string) {
	s.Helper()
	from := len(s.ids)
	n := min(all, from+provisioned)
	s.ids = append(s.ids, make([]string, n-from)...)
	began := time.Now()
	var g errgroup.Group
	for l := range loaders {
		g.Go(func() error {
			for i := from + l; i < n; i += loaders {
				s.ids[i] = s.create(i)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		s.Fatal(err)
	}
	fmt.Printf("| SCIM first cycle over %d connections, %s | %d users | %.0f users/s |\n", loaders, name, n, float64(n-from)/time.Since(began).Seconds())
	s.sent = append(s.sent, s.ids[from:n]...)
	if n < all {
		s.seed(all)
	}
}

// measure takes the median of each request at this size.
func (s *benchServer) measure(n int, name string, times map[string][]time.Duration) {
	s.Helper()
	users := s.api.URL + "/scim/v2/Users"
	some := func(i int) int { return i * 7919 % n }
	look, insert := func(int) { s.send(http.MethodGet, s.raw.URL, "") }, func(int) { s.send(http.MethodPost, s.raw.URL, "") }
	for _, op := range []struct {
		what string
		once func(i int)
		raw  func(i int)
	}{
		{"GET by id", func(i int) { s.send(http.MethodGet, users+"/"+s.ids[some(i)], "") }, look},
		{"userName eq", func(i int) {
			s.send(http.MethodGet, users+"?filter="+url.QueryEscape(fmt.Sprintf(`userName eq "Person.%d@acme.example"`, some(i))), "")
		}, look},
		{"externalId eq", func(i int) {
			s.send(http.MethodGet, users+"?filter="+url.QueryEscape(fmt.Sprintf(`externalId eq "ext-%d"`, some(i))), "")
		}, look},
		{"page of 100", func(i int) {
			s.send(http.MethodGet, fmt.Sprintf("%s?count=100&startIndex=%d", users, 1+some(i)), "")
		}, look},
		{"PATCH active", func(i int) { // of a copy, the first would write its person again
			s.send(http.MethodPatch, users+"/"+s.sent[i*7919%len(s.sent)], fmt.Sprintf(`{"schemas":[%q],"Operations":[{"op":"Replace","path":"active","value":"%v"}]}`, patchOp, i%2 == 1))
		}, insert},
		{"POST", func(i int) { s.create(1_000_000_000 + n*1000 + i) }, insert},
	} {
		ours, raw := s.median(op.once), s.median(op.raw)
		times[op.what] = append(times[op.what], ours)
		fmt.Printf("| SCIM %s, %s | %d users | %.2f ms | %.2f ms: raw HTTP and SQL | **%.2f** |\n", op.what, name, n, milliseconds(ours), milliseconds(raw),
			ours.Seconds()/raw.Seconds())
	}
}

const samples = 200

func (s *benchServer) median(once func(i int)) time.Duration {
	took := make([]time.Duration, samples)
	for i := range took {
		began := time.Now()
		once(i)
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took[samples/2]
}
