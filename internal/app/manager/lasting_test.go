// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"log/slog"
	"testing"

	"k8s.io/utils/clock"
	ctrlmanager "sigs.k8s.io/controller-runtime/pkg/manager"
)

// What outlasts a panic runs where it ran before.
func TestLasting(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for name, c := range map[string]struct {
		of     ctrlmanager.Runnable
		leader bool
	}{
		"of the leader":     {&janitor{}, true},
		"of every replica":  {everywhere(func(context.Context) error { panic("x") }), false},
		"that does not say": {ctrlmanager.RunnableFunc(func(context.Context) error { panic("x") }), true},
	} {
		l := lasting{c.of, clock.RealClock{}, slog.New(slog.DiscardHandler)}
		if l.NeedLeaderElection() != c.leader {
			t.Errorf("a part %s needs to lead: %t", name, !c.leader)
		}
		if _, ok := c.of.(*janitor); ok {
			continue
		}
		if err := l.Start(ctx); err != nil {
			t.Errorf("a part %s that panics ends the manager: %v", name, err)
		}
	}
}
