// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package runmetrics serves what becomes of runs as metrics. Labels hold names
// of resources, and so have no more values than there are resources: namespaces,
// Workflows and LicensePolicies, Integrations and the hosts that Workflows name.
// None holds a person, a run or an address.
package runmetrics

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

var (
	began = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "seatkeeper_runs_started_total", Help: "Runs whose first step was taken up, by definition.",
	}, []string{"namespace", "kind", "name"})
	ended = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "seatkeeper_runs_ended_total", Help: "Runs that ended, by definition and outcome.",
	}, []string{"namespace", "kind", "name", "outcome"})
	calls = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "seatkeeper_run_calls_total", Help: "Attempts of runs at calls, by Integration or host and result: ok, failed, notSent, ambiguous.",
	}, []string{"namespace", "integration", "result"})
	defects = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "seatkeeper_run_defects_total", Help: "Times that the program itself failed at a run's step or call, or while it looked for runs to start; the log says where.",
	})
)

func init() {
	metrics.Registry.MustRegister(began, ended, calls, defects)
}

// Defect counts a failure of the program itself in what belongs to runs.
func Defect() { defects.Inc() }

// namesTimeout bounds the look-up of the namespace of a new tenant.
const namesTimeout = 5 * time.Second

// Count counts what this process does to runs from now on.
func Count(s *store.Store) {
	namespaces := &store.Namespaces{Store: s}
	s.OnRunsMoved(func(moved []store.RunMove) {
		ctx, cancel := context.WithTimeout(context.Background(), namesTimeout)
		defer cancel()
		for _, m := range moved {
			ns, err := namespaces.Of(ctx, m.Tenant)
			if err != nil {
				ns = "unknown"
			}
			if m.Began {
				began.WithLabelValues(ns, m.Kind, m.Name).Inc()
			}
			if m.Outcome != "" {
				ended.WithLabelValues(ns, m.Kind, m.Name, m.Outcome).Inc()
			}
			for _, c := range m.Calls {
				calls.WithLabelValues(ns, c.Integration, string(c.State)).Inc()
			}
		}
	})
}

// backlogAge is how long what was counted is served; backlogTimeout bounds
// counting it.
const (
	backlogAge     = 15 * time.Second
	backlogTimeout = 10 * time.Second
)

// Backlog serves what is open: the runs that wait, need a person or are late, and
// what has not started. It is the same wherever it is measured, so one replica serves it.
type Backlog struct {
	Store *store.Store
	Clock clock.PassiveClock
	Log   *slog.Logger

	mu      sync.Mutex
	counted time.Time
	open    *store.Backlog
}

var (
	runsDesc = prometheus.NewDesc("seatkeeper_runs", "Runs that have not ended, by definition and state: running, waiting, attention.",
		[]string{"namespace", "kind", "name", "state"}, nil)
	lateDesc = prometheus.NewDesc("seatkeeper_run_lag_seconds", "Time since the oldest run of a definition became due that is not taken up; 0 where none is due.",
		[]string{"namespace", "kind", "name"}, nil)
	unreachedDesc = prometheus.NewDesc("seatkeeper_runs_unreached", "Runs that wait for people whom no channel reaches, or that could not tell somebody within the last day.",
		[]string{"namespace", "kind", "name"}, nil)
	startsDesc = prometheus.NewDesc("seatkeeper_workflow_starts", "Runs of Workflows that have not started, by state: waiting, held, released.",
		[]string{"namespace", "workflow", "state"}, nil)
	blockedDesc = prometheus.NewDesc("seatkeeper_lane_blocked_seconds", "Time for which an Integration, or a host, asked not to be called.",
		[]string{"namespace", "integration"}, nil)
)

// Describe implements prometheus.Collector.
func (*Backlog) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{runsDesc, lateDesc, unreachedDesc, startsDesc, blockedDesc} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (b *Backlog) Collect(out chan<- prometheus.Metric) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.Clock.Now()
	if b.open == nil || now.Sub(b.counted) >= backlogAge {
		ctx, cancel := context.WithTimeout(context.Background(), backlogTimeout)
		defer cancel()
		open, err := b.Store.Backlog(ctx)
		if err != nil {
			// That the metrics are missing is what an alarm sees.
			b.Log.Error("Could not count how runs stand", "error", err)
			b.open = nil
			return
		}
		b.open, b.counted = &open, now
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, r := range b.open.Runs {
		for state, n := range map[string]int64{"running": r.Running, "waiting": r.Waiting, "attention": r.Attention} {
			gauge(runsDesc, float64(n), r.Namespace, r.Kind, r.Name, state)
		}
		late := 0.0
		if !r.Due.IsZero() {
			late = max(now.Sub(r.Due).Seconds(), 0)
		}
		gauge(lateDesc, late, r.Namespace, r.Kind, r.Name)
		gauge(unreachedDesc, float64(r.Unreached), r.Namespace, r.Kind, r.Name)
	}
	for _, s := range b.open.Starts {
		gauge(startsDesc, float64(s.Count), s.Namespace, s.Workflow, string(s.State))
	}
	for _, l := range b.open.Blocked {
		gauge(blockedDesc, max(l.Until.Sub(now).Seconds(), 0), l.Namespace, l.Integration)
	}
}
