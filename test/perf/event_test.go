// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package perf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

// Goals of events.
const (
	goalIdle   = 5 * time.Second
	goalBehind = 30 * time.Second
	goalWrites = 0.1 // a second, of one Workflow's status; none is a run's
)

// received is the Workflow that deliveries start: the requests of BenchmarkRuns.
const received = `
apiVersion: seatkeeper.dev/v1alpha1
kind: Workflow
metadata: {name: received}
spec:
  direction: Neutral
  trigger: {webhook: {dedupe: "${body.run}"}}
  steps:
  - name: a
    http: {url: "https://vendor.example/a", method: POST, class: Keyed, body: {run: "${event.data.body.run}", department: "${event.data.body.department}", text: "${event.data.body.text}"}}
    outputs: {id: {value: resp.id}}
  - name: branch
    switch:
    - when: "event.data.body.department == 'Sales'"
      steps:
      - name: b
        http: {url: "https://vendor.example/b", method: POST, class: Keyed, body: {run: "${event.data.body.run}", id: "${steps.a.id}"}}
    - steps:
      - name: d
        http: {url: "https://vendor.example/d", method: POST, class: Keyed, body: {run: "${event.data.body.run}", id: "${steps.a.id}"}}
  - name: c
    http: {url: "https://vendor.example/c", method: POST, class: Keyed, body: {run: "${event.data.body.run}"}}
`

// sender posts deliveries and remembers when each was acknowledged, which is
// after it was committed.
type sender struct {
	b   *testing.B
	url string

	mu    sync.Mutex
	acked map[string]time.Time
}

// post sends the i-th delivery and returns the status.
func (s *sender) post(i int) (int, error) {
	d := delivery(i)
	raw, err := json.Marshal(d)
	if err != nil {
		return 0, err
	}
	res, err := http.Post(s.url, "application/json", bytes.NewReader(raw))
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return 0, err
	}
	if res.StatusCode == http.StatusAccepted {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.acked[d["run"].(string)] = time.Now()
	}
	return res.StatusCode, nil
}

// must is post for a delivery that has to be taken.
func (s *sender) must(i int) {
	s.b.Helper()
	if code, err := s.post(i); err != nil || code != http.StatusAccepted {
		s.b.Fatalf("delivery %d: %d, %v; want 202", i, code, err)
	}
}

// delays are the times from a delivery's acknowledgement to its run's first
// request, for the i-th to the one before the j-th. A request that came before
// the sender had its answer took no time.
func (s *sender) delays(v *vendor, i, j int) (out []time.Duration) {
	s.b.Helper()
	first := map[string]time.Time{}
	for _, c := range v.calls() {
		if c.Step == "a" {
			first[c.Run] = c.At
		}
	}
	for ; i < j; i++ {
		run := delivery(i)["run"].(string)
		at, ok := first[run]
		if !ok {
			s.b.Fatalf("%s never began", run)
		}
		out = append(out, max(0, at.Sub(s.acked[run])))
	}
	return out
}

// BenchmarkEvents measures the manager as a process with the gateway: from a
// delivery that is committed to the first request of its run, at rest and behind
// SEATKEEPER_BENCH_EVENTS deliveries (10,000), and what it writes to the API server.
func BenchmarkEvents(b *testing.B) {
	n := number(b, "SEATKEEPER_BENCH_EVENTS", 10_000)
	const idle, connections = 30, 64
	env := testenv.Cluster(b)
	binary, v := buildManager(b), startVendor(b)
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = connections
	for b.Loop() {
		f := newFleet(b, env, 0)
		address := freeAddress(b)
		c := startChild(b, binary, env.Kubeconfig, b.TempDir(), "--watch-namespace", f.ns, "--gateway", "--gateway-listen", address, "--connector-endpoint", vendorHost+"="+v.url)
		s := &sender{b: b, url: "http://" + address + f.receive(b, c), acked: map[string]time.Time{}}
		s.untilTaken(c)
		for i := range idle {
			time.Sleep(700 * time.Millisecond) // so that everything is at rest again
			s.must(1 + i)
		}
		v.until(3*(idle+1), time.Minute)
		quiet := s.delays(v, 1, 1+idle)

		writes, before, began := c.writes(), c.usage(), time.Now()
		g, _ := errgroup.WithContext(b.Context())
		g.SetLimit(connections)
		for i := range n {
			g.Go(func() error {
				code, err := s.post(1 + idle + i)
				if err == nil && code != http.StatusAccepted {
					err = fmt.Errorf("delivery %d: %d; want 202", i, code)
				}
				return err
			})
		}
		if err := g.Wait(); err != nil {
			b.Fatal(err)
		}
		c.profile("profile?seconds=5", "events-cpu")
		v.until(3*(n+idle+1), 10*time.Minute)
		took, after := time.Since(began), c.usage()
		v.exactlyOnce(n+idle+1, 3)
		writes = c.writes() - writes
		c.stop()
		reportEvents(n, percentile(quiet, 99), percentile(s.delays(v, 1+idle, 1+idle+n), 99), took, after.cpu-before.cpu, writes)
	}
}

// receive creates the Workflow and returns the path of its address.
func (f *fleet) receive(b *testing.B, c *child) string {
	b.Helper()
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(received), &obj.Object); err != nil {
		b.Fatal(err)
	}
	obj.SetNamespace(f.ns)
	f.create(b, obj)
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		c.alive()
		var secret corev1.Secret
		err := f.client.Get(b.Context(), types.NamespacedName{Namespace: f.ns, Name: "received-webhook"}, &secret)
		if path := string(secret.Data["path"]); err == nil && path != "" {
			return path
		}
		if time.Now().After(deadline) {
			_ = f.client.Get(b.Context(), types.NamespacedName{Namespace: f.ns, Name: "received"}, obj)
			b.Fatalf("the Workflow has no address: %v\nstatus: %v\n%s", err, obj.Object["status"], c.log.tail())
		}
	}
}

// untilTaken posts one delivery until the gateway knows the address.
func (s *sender) untilTaken(c *child) {
	s.b.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		code, err := s.post(0)
		if code == http.StatusAccepted {
			return
		}
		if time.Now().After(deadline) {
			s.b.Fatalf("the address answers %d, %v; want 202\n%s", code, err, c.log.tail())
		}
	}
}

// reportEvents prints rows of the table that hack/bench.sh collects.
func reportEvents(n int, quiet, behind, took, cpu time.Duration, writes float64) {
	row := func(what, measured, compared, goal string, met bool) {
		mark := "yes"
		if goal == "" {
			goal, mark = "–", "–"
		} else if !met {
			mark = "**no**"
		}
		fmt.Printf("| event: %s | %d | %s | %s | %s | %s |\n", what, n, measured, compared, goal, mark)
	}
	row("committed to first request at rest, p99", fmt.Sprintf("%.2f s", quiet.Seconds()), "", "≤ 5 s", quiet <= goalIdle)
	row("committed to first request, all sent at once, p99", fmt.Sprintf("%.2f s", behind.Seconds()), "", "≤ 30 s", behind <= goalBehind)
	row("webhook to the last of three requests, as installed", fmt.Sprintf("%.0f runs/s", float64(n)/took.Seconds()),
		fmt.Sprintf("%.2f s of CPU per 1000", cpu.Seconds()*1000/float64(n)), "", true)
	row("writes to the API server meanwhile", fmt.Sprintf("%.0f requests", writes), fmt.Sprintf("%.4f a run; of status, %.3f a second", writes/float64(n), writes/took.Seconds()),
		"0 a run, ≤ 0.1 a second", writes <= max(1, goalWrites*took.Seconds()))
}
