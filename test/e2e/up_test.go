// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
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

	. "github.com/onsi/gomega"

	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

// binaries builds what `make build` does, once.
var binaries = sync.OnceValues(func() (string, error) {
	root, err := testenv.ModuleRoot()
	if err != nil {
		return "", err
	}
	localcluster := filepath.Join(root, "bin", "localcluster")
	if v := os.Getenv("SEATKEEPER_LOCALCLUSTER"); v != "" {
		localcluster = v
	}
	dir, err := os.MkdirTemp("", "seatkeeper-e2e-bin-")
	if err != nil {
		return "", err
	}
	if err := os.Symlink(localcluster, filepath.Join(dir, "localcluster")); err != nil {
		return dir, err
	}
	build := exec.Command("go", "build", "-o", dir+"/", "./cmd/seatkeeper", "./cmd/manager")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("%w\n%s", err, out)
	}
	return dir, nil
})

// up is a running `seatkeeper up`.
type up struct {
	t    *testing.T
	bin  string
	dir  string
	base int
	cmd  *exec.Cmd
	out  *lockedBuffer
	done chan error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// freePorts finds the first of eight free ports.
func freePorts(t *testing.T) int {
	t.Helper()
	for base := 31440; base < 32700; base += 8 {
		free := true
		for p := base; p < base+8 && free; p++ {
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p)))
			if free = err == nil; free {
				_ = l.Close()
			}
		}
		if free {
			return base
		}
	}
	t.Fatal("no eight free ports in a row")
	return 0
}

// start runs `seatkeeper up` until it has printed what it found.
func (u *up) start(args ...string) {
	u.t.Helper()
	u.out, u.done = &lockedBuffer{}, make(chan error, 1)
	u.cmd = exec.Command(filepath.Join(u.bin, "seatkeeper"), append([]string{"up", "--state-dir", u.dir, "--port-base", strconv.Itoa(u.base)}, args...)...)
	u.cmd.Stdout, u.cmd.Stderr = u.out, u.out
	if err := u.cmd.Start(); err != nil {
		u.t.Fatal(err)
	}
	go func() { u.done <- u.cmd.Wait() }()
	u.t.Cleanup(u.interrupt)
	deadline := time.After(2 * time.Minute)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(u.out.String(), "Ctrl-C stops") {
		select {
		case err := <-u.done:
			u.done <- err
			u.t.Fatalf("it ended: %v\n%s", err, u.out)
		case <-deadline:
			u.t.Fatalf("not ready\n%s", u.out)
		case <-tick.C:
		}
	}
}

// interrupt is Ctrl-C. It may be called again.
func (u *up) interrupt() {
	_ = u.cmd.Process.Signal(syscall.SIGINT) // it may have ended
	began := time.Now()
	err := <-u.done
	u.done <- err
	if err != nil {
		u.t.Errorf("it ended with %v\n%s", err, u.out)
	}
	if took := time.Since(began); took > 20*time.Second {
		u.t.Errorf("it took %s to stop", took)
	}
}

