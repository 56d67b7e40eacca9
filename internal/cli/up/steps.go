// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package up

import (
	"context"
	"fmt"
	"io"
	"time"

	"k8s.io/utils/clock"
)

// heartbeat is the longest silence of a running step.
const heartbeat = 10 * time.Second

// StepError says which step failed, where its log is and what to run next.
type StepError struct {
	Step string
	Log  string // path; empty if the step has no log
	Next string // a command
	Err  error
}

func (e *StepError) Error() string {
	s := fmt.Sprintf("step %q failed: %v", e.Step, e.Err)
	if e.Log != "" {
		s += "\n  log:  " + e.Log
	}
	if e.Next != "" {
		s += "\n  next: " + e.Next
	}
	return s
}

func (e *StepError) Unwrap() error { return e.Err }

// step is one named part of the start.
type step struct {
	name     string
	estimate time.Duration
	log      string // path of the log to look at when it fails
	next     string // command to run when it fails
	run      func(ctx context.Context, say func(string)) error
}

// progress prints steps as plain lines, which read the same on a terminal and
// in a log file.
type progress struct {
	out   io.Writer
	clock clock.WithTicker
}

// do runs the steps in order. A step that is still running says so at every
// heartbeat, with the last thing it reported.
func (p progress) do(ctx context.Context, steps []step) error {
	for i, s := range steps {
		label := fmt.Sprintf("[%d/%d] %s", i+1, len(steps), s.name)
		_, _ = fmt.Fprintf(p.out, "%s (about %s)\n", label, s.estimate)
		start := p.clock.Now()
		if err := p.runOne(ctx, label, s); err != nil {
			return &StepError{Step: s.name, Log: s.log, Next: s.next, Err: err}
		}
		_, _ = fmt.Fprintf(p.out, "%s done in %.1f s\n", label, p.clock.Since(start).Seconds())
	}
	return nil
}

func (p progress) runOne(ctx context.Context, label string, s step) error {
	said, done := make(chan string, 16), make(chan error, 1)
	go func() {
		done <- s.run(ctx, func(msg string) {
			select {
			case said <- msg:
			default: // progress is a courtesy: never block the work for it
			}
		})
	}()
	tick := p.clock.NewTicker(heartbeat)
	defer tick.Stop()
	start, last := p.clock.Now(), ""
	for {
		select {
		case err := <-done:
			return err
		case last = <-said:
		case <-tick.C():
			line := fmt.Sprintf("%s … %d s", label, int(p.clock.Since(start).Seconds()))
			if last != "" {
				line += ": " + last
			}
			_, _ = fmt.Fprintln(p.out, line)
		}
	}
}
