// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package trigger

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"testing"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

const (
	envPoint = "SEATKEEPER_CRASH_POINT"
	envDSN   = "SEATKEEPER_CRASH_DSN"
)

// TestMain lets a test kill a process that starts runs.
func TestMain(m *testing.M) {
	point := os.Getenv(envPoint)
	if point == "" {
		os.Exit(m.Run())
	}
	st, err := store.Open(context.Background(), store.Options{DSN: os.Getenv(envDSN)})
	if err != nil {
		panic(err)
	}
	failpoint.Set(func(name string) {
		if name == point {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	})
	s := NewStarter(Starter{Store: st, Language: expr.Workflow{}, Clock: clocktesting.NewFakeClock(t0), Log: slog.New(slog.DiscardHandler)})
	_, err = s.Look(context.Background())
	panic(err) // it was to be killed
}

// TestKilledWhileStarting is the row "after inbox, before run" of the crash table:
// whenever the process that starts runs is killed, each event has its run once,
// and whom a webhook brings is one person.
func TestKilledWhileStarting(t *testing.T) {
	if testing.Short() {
		t.Skip("runs child processes")
	}
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		for _, point := range []string{failpoint.RunCreatedBeforeCommit, PersonMadeBeforeRun} {
			t.Run(point, func(t *testing.T) {
				clock := clocktesting.NewFakeClock(t0)
				name := "hire-" + point
				prepare(t, dsn, clock, name)
				cmd := exec.Command(os.Args[0]) //nolint:gosec // this test itself
				cmd.Env = append(os.Environ(), envPoint+"="+point, envDSN+"="+dsn)
				cmd.Stderr = os.Stderr
				var exit *exec.ExitError
				if err := cmd.Run(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
					t.Fatalf("the child ended with %v", err)
				}
				o := newOffice(t, storetest.Open(t, dsn, storetest.WithClock(clock)), clock)
				defer func() { _ = o.store.Close() }()
				o.started(name)
				o.look()
				o.started(name, point+"@acme.example")
				o.look()
				o.started(name, point+"@acme.example")
				counts, err := o.store.PeopleCounts(o.Context(), o.tenant)
				o.must(err)
				if mails := counts[model.Lifecycle("")]; mails != map[string]int64{failpoint.RunCreatedBeforeCommit: 1, PersonMadeBeforeRun: 2}[point] {
					t.Errorf("people: %v", counts)
				}
			})
		}
	})
}

// prepare leaves an event for whoever looks next.
func prepare(t *testing.T, dsn string, clock *clocktesting.FakeClock, name string) {
	t.Helper()
	o := newOffice(t, storetest.Open(t, dsn, storetest.WithClock(clock)), clock)
	o.workflow(name, Spec{Webhook: &Webhook{Match: []Match{{MatchEmail, "${body.email}"}}, Create: true}, Subject: workflow.SubjectPerson})
	o.hooks = len(name) // ids of events are unique in a tenant
	o.hook(name, `{"email": "`+name[len("hire-"):]+`@acme.example"}`)
	if err := o.store.Close(); err != nil {
		t.Fatal(err)
	}
}
