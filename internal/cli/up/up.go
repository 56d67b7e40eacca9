// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package up runs the whole of Seatkeeper on one machine: an embedded control
// plane, the manager with the gateway on SQLite, and simulated vendors of an
// invented company, all under one folder and one Ctrl-C.
package up

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/cli/preflight"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
)

// Namespace is where the sample company lives.
const Namespace = "acme"

// Options of a start.
type Options struct {
	StateDir string
	BinDir   string // where localcluster and manager are
	PortBase int
	// Simulate starts the simulated vendors and applies the sample company.
	// Without it the control plane is empty, ready for `seatkeeper import`.
	Simulate bool
	People   int    // size of the simulated company
	Seed     uint64 // two starts with the same seed and size are the same company
	Out      io.Writer
	Clock    clock.WithTicker
	// Ready, if not nil, is called once the summary is printed.
	Ready func(*Running)
}

// Running is a start that is ready.
type Running struct {
	Kubeconfig string
	Config     *rest.Config
	Gateway    string // base URL
	GatewayCA  string // PEM file
	Simulators *fakesaas.Server
}

// machine is the state of one start.
type machine struct {
	Options
	running  Running
	children []*process
}

// Run starts everything, prints what was found and blocks until ctx ends or a
// part of it stops. The data stays for the next start.
func Run(ctx context.Context, o Options) error {
	if err := o.complete(); err != nil {
		return err
	}
	m := &machine{Options: o, running: Running{Kubeconfig: filepath.Join(o.StateDir, "kubeconfig")}}
	if err := m.claim(); err != nil {
		return err
	}
	defer m.stop()
	m.say("Seatkeeper on this machine; all state is in %s", o.StateDir)
	if err := (progress{out: o.Out, clock: o.Clock}).do(ctx, m.steps()); err != nil {
		if ctx.Err() != nil {
			return nil // Ctrl-C while starting is no failure
		}
		return err
	}
	if err := m.summarise(ctx); err != nil {
		return &StepError{Step: "summary", Log: m.logFile("manager"), Next: "seatkeeper integrations -n " + Namespace, Err: err}
	}
	if o.Ready != nil {
		o.Ready(&m.running)
	}
	return m.wait(ctx)
}

func (o *Options) complete() error {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.PortBase == 0 {
		o.PortBase = preflight.DefaultPortBase
	}
	if o.Simulate && (o.People < 1 || o.People > 100_000) {
		return fmt.Errorf("--people %d: want 1 to 100000", o.People)
	}
	if o.BinDir == "" {
		exe, err := os.Executable()
		if err != nil {
			return err
		}
		o.BinDir = filepath.Dir(exe)
	}
	dir, err := filepath.Abs(o.StateDir)
	if err != nil {
		return err
	}
	o.StateDir = dir
	for _, sub := range []string{"logs", "gateway", "store"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return fmt.Errorf("create the state folder: %w", err)
		}
	}
	return nil
}

func (m *machine) steps() []step {
	steps := []step{
		{name: "examine this machine", estimate: time.Second, run: m.examine,
			next: "mend what is named above, then start again"},
		{name: "start the control plane", estimate: 5 * time.Second, run: m.startControlPlane,
			log: m.logFile("control-plane"), next: "seatkeeper down, then start again"},
		{name: "install the API", estimate: 3 * time.Second, run: m.installAPI,
			log: m.logFile("control-plane"), next: "kubectl --kubeconfig " + m.running.Kubeconfig + " get crd"},
	}
	if m.Simulate {
		steps = append(steps, step{name: "start the simulated vendors", estimate: time.Second, run: m.startSimulators,
			next: "start again with the same --people and --seed, or with another --state-dir"})
	}
	steps = append(steps, step{name: "start manager and gateway", estimate: 5 * time.Second, run: m.startManager,
		log: m.logFile("manager"), next: "less " + m.logFile("manager")})
	if m.Simulate {
		steps = append(steps,
			step{name: "apply config/samples/acme", estimate: 2 * time.Second, run: m.applySamples,
				log: m.logFile("manager"), next: "kubectl --kubeconfig " + m.running.Kubeconfig + " get integrations -n " + Namespace},
			step{name: "first sync and evaluation", estimate: 20 * time.Second, run: m.awaitFirstSync,
				log: m.logFile("manager"), next: "kubectl --kubeconfig " + m.running.Kubeconfig + " describe integrations -n " + Namespace})
	}
	return steps
}

// claim refuses a second start in the same folder and writes down who we are.
func (m *machine) claim() error {
	if r := preflight.ReadRunning(m.StateDir); r.PID > 0 && r.PID != os.Getpid() && isSeatkeeper(r.PID) {
		return fmt.Errorf("%s is in use by process %d, which was started earlier; stop it with `seatkeeper down --state-dir %s`", m.StateDir, r.PID, m.StateDir)
	}
	return m.writeRunning()
}

func (m *machine) writeRunning() error {
	r := preflight.Running{PID: os.Getpid()}
	for _, c := range m.children {
		r.Children = append(r.Children, c.cmd.Process.Pid)
	}
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(preflight.RunningFile(m.StateDir), data, 0o600)
}

func (m *machine) examine(context.Context, func(string)) error {
	ports := preflight.Ports(m.PortBase)
	if !m.Simulate {
		ports = ports[:preflight.PortOkta]
	}
	var errs []error
	for _, p := range preflight.Check(preflight.Needs{Dir: m.StateDir, DiskMiB: preflight.RunDiskMiB, MemoryMiB: preflight.MemoryMiB / 2, Ports: ports}) {
		errs = append(errs, errors.New(p.String()))
	}
	for _, binary := range []string{"localcluster", "manager"} {
		if _, err := os.Stat(filepath.Join(m.BinDir, binary)); err != nil {
			errs = append(errs, fmt.Errorf("%s is not beside this program in %s; build it with `make build localcluster`", binary, m.BinDir))
		}
	}
	return errors.Join(errs...)
}

// wait blocks until ctx ends or a child does.
func (m *machine) wait(ctx context.Context) error {
	ended := make(chan error, len(m.children))
	for _, c := range m.children {
		go func() {
			<-c.done
			ended <- c.alive()
		}()
	}
	select {
	case <-ctx.Done():
		m.say("\nStopping. The data stays in %s; the next start continues from it.", m.StateDir)
		return nil
	case err := <-ended:
		return &StepError{Step: "run", Err: err, Next: "start again; it continues from the same data"}
	}
}

// stop ends the children, newest first, so that the manager still has its API
// server while it stops.
func (m *machine) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*stopGrace)
	defer cancel()
	for i := len(m.children) - 1; i >= 0; i-- {
		m.children[i].stop(ctx)
	}
	if m.running.Simulators != nil {
		_ = m.running.Simulators.Close() // its state was saved at each change
	}
	_ = os.Remove(preflight.RunningFile(m.StateDir))
}

func (m *machine) say(format string, args ...any) {
	_, _ = fmt.Fprintf(m.Out, format+"\n", args...)
}

func (m *machine) logFile(name string) string {
	return filepath.Join(m.StateDir, "logs", name+".log")
}

func (m *machine) port(offset int) int { return m.PortBase + offset }

func (m *machine) loadKubeconfig() error {
	cfg, err := clientcmd.BuildConfigFromFlags("", m.running.Kubeconfig)
	if err != nil {
		return fmt.Errorf("read %s: %w", m.running.Kubeconfig, err)
	}
	cfg.QPS, cfg.Burst = 50, 100
	m.running.Config = cfg
	return nil
}
