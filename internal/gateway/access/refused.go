// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/ratelimit"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// ActionRefuse is the action of refused requests in the audit.
const ActionRefuse = "request.refuse"

// anonymous is the actor of who did not say who they are.
const anonymous = "anonymous"

const (
	// refusedWindow is for how long the same refusals are one: the first is in the
	// audit before it is answered, and how many more came when the time is over.
	refusedWindow = time.Hour
	// flushEvery is how often is looked whose time is over.
	flushEvery = time.Minute
	// maxRefused is how many different refusals a tenant's audit has in that time
	// with their object, as many without, and as many of strangers. What is beyond
	// that is counted as one.
	maxRefused = 400
	// auditWithin is how long an answer waits for its audit.
	auditWithin = 5 * time.Second
	// maxNamespaces is how many namespaces are known by their tenant.
	maxNamespaces = 10_000
)

// namespaceRate is how often it is looked up which tenant a namespace is, that a
// stranger may have made up.
var namespaceRate = ratelimit.Rate{Count: 20, Per: time.Second, Burst: 100}

var unaudited = prometheus.NewCounter(prometheus.CounterOpts{
	Name: "seatkeeper_refusals_unaudited_total", Help: "Refused requests that are not in the audit, because the store did not take them.",
})

func init() { metrics.Registry.MustRegister(unaudited) }

// RefusalStore is whose audit has what was refused.
type RefusalStore interface {
	Tenants
	AppendAudits(ctx context.Context, t model.TenantID, records ...model.AuditRecord) error
}

// Refusals puts refused requests into the audit of their tenant: the one place
// for all routes and all callers. It bounds what a caller can write there.
type Refusals struct {
	store RefusalStore
	clock clock.WithTicker
	log   *slog.Logger
	rates *ratelimit.Memory

	mu         sync.Mutex
	seen       map[refusalKey]*refusal
	sizes      map[refusalGroup]int
	namespaces map[string]model.TenantID
}

// refusalKey is what makes refusals the same. Its group bounds how many there are.
type refusalKey struct {
	refusalGroup
	caller, route, reason, object string
}

type refusalGroup struct {
	tenant model.TenantID
	kind   groupKind
}

type groupKind int

// What is no more told apart when there are too many: first objects, then
// callers and routes.
const (
	byObject groupKind = iota
	byCaller
	byStranger
	rest
)

// refusal is one that is in the audit, and what came after it.
type refusal struct {
	record model.AuditRecord
	until  time.Time
	more   int
}

// NewRefusals returns what a Router audits refusals with; Run writes their
// numbers.
func NewRefusals(s RefusalStore, c clock.WithTicker, log *slog.Logger) *Refusals {
	return &Refusals{store: s, clock: c, log: log, rates: ratelimit.NewMemory(c),
		seen: map[refusalKey]*refusal{}, sizes: map[refusalGroup]int{}, namespaces: map[string]model.TenantID{}}
}

// handler watches the answers of a handler.
func (a *Refusals) handler(next http.Handler) http.Handler {
	if a == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := &Note{}
		r = r.WithContext(context.WithValue(r.Context(), noteKey{}, n))
		next.ServeHTTP(&answerWriter{ResponseWriter: w, refusals: a, request: r, note: n}, r)
	})
}

// record audits what was refused of a request. That it cannot be audited does
// not turn the refusal into anything else.
func (a *Refusals) record(r *http.Request, n *Note, refused []part) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), auditWithin)
	defer cancel()
	tenant, err := a.tenant(ctx, n)
	if err != nil || tenant == 0 {
		if err != nil {
			a.lost(len(refused), err)
		}
		return
	}
	var records []model.AuditRecord
	var keys []refusalKey
	a.mu.Lock()
	for _, p := range refused {
		record := recordOf(r, n, p)
		key, over := a.count(tenant, n, r, record)
		records = append(records, over...)
		if key != nil {
			keys, records = append(keys, *key), append(records, record)
		}
	}
	a.mu.Unlock()
	if len(records) == 0 {
		return
	}
	if err := a.store.AppendAudits(ctx, tenant, records...); err != nil {
		a.lost(len(records), err)
		a.mu.Lock()
		for _, k := range keys {
			a.drop(k)
		}
		a.mu.Unlock()
	}
}

func (a *Refusals) lost(n int, err error) {
	unaudited.Add(float64(n))
	a.log.Error("Refused requests were not audited", "requests", n, "error", err)
}

// tenant returns whose audit has the request, or 0.
func (a *Refusals) tenant(ctx context.Context, n *Note) (model.TenantID, error) {
	if n.Tenant != 0 || n.Namespace == "" {
		return n.Tenant, nil
	}
	a.mu.Lock()
	t, known := a.namespaces[n.Namespace]
	a.mu.Unlock()
	if known {
		return t, nil
	}
	if wait, err := a.rates.Take(ctx, "namespaces", namespaceRate); err != nil || wait > 0 {
		return 0, err
	}
	t, err := a.store.TenantByNamespace(ctx, n.Namespace)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.namespaces) >= maxNamespaces {
		clear(a.namespaces)
	}
	a.namespaces[n.Namespace] = t
	return t, nil
}

