// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package perf

import (
	"fmt"
	"maps"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

func TestMain(m *testing.M) {
	if os.Getenv(vendorEnv) != "" {
		if err := serveVendor(); err != nil {
			fmt.Fprintln(os.Stderr, "vendor:", err)
			os.Exit(1)
		}
		return
	}
	testenv.Start(m)
}

// Goals for 10,000 Applications and 1,000 Workflows.
const (
	goalResident = 350 << 20 // bytes
	goalCores    = 0.02
	goalStart    = 30 * time.Second
)

// refresh is how often the roll-up of an Application is made again although
// nothing changed (controllers/application).
const refresh = time.Hour

// number reads a size from the environment.
func number(b *testing.B, name string, unset int) int {
	b.Helper()
	text := os.Getenv(name)
	if text == "" {
		return unset
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		b.Fatalf("%s=%q: want a number from 1", name, text)
	}
	return n
}

// BenchmarkManager measures the manager with SEATKEEPER_BENCH_APPS Applications
// (10,000) and a tenth as many Workflows beside the sample company: until all are Ready, at rest for
// SEATKEEPER_BENCH_IDLE seconds (60), and after a restart.
func BenchmarkManager(b *testing.B) {
	apps := number(b, "SEATKEEPER_BENCH_APPS", 10_000)
	window := time.Duration(number(b, "SEATKEEPER_BENCH_IDLE", 60)) * time.Second
	env := testenv.Cluster(b)
	binary, dir, sim := buildManager(b), b.TempDir(), vendors(b)
	var flags []string
	for host, url := range sim.Endpoints() {
		flags = append(flags, "--connector-endpoint", host+"="+url)
	}
	for b.Loop() {
		f := newFleet(b, env, apps)
		flags := append(flags, "--watch-namespace", f.ns)
		f.applySample(b)
		c := startChild(b, binary, env.Kubeconfig, dir, flags...)
		start := time.Now()
		f.createAll(b)
		created := time.Since(start)
		f.untilReady(b, c)
		ready := time.Since(start)
		settled := f.untilSilent(b, c)
		first := f.atRest(b, c, settled, window, "first")
		c.stop()
		settled, _ = f.state(b)

		// As after an upgrade: everything is there and nothing needs a write.
		c = startChild(b, binary, env.Kubeconfig, dir, flags...)
		restart := c.untilReconciled(f)
		pass := c.usage().cpu
		restarted := f.moved(b, settled)
		settled = f.untilSilent(b, c)
		again := f.atRest(b, c, settled, window, "restart")
		again.writes, again.moved = c.writes(), again.moved+restarted // since its start
		c.stop()
		report(b, apps, created, ready, first, restart, pass, again)
	}
}

// rest is what the manager costs while nothing happens.
type rest struct {
	usage
	cores  float64
	writes float64 // requests that write, by the manager's own count
	moved  int     // objects whose resourceVersion changed
}

// atRest lets a window of time pass in which nothing is asked of the manager.
func (f *fleet) atRest(b *testing.B, c *child, settled map[string]string, window time.Duration, name string) rest {
	b.Helper()
	c.profile("heap", name+"-heap")
	writes, before := c.writes(), c.usage()
	time.Sleep(window) // what is measured is time in which nothing happens
	after := c.usage()
	r := rest{usage: after, cores: (after.cpu - before.cpu).Seconds() / after.at.Sub(before.at).Seconds(), writes: c.writes() - writes}
	r.moved = f.moved(b, settled)
	return r
}

// moved counts the objects that were written since, and names them in the log.
func (f *fleet) moved(b *testing.B, since map[string]string) (n int) {
	b.Helper()
	now, _ := f.state(b)
	for key, version := range now {
		if since[key] == version {
			continue
		}
		if n++; n <= 10 {
			b.Logf("%s was written: from resourceVersion %s to %s", key, since[key], version)
		}
	}
	return n
}

// untilReady waits until every Application and Workflow is Ready.
func (f *fleet) untilReady(b *testing.B, c *child) {
	b.Helper()
	// The status limit alone needs this long, and twice as much again is failure.
	deadline := time.Now().Add(2*time.Minute + 3*time.Duration(f.size())*time.Second/reconcile.StatusWritesPerSecond)
	for {
		c.alive()
		// The manager's own count is cheap; the API server is asked only when all
		// may be there.
		if c.writes() >= float64(f.size()) {
			if _, ready := f.state(b); ready >= f.size() {
				return
			}
		}
		if time.Now().After(deadline) {
			_, ready := f.state(b)
			b.Fatalf("%d of %d Applications and Workflows are Ready\n%s", ready, f.size(), c.log.tail())
		}
		time.Sleep(time.Second)
	}
}

// untilSilent waits until the manager has written nothing for longer than any
// held-back status write takes.
func (f *fleet) untilSilent(b *testing.B, c *child) map[string]string {
	b.Helper()
	const quiet = reconcile.StatusWriteInterval + 10*time.Second
	deadline := time.Now().Add(5*time.Minute + 3*time.Duration(f.size())*time.Second/reconcile.StatusWritesPerSecond)
	last, since := c.writes(), time.Now()
	for time.Since(since) < quiet {
		if time.Now().After(deadline) {
			b.Fatalf("the manager still writes: %.0f requests, %.0f when last looked at", c.writes(), last)
		}
		time.Sleep(time.Second)
		if now := c.writes(); now != last {
			last, since = now, time.Now()
		}
	}
	versions, _ := f.state(b)
	return maps.Clone(versions)
}

// untilReconciled waits until as many passes over Applications and Workflows were
// made as there are.
func (c *child) untilReconciled(f *fleet) time.Duration {
	c.b.Helper()
	start := time.Now()
	for c.reconciled("application") < float64(f.apps) || c.reconciled("workflow") < float64(f.workflows()) {
		if time.Since(start) > 10*time.Minute {
			c.b.Fatalf("%.0f of %d Applications and %.0f of %d Workflows were looked at after a restart\n%s",
				c.reconciled("application"), f.apps, c.reconciled("workflow"), f.workflows(), c.log.tail())
		}
		time.Sleep(100 * time.Millisecond)
	}
	return time.Since(start)
}

// report prints rows of the table that hack/bench.sh collects.
func report(b *testing.B, apps int, created, ready time.Duration, first rest, restart, pass time.Duration, again rest) {
	row := func(what, measured, compared, goal string, met bool) {
		mark := "yes"
		if goal == "" {
			goal, mark = "–", "–"
		} else if !met {
			mark = "**no**"
		}
		fmt.Printf("| %s | %d | %s | %s | %s | %s |\n", what, apps, measured, compared, goal, mark)
	}
	mib := func(n int64) string { return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20)) }
	limit := time.Duration(apps+apps/10) * time.Second / reconcile.StatusWritesPerSecond
	row("manager: Applications and a tenth as many Workflows created until all Ready", fmt.Sprintf("%.0f s", ready.Seconds()),
		fmt.Sprintf("%.0f s is what %d status writes a second allow; creating took %.0f s", limit.Seconds(), reconcile.StatusWritesPerSecond, created.Seconds()), "", true)
	row("manager at rest: resident memory", mib(first.resident), "peak "+mib(first.peak)+" since its start", "≤ 350 MiB", first.resident <= goalResident)
	row("manager at rest: CPU", fmt.Sprintf("%.4f core", first.cores), "", "≤ 0.02 core", first.cores <= goalCores)
	row("manager at rest: writes to the API server", fmt.Sprintf("%.0f requests, %d objects changed", first.writes, first.moved), "", "0", first.writes == 0 && first.moved == 0)
	row("manager restarted: until each was looked at", fmt.Sprintf("%.1f s", restart.Seconds()), fmt.Sprintf("%.1f s of CPU", pass.Seconds()), "≤ 30 s", restart <= goalStart)
	row("manager restarted: writes to the API server since the start", fmt.Sprintf("%.0f requests, %d objects changed", again.writes, again.moved), "", "0", again.writes == 0 && again.moved == 0)
	row("manager restarted, at rest: resident memory", mib(again.resident), "peak "+mib(again.peak)+" since its start", "≤ 350 MiB", again.resident <= goalResident)
	hourly := again.cores + pass.Seconds()/refresh.Seconds()
	row("manager restarted, at rest: CPU, the hourly look at each included", fmt.Sprintf("%.4f core", hourly),
		fmt.Sprintf("%.4f core without it", again.cores), "≤ 0.02 core", hourly <= goalCores)
	b.ReportMetric(float64(first.resident)/(1<<20), "MiB")
	b.ReportMetric(first.cores, "cores")
	b.ReportMetric(first.writes, "writes")
}
