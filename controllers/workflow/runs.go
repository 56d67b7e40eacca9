// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"fmt"
	"time"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// runCounts are the runs as the status has them.
func runCounts(load store.RunCounts) *v1alpha1.RunCounts {
	out := &v1alpha1.RunCounts{Running: int64(load.Ready + load.InFlight), Waiting: int64(load.Waiting), Attention: int64(load.Attention)}
	if load.Parked != nil {
		out.OldestAttention = load.Parked.ID
	}
	if load.Failed != nil {
		out.LastFailed = load.Failed.ID
	}
	return out
}

// noteRuns says in conditions what operators are to look at. They change when
// another run does, not with time.
func noteRuns(name string, c *reconcile.Conditions, load store.RunCounts) {
	if run := load.Parked; run != nil {
		waits := "1 run waits"
		if load.Attention > 1 {
			waits = fmt.Sprintf("%d runs wait", load.Attention)
		}
		c.True(v1alpha1.ConditionAttentionNeeded, v1alpha1.ReasonRunsNeedAttention, fmt.Sprintf(
			"%s for a person to say how to go on, the oldest since %s (%s): `seatkeeper runs --workflow %s --state attention` lists them, and `seatkeeper runs` with the id in status.runs.oldestAttention says what to look at",
			waits, run.At.Format(time.DateOnly), run.Reason, name))
	}
	if run := load.Failed; run != nil {
		c.True(v1alpha1.ConditionLastRunFailed, v1alpha1.ReasonLastRunFailed, fmt.Sprintf(
			"the newest run that has ended failed on %s (%s): `seatkeeper runs` with the id in status.runs.lastFailed says at which step and why", run.At.Format(time.DateOnly), run.Reason))
	}
}
