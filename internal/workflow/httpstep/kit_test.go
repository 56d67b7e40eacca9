// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package httpstep

import (
	"bytes"
	"context"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // reads what is stored
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/syncer"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

const (
	keyOne = "one AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
	keyTwo = "two AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n"
)

// nobody has no integrations and no people.
type nobody struct{ workflow.People }

var errNobody = errors.New("not in this test")

func (nobody) Action(context.Context, model.TenantID, string, string) (workflow.ActionInfo, error) {
	return workflow.ActionInfo{}, errNobody
}

func (nobody) Precheck(context.Context, model.TenantID, workflow.Call) (workflow.Result, error) {
	return workflow.Result{}, errNobody
}

func (nobody) Execute(context.Context, model.TenantID, workflow.Call) (workflow.Result, error) {
	return workflow.Result{}, errNobody
}

func (nobody) Verify(context.Context, model.TenantID, workflow.Call) (workflow.Result, error) {
	return workflow.Result{}, errNobody
}

func (nobody) Recheck(context.Context, model.TenantID, workflow.Subject) (workflow.Verdict, error) {
	return workflow.Verdict{}, errNobody
}

// secrets are those of the namespace acme.
type secrets struct {
	mu   sync.Mutex
	data map[string]map[string]string
}

func (s *secrets) ReadSecret(_ context.Context, namespace, name string) (syncer.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.data[name]
	if namespace != "acme" || !ok {
		return syncer.Secret{}, &syncer.SecretNotFoundError{Namespace: namespace, Name: name}
	}
	return syncer.Secret{Data: data}, nil
}

// kit is an engine on a real store and a vendor behind TLS.
type kit struct {
	*testing.T
	dsn     string
	store   *store.Store
	tenant  model.TenantID
	clock   *clocktesting.FakeClock
	vendor  *httptest.Server
	mux     *http.ServeMux
	secrets *secrets
	engine  *workflow.Engine
	log     bytes.Buffer

	mu   sync.Mutex
	seen []seen
}

// seen is a request that the vendor got.
type seen struct {
	method, path, body string
	header             http.Header
}

func each(t *testing.T, fn func(t *testing.T, k *kit)) {
	t.Helper()
	storetest.EachDSN(t, func(t *testing.T, dsn string) { fn(t, newKit(t, dsn)) })
}

func newKit(t *testing.T, dsn string) *kit {
	t.Helper()
	k := &kit{T: t, dsn: dsn, clock: clocktesting.NewFakeClock(time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)), mux: http.NewServeMux(),
		secrets: &secrets{data: map[string]map[string]string{}}}
	k.vendor = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(raw))
		k.mu.Lock()
		k.seen = append(k.seen, seen{r.Method, r.URL.RequestURI(), string(raw), r.Header.Clone()})
		k.mu.Unlock()
		k.mux.ServeHTTP(w, r)
	}))
	t.Cleanup(k.vendor.Close)
	k.vendor.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // handlers break connections off
	k.store = storetest.Open(t, dsn, storetest.WithClock(k.clock))
	var err error
	if k.tenant, err = k.store.EnsureTenant(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	k.engine = k.newEngine(keyOne, func(*workflow.Options) {})
	return k
}

func (k *kit) newEngine(keys string, change func(*workflow.Options)) *workflow.Engine {
	k.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(k.vendor.Certificate())
	ring, err := store.ParseKeyring(keys)
	if err != nil {
		k.Fatal(err)
	}
	o := workflow.Options{
		Store: k.store, Actions: nobody{}, Facts: nobody{}, People: nobody{}, Language: expr.Workflow{}, PromptKey: make([]byte, 32), Alone: true,
		Clock: k.clock, Sealer: ring, Log: slog.New(slog.NewTextHandler(&k.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Requests: &Sender{
			Requester: connector.NewRequester(connector.RequesterOptions{RootCAs: pool, AllowedNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Clock: k.clock}),
			Secrets:   k.secrets, Clock: k.clock,
			Namespace: func(context.Context, model.TenantID) (string, error) { return "acme", nil },
		},
	}
	change(&o)
	e, err := workflow.New(o)
	if err != nil {
		k.Fatal(err)
	}
	return e
}

// host is the vendor's.
func (k *kit) host() string { return strings.TrimPrefix(k.vendor.URL, "https://") }

// handle answers requests at a path, such as "POST /tickets".
func (k *kit) handle(pattern string, h http.HandlerFunc) { k.mux.HandleFunc(pattern, h) }

// answer answers with JSON.
func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// run puts a Workflow of these steps there, starts a run and goes to its first
// wait.
func (k *kit) run(key string, steps ...workflow.Step) store.RunDetail {
	k.Helper()
	return k.start(workflow.StartRequest{Key: key}, steps...)
}

func (k *kit) start(r workflow.StartRequest, steps ...workflow.Step) store.RunDetail {
	k.Helper()
	d := workflow.Definition{Language: workflow.LanguageCEL, Steps: steps}
	if err := workflow.Check(d, expr.Workflow{}); err != nil {
		k.Fatal(err)
	}
	raw, err := d.Marshal()
	if err != nil {
		k.Fatal(err)
	}
	w := store.WorkflowState{Name: "wf-" + r.Key, TriggerKind: workflow.TriggerManual, State: store.WorkflowReady}
	if _, err := k.store.PutWorkflow(k.Context(), k.tenant, w, raw); err != nil {
		k.Fatal(err)
	}
	r.Workflow, r.By = w.Name, store.Decider{Actor: "test", Kind: model.ActorUser}
	run, _, err := workflow.Start(k.Context(), k.store, k.tenant, r)
	if err != nil {
		k.Fatal(err)
	}
	k.settle()
	return k.detail(run.ID)
}

func (k *kit) settle() {
	k.Helper()
	ctx, cancel := context.WithTimeout(k.Context(), 30*time.Second)
	defer cancel()
	if err := k.engine.Settle(ctx); err != nil {
		k.Fatal(err)
	}
}

// pass lets time go by.
func (k *kit) pass(d time.Duration, id string) store.RunDetail {
	k.Helper()
	k.clock.Step(d)
	k.settle()
	return k.detail(id)
}

func (k *kit) detail(id string) store.RunDetail {
	k.Helper()
	d, err := k.store.Run(k.Context(), k.tenant, id)
	if err != nil {
		k.Fatal(err)
	}
	return d
}

func (k *kit) want(r store.RunDetail, state store.RunState, reason, message string) {
	k.Helper()
	if r.State != state || r.Reason != reason || !strings.Contains(r.Message, message) {
		k.Fatalf("the run is %s, reason %q: %s, at %s; want %s, %q, %q", r.State, r.Reason, r.Message, r.StepPath, state, reason, message)
	}
}

// requests lists what the vendor got.
func (k *kit) requests() []seen {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]seen(nil), k.seen...)
}

