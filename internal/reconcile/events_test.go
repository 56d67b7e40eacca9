// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"k8s.io/client-go/tools/events"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/reconcile/reconciletest"
)

// Rule 47: an event per transition, and the same one not again and again.
func TestEventsOnTransitionsOnly(t *testing.T) {
	f := newFixture(t)
	recorder := events.NewFakeRecorder(32)
	f.loop.Env.Events = reconcile.NewEvents(recorder, f.clock)
	app := f.create(t)
	var err error
	f.step = func(context.Context, *v1alpha1.Application, *reconcile.Conditions) (reconcile.Outcome, error) {
		return reconcile.Outcome{}, err
	}
	seen := func() (out []string) {
		for {
			select {
			case e := <-recorder.Events:
				out = append(out, e)
			default:
				return out
			}
		}
	}
	want := func(n int, word string) {
		t.Helper()
		reconciletest.Steady(t, f.client, app, f.loop)
		if got := seen(); len(got) != n || (n > 0 && !strings.Contains(got[0], word)) {
			t.Errorf("events %q; want %d with %q", got, n, word)
		}
	}
	want(1, "Normal Reconciled")
	want(0, "")
	err = errors.New("connection refused")
	want(1, "Warning TransientError")
	err = nil
	want(0, "") // was told within the last ten minutes
	f.clock.Step(11 * time.Minute)
	err = errors.New("connection refused")
	want(1, "Warning TransientError")
}

func TestMessageIsBoundedText(t *testing.T) {
	long := reconcile.Message(strings.Repeat("ü", reconcile.MaxMessage))
	if len(long) > reconcile.MaxMessage || !utf8.ValidString(long) || !strings.HasSuffix(long, "…") {
		t.Errorf("%d bytes, valid %v", len(long), utf8.ValidString(long))
	}
	// A calendar date is what the message is about, not when it was written.
	if got := reconcile.Message("cancel by\n 2027-01-30"); got != "cancel by 2027-01-30" {
		t.Error(got)
	}
	if got := reconcile.List([]string{"c", "a", "b"}, 2); got != "a, b, …" {
		t.Error(got)
	}
}

func TestVerbatimKeepsWhatPeopleApply(t *testing.T) {
	text := `apply: {"config":{"tenant":"7f3c1a52-90ab-4cde-8123-4567890abcde","text":"two  spaces"},"more":"` + strings.Repeat("x", reconcile.MaxMessage) + `"}`
	if got := reconcile.Verbatim(text); got != text {
		t.Errorf("changed: %s", got)
	}
	if got := reconcile.Verbatim(strings.Repeat("ü", reconcile.MaxVerbatim)); len(got) > reconcile.MaxVerbatim || !utf8.ValidString(got) {
		t.Errorf("%d bytes", len(got))
	}
}

func FuzzMessage(f *testing.F) {
	f.Add("failed at 2026-11-21T12:00:00Z")
	f.Add("\xff\xfe")
	f.Fuzz(func(t *testing.T, text string) {
		got := reconcile.Message(text)
		if len(got) > reconcile.MaxMessage || strings.ContainsAny(got, "\n\t") {
			t.Errorf("%q", got)
		}
		if utf8.ValidString(text) && !utf8.ValidString(got) {
			t.Errorf("not UTF-8: %q", got)
		}
	})
}

func TestJitterStaysWithinTenPercent(t *testing.T) {
	spread := map[time.Duration]bool{}
	for range 1000 {
		d := reconcile.Jitter(time.Hour)
		if d < 54*time.Minute || d > 66*time.Minute {
			t.Fatal(d)
		}
		spread[d] = true
	}
	if len(spread) < 900 || reconcile.Jitter(0) != 0 {
		t.Errorf("%d different of 1000, Jitter(0) = %s", len(spread), reconcile.Jitter(0))
	}
}
