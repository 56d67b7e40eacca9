// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package defect_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/defect"
)

func TestGuard(t *testing.T) {
	plain := errors.New("plain")
	if err := defect.Guard(func() error { return plain }); !errors.Is(err, plain) || defect.Is(err) || len(defect.Attrs(err)) != 2 {
		t.Errorf("an error comes back as %v", err)
	}
	var none []string
	for what, c := range map[string]struct {
		fn   func() error
		want string
	}{
		"the runtime":      {func() error { return errors.New(none[3]) }, "index out of range [3]"},
		"text of somebody": {func() error { panic("ada@acme.example is odd") }, "string"},
		"a wrapped error":  {func() error { panic(fmt.Errorf("ada@acme.example: %w", plain)) }, "*fmt.wrapError"},
	} {
		err := fmt.Errorf("tenant 4: %w", defect.Guard(c.fn))
		logged := fmt.Sprint(defect.Attrs(err)...)
		if !defect.Is(err) || !strings.Contains(logged, c.want) || !strings.Contains(logged, "defect_test.go") || strings.Contains(logged, "ada@") {
			t.Errorf("%s: logged as %s", what, logged)
		}
	}
}

// A part that panics has a rest and begins again; others of the process, and its
// end, are not held up.
func TestOutlast(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	clock := clocktesting.NewFakeClock(time.Now())
	begun, over := make(chan int), make(chan error, 1)
	times := 0
	go func() {
		over <- defect.Outlast(ctx, clock, slog.New(slog.DiscardHandler), "janitor", func(ctx context.Context) error {
			times++
			begun <- times
			if times < 3 {
				panic("again")
			}
			<-ctx.Done()
			return errors.New("ended")
		})
	}()
	for want := 1; want <= 3; want++ {
		if got := <-begun; got != want {
			t.Fatalf("start %d, want %d", got, want)
		}
		for want < 3 && !clock.HasWaiters() {
			runtime.Gosched()
		}
		if want < 3 {
			clock.Step(time.Minute)
		}
	}
	stop()
	if err := <-over; err == nil || err.Error() != "ended" {
		t.Errorf("it returns %v", err)
	}
}
