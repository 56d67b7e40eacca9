// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

// known refuses where an effect may be there that nobody has looked at.
func (r *rewinding) known() error {
	unknown := r.loaded.Intent != nil || r.cur.inDoubt() || r.vars.text("failure.reason") == reasonUnknown || r.run.Reason == reasonUnknown || r.vars.text(varUnknown) != ""
	switch {
	case !unknown:
		return r.knownBelow()
	case r.loaded.Intent != nil && r.run.State == store.RunStopped:
		return refused("whether step %q of run %s had its effect is being found out: resume the run, then it is", StepName(r.at()), r.run.ID)
	case r.run.State == store.RunAttention:
		return refused("step %q of run %s may have had its effect: look at the vendor, then `seatkeeper runs resolve %s --how retry`, skip or fail", StepName(r.at()), r.run.ID, r.run.ID)
	case r.verb.LookedAt:
		return r.knownBelow()
	}
	return refused("step %q of run %s may have had its effect, and doing it again could double it: look at the vendor, then say --yes, or skip the step", StepName(r.at()), r.run.ID)
}

// knownBelow is known of the runs that this one started, and of those below them.
func (r *rewinding) knownBelow() error {
	again := map[string]bool{}
	for _, c := range slices.Concat(r.loaded.Children, r.loaded.Deeper) {
		if c.ParentID == r.run.ID {
			again[c.ID] = r.again(c)
		} else {
			again[c.ID] = again[c.ParentID]
		}
		switch {
		case !again[c.ID]:
		case c.State == store.RunInFlight:
			return refused("run %s, below run %s, has a call under way whose outcome is not known yet: try again when it has ended", c.ID, r.run.ID)
		case !r.verb.LookedAt && unknownIn(c):
			return refused("step %q of run %s, below run %s, may have had its effect, and doing it again could double it: look at the vendor, then say --yes, or skip the step", StepName(c.StepPath), c.ID, r.run.ID)
		}
	}
	return nil
}

// unknownIn reports that a run leaves an effect behind of which nobody knows
// whether it is there.
func unknownIn(c store.Run) bool {
	var cur cursor
	if err := json.Unmarshal(orObject(c.Cursor), &cur); err != nil {
		return true
	}
	v, err := parseVars(c.Vars)
	return err != nil || cur.inDoubt() || c.Reason == reasonUnknown || v.text("failure.reason") == reasonUnknown || v.text(varUnknown) != ""
}

// again reports that what a run did is done again by others: it was started since a
// person last sent the run around it back. Runs for accounts do not say when.
func (r *rewinding) again(c store.Run) bool {
	n, err := strconv.Atoi(c.TriggerKey[strings.LastIndexByte(c.TriggerKey, '/')+1:])
	switch {
	case err != nil || c.Kind == KindOffboarding:
		return true
	case c.Kind == KindWorkflow:
		n /= maxGenerations
	}
	return n == r.cur.Round
}

// inDoubt reports that an attempt of the step may have had its effect.
func (c cursor) inDoubt() bool { return c.Lost || c.Asking == callResolve }

// doubled reports that going on with the step could have its effect twice: nobody
// knows of an attempt, and the vendor would not know another for the same.
func (r *rewinding) doubled() bool {
	switch r.cur.Info.Class {
	case ClassRead, ClassIdempotent, ClassKeyed:
		return false
	}
	return r.cur.inDoubt() && r.loaded.Intent == nil
}