// run runs the command line against it.
func (u *up) run(args ...string) (stdout, stderr string, code int) {
	u.t.Helper()
	ctx, cancel := context.WithTimeout(u.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(u.bin, "seatkeeper"), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+filepath.Join(u.dir, "kubeconfig"))
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		u.t.Fatal(err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

func (u *up) decode(into any, args ...string) {
	u.t.Helper()
	out, errOut, code := u.run(append(args, "-n", "acme", "-o", "json")...)
	if code != 0 {
		u.t.Fatalf("seatkeeper %v: exit %d: %s", args, code, errOut)
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		u.t.Fatal(err)
	}
}

// sim asks the simulators' own page.
func (u *up) sim(path string, body, into any) {
	u.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		u.t.Fatal(err)
	}
	method := http.MethodPost
	if body == nil {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(u.t.Context(), method, fmt.Sprintf("http://127.0.0.1:%d/_sim/%s", u.base+7, path), bytes.NewReader(raw))
	if err != nil {
		u.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		u.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil || resp.StatusCode != http.StatusOK {
		u.t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
}

// TestUp is the first command of the README, with the real binaries.
func TestUp(t *testing.T) {
	testenv.Cluster(t) // skips where localcluster has not been built
	bin, err := binaries()
	if bin != "" {
		t.Cleanup(func() { _ = os.RemoveAll(bin) })
	}
	if err != nil {
		t.Fatal(err)
	}
	g := NewWithT(t)
	u := &up{t: t, bin: bin, dir: filepath.Join(t.TempDir(), "state"), base: freePorts(t)}
	company := []string{"--people", "60", "--seed", "7"}

	// A step that fails says which, where its log is, and what to do.
	squatter, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(u.base+4)))
	g.Expect(err).NotTo(HaveOccurred())
	_, refused, code := u.run(append([]string{"up", "--state-dir", u.dir, "--port-base", strconv.Itoa(u.base)}, company...)...)
	g.Expect(squatter.Close()).To(Succeed())
	g.Expect(code).To(Equal(1))
	g.Expect(refused).To(And(ContainSubstring(strconv.Itoa(u.base+4)), ContainSubstring("the simulated Slack"), ContainSubstring("next:"),
		ContainSubstring("process %d", os.Getpid())), "a busy port does not name its owner")

	u.start(company...)
	for _, text := range []string{"Unused for 90 days", "seatkeeper seats -n acme --use Inactive", u.dir, "kubeconfig"} {
		g.Expect(u.out.String()).To(ContainSubstring(text))
	}
	var truth fakesaas.TruthReport
	var found model.Summary
	g.Eventually(func(g Gomega) {
		u.sim("truth", fakesaas.TruthOptions{Zone: "Europe/Berlin", PriceMinorPerMonth: samplePrices}, &truth)
		u.decode(&found, "summary")
		expectTruth(g, found, &truth)
	}, wait).Should(Succeed())
	u.staysHome()

	// The same folder has one owner.
	_, second, code := u.run(append([]string{"up", "--state-dir", u.dir, "--port-base", strconv.Itoa(freePorts(t))}, company...)...)
	g.Expect(code).To(Equal(1))
	g.Expect(second).To(ContainSubstring("process %d", u.cmd.Process.Pid))

	// The printed commands work as printed.
	for line := range strings.Lines(u.out.String()) {
		if fields := strings.Fields(line); len(fields) > 0 && fields[0] == "seatkeeper" {
			args := fields[1:]
			if i := slices.Index(args, "-n"); i >= 0 {
				end := i + 2
				for end+1 < len(args) && strings.HasPrefix(args[end], "--") {
					end += 2
				}
				args = args[:end]
			}
			_, stderr, code := u.run(args...)
			g.Expect(code).To(BeZero(), "%v: %s", args, stderr)
		}
	}

	var runs, again listOf[run]
	var audit listOf[record]
	u.decode(&runs, "runs")
	g.Expect(runs.Items).NotTo(BeEmpty())
	u.interrupt()
	g.Expect(u.listening()).To(BeEmpty(), "something still listens")

	// It goes on from the same data: nobody is asked twice.
	u.start(company...)
	u.decode(&again, "runs")
	g.Expect(ids(again.Items)).To(ConsistOf(ids(runs.Items)))
	g.Eventually(func(g Gomega) { u.decode(&found, "summary"); expectTruth(g, found, &truth) }, wait).Should(Succeed())
	u.decode(&audit, "audit", "--action", "message.send")
	var messages []struct {
		User   string
		Blocks []json.RawMessage
	}
	u.sim("messages", nil, &messages)
	asked := map[string]int{}
	for _, m := range messages {
		// A manager may be asked about somebody else beside.
		question := m.User + " " + string(m.Blocks[0])
		asked[question]++
		g.Expect(asked[question]).To(Equal(1), "%s was asked twice", question)
	}
	g.Expect(audit.Items).To(HaveLen(len(messages)))
	var violations []fakesaas.Violation
	u.sim("violations", nil, &violations)
	g.Expect(violations).To(BeEmpty())

	stopped, _, code := u.run("down", "--state-dir", u.dir)
	g.Expect(code).To(BeZero())
	g.Expect(stopped).To(ContainSubstring("the data stays in " + u.dir))
	g.Eventually(u.listening, "5s").Should(BeEmpty())
	nothing, _, code := u.run("down", "--state-dir", u.dir)
	g.Expect(code).To(BeZero())
	g.Expect(nothing).To(ContainSubstring("nothing runs"))
}

func ids(runs []run) []string {
	out := make([]string, len(runs))
	for i, r := range runs {
		out[i] = r.ID
	}
	return out
}

// listening lists which of its ports are taken.
func (u *up) listening() []int {
	var taken []int
	for p := u.base; p < u.base+8; p++ {
		c, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p)), time.Second)
		if err == nil {
			taken = append(taken, p)
			_ = c.Close()
		}
	}
	return taken
}

// staysHome checks in /proc that every socket of the process tree is local.
func (u *up) staysHome() {
	u.t.Helper()
	var running struct {
		PID      int
		Children []int
	}
	data, err := os.ReadFile(filepath.Join(u.dir, "up.json"))
	if err == nil {
		err = json.Unmarshal(data, &running)
	}
	if err != nil {
		u.t.Fatal(err)
	}
	pids := append(running.Children, running.PID)
	if len(pids) != 3 {
		u.t.Fatalf("processes %v, want 3", pids)
	}
	own := map[string]bool{}
	for _, pid := range pids {
		fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		if err != nil || len(fds) == 0 {
			u.t.Fatalf("process %d: %d descriptors, %v", pid, len(fds), err)
		}
		for _, fd := range fds {
			if target, err := os.Readlink(fd); err == nil && strings.HasPrefix(target, "socket:[") {
				own[strings.Trim(strings.TrimPrefix(target, "socket:"), "[]")] = true
			}
		}
	}
	const loopback4, loopback6, mapped = "0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"
	seen := 0
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp", "/proc/net/udp6"} {
		data, err := os.ReadFile(table)
		if err != nil {
			continue // no IPv6 here
		}
		lines := bufio.NewScanner(bytes.NewReader(data))
		for lines.Scan() {
			f := strings.Fields(lines.Text())
			if len(f) < 10 || !own[f[9]] {
				continue
			}
			seen++
			local, _, _ := strings.Cut(f[1], ":")
			if local != loopback4 && local != loopback6 && local != mapped {
				u.t.Errorf("%s: a socket at %s to %s", table, f[1], f[2])
			}
		}
	}
	if seen < 8 {
		u.t.Errorf("only %d sockets were looked at", seen)
	}
}
