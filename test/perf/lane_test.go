// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package perf

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// Goals of the lanes.
const (
	laneRate   = 50   // calls a second
	goalSpread = 0.02 // of laneRate
	goalOther  = 2 * time.Second
)

// limited is the manifest of a vendor with a rate limit.
var limited = fmt.Sprintf(`
apiVersion: seatkeeper.dev/v1alpha1
kind: Connector
metadata: {name: limited}
spec:
  title: Limited
  category: app
  verified: No
  auth: [{id: token, type: bearer, token: "${secret.token}", secrets: {token: {title: Token}}}]
  http:
    baseURL: https://%s
    rateLimit: {buckets: [{match: "true", rate: %d/s}]}
  actions:
    license.remove:
      class: idempotent
      input: {run: {type: string, required: true}}
      steps: [{post: /limited, body: "{'run': input.run}"}]
`, vendorHost, laneRate)

// BenchmarkLanes queues SEATKEEPER_BENCH_RUNS runs (20,000) behind the limit of one
// Integration, watches it for SEATKEEPER_BENCH_LANE seconds (45), and starts runs
// of another one meanwhile.
func BenchmarkLanes(b *testing.B) {
	n := number(b, "SEATKEEPER_BENCH_RUNS", 20_000)
	window := time.Duration(number(b, "SEATKEEPER_BENCH_LANE", 45)) * time.Second
	for _, dialect := range []string{"sqlite", "postgres"} {
		b.Run(dialect, func(b *testing.B) {
			k := newBench(b, dialect)
			act := workflow.Step{Name: "remove", Action: &workflow.ActionStep{Integration: "limited", Action: "license.remove", With: map[string]any{"run": "${event.data.run}"}}}
			k.queue("limited", workflow.Definition{Language: workflow.LanguageCEL, Steps: []workflow.Step{act}}, 0, n, "")
			other := workflow.Definition{Language: workflow.LanguageCEL, Steps: []workflow.Step{post("other", map[string]any{"run": "${event.data.run}"})}}
			stop := k.run(k.engine(newLimited(k), 0))
			// The bucket is full at first; what counts is the rate behind that.
			k.vendor.until(4*laneRate, time.Minute)
			began, started := time.Now(), map[string]time.Time{}
			for i := n; time.Since(began) < window; i++ {
				started[delivery(i)["run"].(string)] = time.Now()
				k.queue("other", other, i, 1, "")
				time.Sleep(250 * time.Millisecond) // the other lane's own pace
			}
			ended := began.Add(window)
			time.Sleep(goalOther) // the last of them may take as long
			stop()
			calls, delays := 0, []time.Duration{}
			for _, c := range k.vendor.calls() {
				switch {
				case c.Step == "other":
					delays = append(delays, c.At.Sub(started[c.Run]))
				case c.At.After(began) && c.At.Before(ended):
					calls++
				}
			}
			if len(delays) != len(started) {
				b.Errorf("%d of %d runs of the other lane have started", len(delays), len(started))
			}
			rate := float64(calls) / window.Seconds()
			b.ReportMetric(rate, "calls/s")
			b.ReportMetric(math.Abs(rate-laneRate)/laneRate*100, "%off")
			b.ReportMetric(percentile(delays, 99).Seconds(), "other-p99-s")
			b.ReportMetric(float64(n), "queued")
			b.ReportMetric(window.Seconds(), "window-s")
		})
	}
}

// percentile is the smallest value that so many in a hundred do not exceed.
func percentile(all []time.Duration, p int) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[max(0, (len(all)*p+99)/100-1)]
}

// sessions are the actions of one Integration, with its budget in the store.
type sessions struct {
	nobody
	session *connector.Session
}

func newLimited(k *bench) sessions {
	k.Helper()
	m, err := connector.Load("limited.yaml", []byte(limited))
	if err != nil {
		k.Fatal(err)
	}
	s, err := connector.Open(connector.Options{Manifest: m, Secrets: map[string]string{"token": "t"}, Permission: connector.PermissionReadAndAct,
		Endpoints: map[string]string{vendorHost: k.vendor.url}, Budget: k.store.Lane(k.tenant, "limited")})
	if err != nil {
		k.Fatal(err)
	}
	return sessions{session: s}
}

// Action implements workflow.Actions.
func (s sessions) Action(_ context.Context, _ model.TenantID, integration, action string) (workflow.ActionInfo, error) {
	info, ok := s.session.Action(action)
	if !ok {
		return workflow.ActionInfo{}, fmt.Errorf("%s has no action %s", integration, action)
	}
	return workflow.ActionInfo{Class: workflow.Class(info.Class), HasPrecheck: info.HasPrecheck, HasVerify: info.HasVerify}, nil
}

// Execute implements workflow.Actions.
func (s sessions) Execute(ctx context.Context, _ model.TenantID, c workflow.Call) (workflow.Result, error) {
	r, err := s.session.Execute(ctx, connector.ActionCall{Name: c.Action, Input: c.Input, IdempotencyKey: c.IdemKey})
	if r.Class == "" {
		return workflow.Result{}, errors.Join(err, errNobody)
	}
	return workflow.Result{Class: workflow.ResultClass(r.Class), Output: r.Output, Sent: r.Sent, StatusCode: r.StatusCode, RetryAfter: r.RetryAfter, Message: r.Message}, nil
}

var _ workflow.Actions = sessions{}
