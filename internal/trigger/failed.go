// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package trigger

import (
	"context"

	"github.com/seatkeeper/seatkeeper/internal/defect"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// failed writes down that nothing could be made of a fact now, so that it holds up
// no other. What a guard holds, or a person released, stays so.
func (l *look) failed(ctx context.Context, w *watch, f fact, err error) error {
	if ctx.Err() != nil {
		return err // nothing is wrong with the fact
	}
	v := wait(l.now.Add(lookAgain), ReasonFailed, "the run could not be started, which is tried again every minute: %v", err)
	switch {
	case l.now.Sub(f.due) > tooLate:
		v = skip(l.now, ReasonTooLate, "the run could not be started for a week: %v", err)
	case f.row != nil && (f.row.State == store.StartHeld || f.row.State == store.StartReleased):
		v.state = f.row.State
	}
	l.note(ctx, w, f, v)
	l.failures = append(l.failures, failure{w.Name, err})
	l.defect(err)
	return nil
}

// failure is that nothing could be made of a fact about a Workflow.
type failure struct {
	workflow string
	err      error
}

// tell counts what failed in a look, and logs it once for each Workflow.
func (l *look) tell() {
	told := map[string]bool{}
	for _, f := range l.failures {
		if l.OnFailed != nil {
			l.OnFailed(l.tenant, f.workflow)
		}
		if !told[f.workflow] {
			told[f.workflow] = true
			l.Log.Error("Runs of a Workflow cannot be started and are tried again in a minute: `seatkeeper starts` lists them", append([]any{"tenant", l.tenant, "workflow", f.workflow}, defect.Attrs(f.err)...)...)
		}
	}
}

// fresh reports a fact that was not looked at before: one that is written down only
// because looking at it failed is none.
func (f fact) fresh() bool {
	return f.row == nil || f.row.Reason == ReasonFailed && f.due.Equal(f.at)
}
