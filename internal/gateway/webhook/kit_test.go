// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/gateway/webhook"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/ratelimit"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/syncer"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

var t0 = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// manifest is the connector of a spec, as the gateway finds it.
var manifest = (&syncer.Sessions{Builtin: connectors.Builtin}).Manifest

// world is a gateway's webhooks over TLS in front of a store, and a drainer.
type world struct {
	*testing.T
	s       *store.Store
	ring    *store.Keyring
	clock   *clocktesting.FakeClock
	tenant  model.TenantID
	handler *webhook.Handler
	drainer *webhook.Drainer
	server  *httptest.Server
	log     *syncBuffer
	synced  int // how often the sync workers were woken
	told    int // and what starts runs
}

type syncBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

func each(t *testing.T, fn func(w *world)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, open storetest.Opener) { fn(newWorld(t, open)) })
}

func newWorld(t *testing.T, open storetest.Opener) *world {
	t.Helper()
	w := &world{T: t, clock: clocktesting.NewFakeClock(t0), log: &syncBuffer{}}
	w.s = open(storetest.WithClock(w.clock))
	var err error
	w.ring, err = store.LoadKeyring(filepath.Join(t.TempDir(), "keyring"), true)
	w.must(err)
	w.tenant, err = w.s.EnsureTenant(t.Context(), "acme")
	w.must(err)
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.drainer = webhook.NewDrainer(webhook.Drainer{Store: w.s, Keyring: w.ring, Manifest: manifest, Due: func() { w.synced++ }, Told: func() { w.told++ }, Clock: w.clock, Log: log})
	w.handler = w.gateway(w.s, log)
	w.server = serve(t, w.handler, access.NewRefusals(w.s, w.clock, log))
	return w
}

// gateway is one replica on a store.
func (w *world) gateway(s *store.Store, log *slog.Logger) *webhook.Handler {
	return &webhook.Handler{
		Endpoints: &webhook.Endpoints{Store: s, Keyring: w.ring, Manifest: manifest, Clock: w.clock},
		Inbox:     s, Tokens: s, Limiter: ratelimit.NewMemory(w.clock), Clock: w.clock, Log: log,
	}
}

func serve(t testing.TB, h *webhook.Handler, refusals ...*access.Refusals) *httptest.Server {
	mux := &access.Router{}
	for _, r := range refusals {
		mux.Refusals = r
	}
	h.Register(mux)
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	return server
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// integration connects one and returns the path of a webhook of its connector.
func (w *world) integration(name, connector, webhookName string, secrets map[string]string) (path string) {
	w.Helper()
	spec, err := json.Marshal(handover.Spec{Namespace: "acme", Connector: connector, SecretName: name})
	w.must(err)
	_, err = w.s.UpsertIntegration(w.Context(), w.tenant, store.IntegrationSpec{Name: name, UID: name, Generation: 1, Connector: connector, Spec: spec, Interval: time.Hour})
	w.must(err)
	w.must(w.s.PutSigningSecrets(w.Context(), w.ring, w.tenant, name, secrets))
	return w.endpoint("Integration", name, webhookName, nil)
}

// settle lets the Integration's first sync end.
func (w *world) settle(name string) {
	w.Helper()
	claims, err := w.s.ClaimDueIntegrations(w.Context(), "worker", 10, time.Minute)
	w.must(err)
	for _, c := range claims {
		next := w.clock.Now().Add(time.Hour)
		w.must(w.s.FinishIntegration(w.Context(), c, store.IntegrationResult{NextDue: &next, Synced: true}))
	}
	if w.due(name) != time.Hour {
		w.Fatalf("due in %s", w.due(name))
	}
}

func (w *world) due(name string) time.Duration {
	w.Helper()
	st, err := w.s.IntegrationState(w.Context(), w.tenant, name)
	w.must(err)
	return st.DueAt.Sub(w.clock.Now())
}

// workflow makes the endpoint of a Workflow; key is what deliveries are signed
// with.
func (w *world) workflow(name string, g connector.GenericWebhook, key string) (path string) {
	w.Helper()
	if key != "" {
		w.must(w.s.PutSigningSecrets(w.Context(), w.ring, w.tenant, store.WorkflowSigning(name), map[string]string{connector.GenericKey: key}))
	}
	config, err := json.Marshal(g)
	w.must(err)
	return w.endpoint("Workflow", name, "", config)
}

func (w *world) endpoint(kind, name, webhookName string, config []byte) string {
	w.Helper()
	token, err := store.NewEndpointToken(w.tenant)
	w.must(err)
	w.must(w.s.PutEndpoints(w.Context(), w.ring, w.tenant, kind, name, name, []store.EndpointSpec{{Webhook: webhookName, Token: token, Config: config}}))
	return "/hooks/" + token
}

// answer is what a sender is told.
type answer struct {
	code   int
	header http.Header
	body   string
	webhook.Receipt
}

func (w *world) send(method, path, body string, headers ...string) answer {
	w.Helper()
	a, err := post(w.Context(), w.server, method, path, body, headers...)
	w.must(err)
	return a
}

func post(ctx context.Context, server *httptest.Server, method, path, body string, headers ...string) (a answer, err error) {
	r, err := http.NewRequestWithContext(ctx, method, server.URL+path, strings.NewReader(body))
	if err != nil {
		return a, err
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := server.Client().Do(r)
	if err != nil {
		return a, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	a.code, a.header, a.body = resp.StatusCode, resp.Header, string(raw)
	_ = json.Unmarshal(raw, &a.Receipt) // other answers have none
	return a, err
}

// deliver sends what a vendor would, signed.
func (w *world) deliver(path string, hook *connector.Webhook, secrets map[string]string, body string) answer {
	w.Helper()
	in := connector.WebhookRequest{Method: http.MethodPost, Header: http.Header{}, Body: []byte(body)}
	w.must(hook.Prove(w.Context(), &in, secrets, w.clock.Now()))
	var headers []string
	for k := range in.Header {
		headers = append(headers, k, in.Header.Get(k))
	}
	return w.send(http.MethodPost, path, body, append(headers, "Content-Type", "application/json")...)
}

// events drains, and returns what is new in the outbox.
func (w *world) events() []model.Event {
	w.Helper()
	w.must(w.drainer.Drain(w.Context()))
	events, err := w.s.NewEvents(w.Context(), w.tenant, 1000)
	w.must(err)
	return events
}

// waiting is how many events nobody has handled, and how many are dead.
func (w *world) waiting() (waiting, dead int64) {
	w.Helper()
	waiting, dead, err := w.s.InboxDepth(w.Context())
	w.must(err)
	return waiting, dead
}
