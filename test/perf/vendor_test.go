// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package perf

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// vendorEnv makes this binary the vendor, a process of its own, so that what it
// costs is not counted as ours.
const vendorEnv = "SEATKEEPER_PERF_VENDOR"

// called is a request that the vendor got.
type called struct {
	Run, Step, Key string
	At             time.Time
}

// book is what the vendor knows.
type book struct {
	mu    sync.Mutex
	calls []called
}

// serveVendor answers POST /{step} at once and counts effects by key.
func serveVendor() error {
	b := &book{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{step}", b.post)
	mux.HandleFunc("GET /calls", func(w http.ResponseWriter, _ *http.Request) {
		b.mu.Lock()
		defer b.mu.Unlock()
		_ = json.NewEncoder(w).Encode(b.calls)
	})
	mux.HandleFunc("GET /count", func(w http.ResponseWriter, _ *http.Request) {
		b.mu.Lock()
		defer b.mu.Unlock()
		_ = json.NewEncoder(w).Encode(len(b.calls))
	})
	mux.HandleFunc("GET /cpu", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(ownCPU()) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\n", l.Addr())
	return (&http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}).Serve(l)
}

func (b *book) post(w http.ResponseWriter, r *http.Request) {
	at := time.Now()
	var body struct {
		Run string `json:"run"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Run == "" {
		http.Error(w, `{"error": "want a JSON object with run"}`, http.StatusBadRequest)
		return
	}
	c := called{body.Run, r.PathValue("step"), r.Header.Get("Idempotency-Key"), at}
	b.mu.Lock()
	b.calls = append(b.calls, c)
	b.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"id": "%s-%s"}`, c.Step, c.Run)
}

func ownCPU() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// vendor is the process that answers.
type vendor struct {
	b   *testing.B
	url string
}

func startVendor(b *testing.B) *vendor {
	b.Helper()
	cmd := exec.Command(os.Args[0]) //nolint:gosec // this binary
	cmd.Env = append(os.Environ(), vendorEnv+"=1")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.Fatalf("start the vendor: %v", err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatalf("the vendor has no address: %v", err)
	}
	return &vendor{b, strings.TrimSpace(line)}
}

func (v *vendor) get(path string, into any) {
	v.b.Helper()
	res, err := http.Get(v.url + path)
	if err != nil {
		v.b.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		v.b.Fatalf("GET %s of the vendor: %v", path, err)
	}
}

// calls are the requests that it got, in order.
func (v *vendor) calls() (out []called) {
	v.b.Helper()
	v.get("/calls", &out)
	return out
}

// until waits until it got so many requests.
func (v *vendor) until(n int, limit time.Duration) {
	v.b.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		var have int
		if v.get("/count", &have); have >= n {
			return
		}
		if time.Now().After(deadline) {
			v.b.Fatalf("the vendor got %d of %d requests within %s", have, n, limit)
		}
	}
}

func (v *vendor) cpu() (d time.Duration) {
	v.b.Helper()
	v.get("/cpu", &d)
	return d
}

// exactlyOnce fails the benchmark unless each run had each effect once, each
// under a key of its own.
func (v *vendor) exactlyOnce(runs, steps int) {
	v.b.Helper()
	effects, keys := map[string]int{}, map[string]bool{}
	for _, c := range v.calls() {
		effects[c.Run+"/"+c.Step]++
		keys[c.Key] = true
	}
	for effect, n := range effects {
		if n != 1 {
			v.b.Fatalf("%s had its effect %d times", effect, n)
		}
	}
	if len(effects) != runs*steps || len(keys) != runs*steps || keys[""] {
		v.b.Fatalf("%d effects under %d keys; want %d", len(effects), len(keys), runs*steps)
	}
}
