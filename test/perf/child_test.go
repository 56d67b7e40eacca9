// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package perf

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

// buildManager builds the binary as it is released.
func buildManager(b *testing.B) string {
	b.Helper()
	root, err := testenv.ModuleRoot()
	if err != nil {
		b.Fatal(err)
	}
	out := filepath.Join(b.TempDir(), "manager")
	cmd := exec.CommandContext(b.Context(), "go", "build", "-ldflags", "-s -w", "-o", out, "./cmd/manager")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("build the manager: %v\n%s", err, text)
	}
	return out
}

// child is a running manager.
type child struct {
	b       *testing.B
	cmd     *exec.Cmd
	metrics string // address
	pprof   string // address
	log     lockedBuffer
	exited  chan error
	ended   bool
}

// startChild starts the manager on a kubeconfig, with its state in dir.
func startChild(b *testing.B, binary, kubeconfig, dir string, more ...string) *child {
	b.Helper()
	c := &child{b: b, metrics: freeAddress(b), pprof: freeAddress(b), exited: make(chan error, 1)}
	c.cmd = exec.Command(binary, append([]string{"--store", "sqlite:" + dir, "--metrics-bind-address", c.metrics, "--health-probe-bind-address", "0",
		"--pprof-bind-address", c.pprof, "--log-level", "warn"}, more...)...)
	c.cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	c.cmd.Stdout, c.cmd.Stderr = &c.log, &c.log
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.cmd.Start(); err != nil {
		b.Fatalf("start the manager: %v", err)
	}
	go func() { c.exited <- c.cmd.Wait() }()
	b.Cleanup(c.stop)
	return c
}

// stop ends the manager as Kubernetes would.
func (c *child) stop() {
	if c.ended {
		return
	}
	c.ended = true
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.exited:
	case <-time.After(time.Minute):
		c.b.Errorf("the manager did not stop within a minute")
		_ = c.cmd.Process.Kill()
	}
}

// alive fails the benchmark if the manager has ended.
func (c *child) alive() {
	c.b.Helper()
	select {
	case err := <-c.exited:
		c.ended = true
		c.b.Fatalf("the manager ended: %v\n%s", err, c.log.tail())
	default:
	}
}

// usage is what the kernel knows of the process.
type usage struct {
	resident, peak int64 // bytes
	cpu            time.Duration
	at             time.Time
}

// clockTick is USER_HZ, which Linux fixes at 100 for /proc on every platform
// that Go supports.
const clockTick = time.Second / 100

func (c *child) usage() usage {
	c.b.Helper()
	c.alive()
	u := usage{at: time.Now()}
	base := fmt.Sprintf("/proc/%d/", c.cmd.Process.Pid)
	status, err := os.ReadFile(base + "status")
	if err != nil {
		c.b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		if name != "VmRSS" && name != "VmHWM" || len(fields) == 0 {
			continue
		}
		kib, err := strconv.ParseInt(fields[0], 10, 64)
		if err != nil {
			c.b.Fatal(err)
		}
		if name == "VmRSS" {
			u.resident = kib << 10
		} else {
			u.peak = kib << 10
		}
	}
	stat, err := os.ReadFile(base + "stat")
	if err != nil {
		c.b.Fatal(err)
	}
	// The second field, the command in parentheses, may hold spaces; utime and
	// stime are fields 14 and 15 (proc_pid_stat(5)).
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	for _, f := range fields[11:13] {
		ticks, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			c.b.Fatal(err)
		}
		u.cpu += time.Duration(ticks) * clockTick
	}
	return u
}

// sum adds up the manager's samples of a counter of which a label has one of
// the values; it is 0 while the manager does not serve metrics yet.
func (c *child) sum(name, label string, values ...string) (total float64) {
	c.b.Helper()
	c.alive()
	res, err := http.Get("http://" + c.metrics + "/metrics")
	if err != nil {
		return 0
	}
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		sample, ok := strings.CutPrefix(lines.Text(), name+"{")
		labels, value, isSample := strings.Cut(sample, "} ")
		if !ok || !isSample || !slices.ContainsFunc(values, func(v string) bool { return strings.Contains(","+labels+",", fmt.Sprintf(",%s=%q,", label, v)) }) {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			c.b.Fatalf("metric %s: %v", name, err)
		}
		total += n
	}
	if err := lines.Err(); err != nil {
		c.b.Fatalf("read the manager's metrics: %v", err)
	}
	return total
}

// writes counts the manager's own requests to the API server that write.
func (c *child) writes() float64 {
	c.b.Helper()
	return c.sum("rest_client_requests_total", "method", http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete)
}

func (c *child) reconciled(controller string) float64 {
	c.b.Helper()
	return c.sum("controller_runtime_reconcile_total", "controller", controller)
}

// profile writes a profile of the manager into SEATKEEPER_BENCH_PROFILES, if set.
func (c *child) profile(kind, name string) {
	dir := os.Getenv("SEATKEEPER_BENCH_PROFILES")
	if dir == "" {
		return
	}
	res, err := http.Get("http://" + c.pprof + "/debug/pprof/" + kind)
	if err != nil {
		c.b.Logf("profile %s: %v", kind, err)
		return
	}
	defer func() { _ = res.Body.Close() }()
	f, err := os.Create(filepath.Join(dir, name+".pprof"))
	if err != nil {
		c.b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.ReadFrom(res.Body); err != nil {
		c.b.Logf("profile %s: %v", kind, err)
	}
}

func freeAddress(b *testing.B) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// lockedBuffer keeps what the manager logs.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lockedBuffer) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.buf.String()
	return text[max(0, len(text)-4000):]
}
