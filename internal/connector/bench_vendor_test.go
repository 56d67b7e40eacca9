// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// slackVendor plays a workspace for the built-in manifest. It answers after the
// time that a vendor takes, and counts.
type slackVendor struct {
	users, groups, members int
	latency                time.Duration
	requests, busy         atomic.Int64
}

func (v *slackVendor) start(t testing.TB) *vendor {
	answer := func(write func(w *bytes.Buffer, r *http.Request)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			begin := time.Now()
			v.requests.Add(1)
			var out bytes.Buffer
			write(&out, r)
			if wait := time.NewTimer(v.latency); v.latency > 0 {
				<-wait.C
			}
			_, _ = w.Write(out.Bytes())
			v.busy.Add(int64(time.Since(begin)))
		}
	}
	return newVendor(t, map[string]http.HandlerFunc{
		"/api/users.list": answer(func(out *bytes.Buffer, r *http.Request) {
			at, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
			limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
			out.WriteString(`{"ok":true,"members":[`)
			end := min(v.users, at+limit)
			for i := at; i < end; i++ {
				if i > at {
					out.WriteByte(',')
				}
				fmt.Fprintf(out, `{"id":"U%06d","team_id":"T1","name":"user%d","deleted":false,"real_name":"Ada Lovelace","tz":"Europe/Berlin","profile":{"real_name":"Ada Lovelace","display_name":"ada","email":"user%d@acme.example","title":"Engineer","image_192":"https://a.example/192/%d.png"},"is_admin":false,"is_owner":false,"is_restricted":false,"is_bot":false,"updated":1764590400,"has_2fa":true}`, i, i, i, i)
			}
			next := ""
			if end < v.users {
				next = strconv.Itoa(end)
			}
			fmt.Fprintf(out, `],"response_metadata":{"next_cursor":%q}}`, next)
		}),
		"/api/usergroups.list": answer(func(out *bytes.Buffer, _ *http.Request) {
			out.WriteString(`{"ok":true,"usergroups":[`)
			for g := range v.groups {
				if g > 0 {
					out.WriteByte(',')
				}
				fmt.Fprintf(out, `{"id":"S%d","name":"group %d","handle":"g%d","date_update":1764590400,"users":[`, g, g, g)
				for u := range v.members {
					if u > 0 {
						out.WriteByte(',')
					}
					fmt.Fprintf(out, `"U%06d"`, (g*v.members+u)%v.users)
				}
				out.WriteString(`]}`)
			}
			out.WriteString(`]}`)
		}),
		"/api/team.billableInfo": answer(func(out *bytes.Buffer, _ *http.Request) {
			out.WriteString(`{"ok":true,"billable_info":{`)
			for i := range v.users {
				if i > 0 {
					out.WriteByte(',')
				}
				fmt.Fprintf(out, `"U%06d":{"billing_active":true}`, i)
			}
			out.WriteString(`}}`)
		}),
	})
}

func slackSession(t testing.TB, v *vendor) *Session {
	t.Helper()
	data, err := os.ReadFile("../../connectors/slack/connector.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m, err := Load("slack", data)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := session(t, v, func(o *Options) {
		o.Manifest, o.Permission, o.MaxWait = m, PermissionRead, time.Hour
		o.Secrets = map[string]string{"token": "s3cret", "adminToken": "s3cret"}
		o.Endpoints = map[string]string{"slack.com": v.URL}
	})
	return s
}

// readSlack reads members, user groups and billed seats.
func readSlack(t testing.TB, s *Session, sink Sink) (records int) {
	t.Helper()
	for _, stream := range []string{"users", "userGroups", "billing"} {
		res, err := s.Read(t.Context(), stream, sink)
		if err != nil || !res.AbsenceProves() {
			t.Fatalf("%s: %+v, %v", stream, res, err)
		}
		records += res.Records
	}
	return records
}

const slackRequests = 28

// A workspace of 5,000 members and 200 groups of 50 costs no request per member
// or group.
func TestSlackInFewRequests(t *testing.T) {
	v := &slackVendor{users: 5000, groups: 200, members: 50}
	got := readSlack(t, slackSession(t, v.start(t)), func(context.Context, string, []model.Record) error { return nil })
	if n := v.requests.Load(); n > slackRequests || got != 5000+200+200*50+5000 {
		t.Errorf("%d records in %d requests, want at most %d", got, n, slackRequests)
	}
}

// BenchmarkSlack reads that workspace from a vendor that takes 100 ms for each
// answer.
func BenchmarkSlack(b *testing.B) {
	v := &slackVendor{users: 5000, groups: 200, members: 50, latency: 100 * time.Millisecond}
	server := v.start(b)
	for b.Loop() {
		readSlack(b, slackSession(b, server), func(context.Context, string, []model.Record) error { return nil })
	}
	b.ReportMetric(float64(v.requests.Load())/float64(b.N), "requests")
	b.ReportMetric(100*float64(v.busy.Load())/float64(b.Elapsed()), "%vendor")
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s")
}

// BenchmarkLargeRead reads 100,000 members and reports how far the heap grew
// above what it was at rest, garbage included and the vendor's side too, whose
// process this is.
func BenchmarkLargeRead(b *testing.B) {
	v := &slackVendor{users: 100_000}
	server := v.start(b)
	s := slackSession(b, server)
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	inUse := func() uint64 {
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	var grown uint64
	for b.Loop() {
		runtime.GC()
		idle, peak := inUse(), uint64(0)
		res, err := s.Read(b.Context(), "users", func(context.Context, string, []model.Record) error {
			peak = max(peak, inUse())
			return nil
		})
		if err != nil || res.Records != v.users {
			b.Fatal(res.Records, err)
		}
		grown = max(grown, peak-min(peak, idle))
		server.mu.Lock()
		server.requests = nil
		server.mu.Unlock()
	}
	b.ReportMetric(float64(grown)/(1<<20), "MiB")
	b.ReportMetric(float64(v.users)*float64(b.N)/b.Elapsed().Seconds(), "users/s")
}
