// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/ratelimit"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

var unrecorded = prometheus.NewCounter(prometheus.CounterOpts{
	Name: "seatkeeper_scim_log_lost_total", Help: "Requests of identity providers that were answered and are not in the log, because the store did not take them.",
})

func init() { metrics.Registry.MustRegister(unrecorded) }

// Log is where requests are kept.
type Log interface {
	AppendSCIMLog(ctx context.Context, t model.TenantID, requests []store.SCIMRequest) error
}

const (
	recordEvery = 500 * time.Millisecond
	// maxPending is what one tenant may have waiting, so that none loses what
	// another sends; maxTenants bounds how many do.
	maxPending = 2000
	maxTenants = 100
)

// refusedRate is how often the log has that a key was refused, by key and status:
// often enough for SCIMFailing, too seldom to fill the log.
var refusedRate = ratelimit.Rate{Count: 1, Per: 10 * time.Second, Burst: 20}

// Recorder keeps the log of requests. It writes several at once and after the
// answer, so that a read costs no commit, and may lose some; what a write changed
// is in the audit, in the transaction of the change.
type Recorder struct {
	store Log
	clock clock.WithTicker
	log   *slog.Logger
	rates *ratelimit.Memory

	mu      sync.Mutex
	pending map[model.TenantID][]store.SCIMRequest
}

// NewRecorder returns a recorder; Run or Flush writes.
func NewRecorder(s Log, c clock.WithTicker, log *slog.Logger) *Recorder {
	return &Recorder{store: s, clock: c, log: log, rates: ratelimit.NewMemory(c), pending: map[model.TenantID][]store.SCIMRequest{}}
}

func (r *Recorder) add(t model.TenantID, request store.SCIMRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if have, known := r.pending[t]; len(have) >= maxPending || !known && len(r.pending) >= maxTenants {
		unrecorded.Inc()
		return
	}
	r.pending[t] = append(r.pending[t], request)
}

// addRefused records a request whose key was refused, now and then.
func (r *Recorder) addRefused(t model.TenantID, request store.SCIMRequest) {
	key := fmt.Sprint(t, "/", request.KeyID, "/", request.Status)
	if wait, err := r.rates.Take(context.Background(), key, refusedRate); err == nil && wait == 0 {
		r.add(t, request)
	}
}

// Run writes now and then until ctx ends, and then what is left.
func (r *Recorder) Run(ctx context.Context) {
	ticker := r.clock.NewTicker(recordEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			r.Flush(end)
			return
		case <-ticker.C():
			r.Flush(ctx)
		}
	}
}

// Flush writes what was recorded. What the store does not take is kept for the
// next time.
func (r *Recorder) Flush(ctx context.Context) {
	r.mu.Lock()
	pending := r.pending
	r.pending = map[model.TenantID][]store.SCIMRequest{}
	r.mu.Unlock()
	for t, requests := range pending {
		if err := r.store.AppendSCIMLog(ctx, t, requests); err != nil {
			r.log.Warn("Requests of identity providers were not recorded yet", "requests", len(requests), "error", err)
			for _, request := range requests {
				r.add(t, request)
			}
		}
	}
}