// stored is every byte that the store holds.
func (k *kit) stored() string {
	k.Helper()
	if dir, ok := strings.CutPrefix(k.dsn, "sqlite:"); ok {
		return k.files(dir)
	}
	db, err := sql.Open("pgx", k.dsn)
	if err != nil {
		k.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var b strings.Builder
	for _, table := range k.column(db, `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`) {
		for _, row := range k.column(db, `SELECT t::text FROM "`+table+`" t`) {
			b.WriteString(table + " " + row + "\n")
		}
	}
	return b.String()
}

func (k *kit) column(db *sql.DB, query string) (out []string) {
	k.Helper()
	rows, err := db.QueryContext(k.Context(), query)
	if err != nil {
		k.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			k.Fatal(err)
		}
		out = append(out, s)
	}
	if err := rows.Err(); err != nil {
		k.Fatal(err)
	}
	return out
}

func (k *kit) files(dir string) string {
	k.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		b.Write(raw)
		return err
	})
	if err != nil {
		k.Fatal(err)
	}
	return b.String()
}

// views is what people see of a run: its steps, attempts, audit and the log.
func (k *kit) views(id string) string {
	k.Helper()
	d := k.detail(id)
	steps, err := workflow.Progress(d)
	if err != nil {
		k.Fatal(err)
	}
	audit, err := k.store.Audit(k.Context(), k.tenant, store.AuditQuery{Limit: 1000})
	if err != nil {
		k.Fatal(err)
	}
	raw, err := json.Marshal([]any{d, steps, d.Attempts, audit})
	if err != nil {
		k.Fatal(err)
	}
	return string(raw) + k.log.String()
}

// clean fails where a canary stands in the store, in a view or in the log.
func (k *kit) clean(id string, canaries ...string) {
	k.Helper()
	stored, views := k.stored(), k.views(id)
	if !strings.Contains(stored, id) {
		k.Fatal("what is stored was not read")
	}
	for _, c := range canaries {
		if i := strings.Index(stored, c); i >= 0 {
			k.Errorf("the store holds %s: …%q…", c, stored[max(0, i-80):min(len(stored), i+80)])
		}
		if i := strings.Index(views, c); i >= 0 {
			k.Errorf("a view shows %s: …%s…", c, views[max(0, i-80):min(len(views), i+80)])
		}
	}
}

// setVars changes what a run's row holds, as somebody with the database could.
func (k *kit) setVars(id string, vars map[string]any) {
	k.Helper()
	raw, err := json.Marshal(vars)
	if err != nil {
		k.Fatal(err)
	}
	driver, dsn := "pgx", k.dsn
	if dir, ok := strings.CutPrefix(k.dsn, "sqlite:"); ok {
		found, err := filepath.Glob(filepath.Join(dir, "*.db"))
		if err != nil {
			k.Fatal(err)
		}
		driver = "sqlite"
		for _, f := range found {
			if !strings.Contains(f, "inbox") {
				dsn = f
			}
		}
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		k.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	res, err := db.ExecContext(k.Context(), `UPDATE run SET vars = $1 WHERE id = $2`, string(raw), id)
	if err != nil {
		k.Fatal(err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		k.Fatalf("%d rows, %v", n, err)
	}
}
