// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"fmt"
	"log/slog"

	"k8s.io/utils/clock"
	ctrlmanager "sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/seatkeeper/seatkeeper/internal/defect"
)

// lasting is a runnable for all tenants that begins again when it panics: what one
// of them has must not end the process, which would meet it again.
type lasting struct {
	ctrlmanager.Runnable
	clock clock.Clock
	log   *slog.Logger
}

// Start implements manager.Runnable.
func (l lasting) Start(ctx context.Context) error {
	return defect.Outlast(ctx, l.clock, l.log, fmt.Sprintf("%T", l.Runnable), l.Runnable.Start)
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (l lasting) NeedLeaderElection() bool {
	r, ok := l.Runnable.(ctrlmanager.LeaderElectionRunnable)
	return !ok || r.NeedLeaderElection()
}