func recordOf(r *http.Request, n *Note, p part) model.AuditRecord {
	record := model.AuditRecord{Actor: n.Actor.Name, ActorKind: n.Actor.Kind, Action: ActionRefuse, ObjectKind: n.ObjectKind, ObjectName: harmless(p.objectName),
		Reason: cmp.Or(p.reason, http.StatusText(p.status)), Result: "refused", Detail: map[string]string{"status": strconv.Itoa(p.status), "count": "1"}}
	if record.Actor == "" {
		record.Actor, record.ActorKind = anonymous, model.ActorUnknown
	}
	record.Detail["route"] = p.method + " " + cmp.Or(p.route, routeOf(r.Pattern).Path)
	if ip := ClientAddress(r); ip.IsValid() {
		record.Detail["address"] = ip.String()
	}
	maps.Copy(record.Detail, p.detail)
	return record
}

// count counts a refusal. It returns its key if it is the first of its kind, and
// what there is to say of those before it whose time is over.
func (a *Refusals) count(tenant model.TenantID, n *Note, r *http.Request, record model.AuditRecord) (first *refusalKey, over []model.AuditRecord) {
	now := a.clock.Now()
	for _, key := range keysOf(tenant, n, r, record) {
		if have := a.seen[key]; have != nil {
			if now.Before(have.until) {
				have.more++
				return nil, nil
			}
			over = have.over(now)
			a.drop(key)
		}
		if key.kind == rest || a.sizes[key.refusalGroup] < maxRefused {
			a.seen[key] = &refusal{record: record, until: now.Add(refusedWindow)}
			a.sizes[key.refusalGroup]++
			return &key, over
		}
	}
	return nil, over
}

// keysOf are what the refusal may be counted as, the most telling first.
func keysOf(tenant model.TenantID, n *Note, r *http.Request, record model.AuditRecord) []refusalKey {
	key := refusalKey{refusalGroup{tenant, byObject}, record.Actor, record.Detail["route"], record.Reason, record.ObjectName}
	last := refusalKey{refusalGroup: refusalGroup{tenant, rest}}
	if !n.Proven {
		key.kind, key.caller, key.object = byStranger, record.Actor+" "+network(ClientAddress(r)), ""
		last.caller = anonymous
		return []refusalKey{key, last}
	}
	less := key
	less.kind, less.object = byCaller, ""
	return []refusalKey{key, less, last}
}

// network is what one subscriber has.
func network(a netip.Addr) string {
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

func (a *Refusals) drop(k refusalKey) {
	if a.seen[k] == nil {
		return
	}
	delete(a.seen, k)
	if a.sizes[k.refusalGroup]--; a.sizes[k.refusalGroup] == 0 {
		delete(a.sizes, k.refusalGroup)
	}
}

// over is what the audit says of those that came after the first, if any.
func (f *refusal) over(now time.Time) []model.AuditRecord {
	if f.more == 0 {
		return nil
	}
	r := f.record
	r.Detail = maps.Clone(r.Detail)
	r.Detail["count"] = strconv.Itoa(f.more)
	r.Detail["since"] = f.until.Add(-refusedWindow).UTC().Format(time.RFC3339)
	r.Detail["until"] = now.UTC().Format(time.RFC3339)
	return []model.AuditRecord{r}
}

// Run writes how often refusals came again, until ctx ends, and then what is
// left.
func (a *Refusals) Run(ctx context.Context) {
	ticker := a.clock.NewTicker(flushEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditWithin)
			defer cancel()
			a.flush(end, true)
			return
		case <-ticker.C():
			a.flush(ctx, false)
		}
	}
}

// flush writes the numbers of those whose time is over, or of all. What the store
// does not take is kept for the next time.
func (a *Refusals) flush(ctx context.Context, all bool) {
	now := a.clock.Now()
	records := map[model.TenantID][]model.AuditRecord{}
	done := map[model.TenantID]map[refusalKey]int{}
	a.mu.Lock()
	for key, f := range a.seen {
		if !all && now.Before(f.until) {
			continue
		}
		if f.more == 0 {
			a.drop(key)
			continue
		}
		records[key.tenant] = append(records[key.tenant], f.over(now)...)
		if done[key.tenant] == nil {
			done[key.tenant] = map[refusalKey]int{}
		}
		done[key.tenant][key] = f.more
	}
	a.mu.Unlock()
	for tenant, list := range records {
		if err := a.store.AppendAudits(ctx, tenant, list...); err != nil {
			a.log.Warn("How often requests were refused was not audited yet", "error", err)
			continue
		}
		a.mu.Lock()
		for key, n := range done[tenant] {
			if f := a.seen[key]; f != nil && f.more == n {
				a.drop(key)
			} else if f != nil {
				f.more -= n
			}
		}
		a.mu.Unlock()
	}
}
