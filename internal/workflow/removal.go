// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

// inputUserID is the input of an action that names the account.
const inputUserID = "userId"

// mayRemove asks the guard whether the next account may lose its access, once for
// each effect. Where it may not yet, the turn is over. A run of a LicensePolicy, and
// one for an account of a leaver, stands for the account: its own guard counted it.
func (t *turn) mayRemove(c Call) bool {
	if t.run.Kind != KindWorkflow && t.run.Kind != KindItem {
		return true
	}
	if t.cur.Passed || t.dryRun() || t.ownAccount(c) {
		return true
	}
	if t.removal == nil { // the next turn knows how it stands with the guard
		t.change.RemovalAsk = &store.RemovalAsk{Target: t.removalTarget(c), Wants: t.toCome()}
		t.run.State, t.run.DueAt = store.RunReady, t.now
		t.run.Reason, t.run.Message = store.ReasonGuardHeld, "how many accounts the guard lets pass is being looked at"
		t.done = true
		return false
	}
	answer := judgeRemoval(*t.removal)
	t.change.Removal = &answer
	if answer.Held {
		g := *t.removal
		t.sleep(t.now.Add(holdFor), store.ReasonGuardHeld, fmt.Sprintf("the runs of Workflow %s take access from at most %d accounts of others in %s, and have from %d: `seatkeeper guards %s/%s` lists what is held, and `seatkeeper release` lets it go",
			g.Workflow, g.Allowed(), g.Per, g.Taken, store.HoldRemovals, g.Workflow))
		return false
	}
	t.cur.Passed = true
	t.run.Reason, t.run.Message = "", ""
	return true
}

// judgeRemoval decides about one more account: one that was counted passes, and
// another as long as the guard leaves room, or what a person released. It is pure.
func judgeRemoval(g store.RemovalGuard) store.RemovalAnswer {
	switch {
	case g.Known || g.Taken < g.Allowed():
		return store.RemovalAnswer{}
	case g.Left > 0:
		return store.RemovalAnswer{Released: true}
	}
	return store.RemovalAnswer{Held: true}
}

// ownAccount reports an account of whom, or of what, the run is about: the run
// stands for it, and the guard has counted the run.
func (t *turn) ownAccount(c Call) bool {
	id, _ := c.Input[inputUserID].(string)
	if id == "" {
		return false
	}
	if t.vars.text("license.integration") == c.Integration && t.vars.text("license.externalId") == id {
		return true
	}
	if t.run.PersonID == "" {
		return false
	}
	if strings.EqualFold(t.vars.text("person.email"), id) {
		return true
	}
	accounts, _ := t.vars.lookup("person.accounts").([]any)
	for _, one := range accounts {
		a, _ := one.(map[string]any)
		username, _ := a["username"].(string)
		if a["integration"] == c.Integration && (a["externalId"] == id || username != "" && strings.EqualFold(username, id)) {
			return true
		}
	}
	return false
}

// removalTarget stands for the account that a call is about: every call about it
// in one integration has the same.
func (t *turn) removalTarget(c Call) string {
	var about any = c.Input
	if id, ok := c.Input[inputUserID]; ok {
		about = id
	}
	raw, err := json.Marshal([]any{t.run.Tenant, c.Integration, about})
	if err != nil { // then each effect stands for an account of its own
		raw = []byte(t.run.ID + "/" + t.run.StepPath)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:16])
}

// toCome is how many items the loops that the run is in have left, the one at work
// among them, as far as it is known: lists inside of others are taken to be as long
// as the one at work.
func (t *turn) toCome() int64 {
	left := int64(1)
	if n, ok := t.vars.lookup(varAround + ".left").(float64); ok {
		left = max(1, int64(n))
	}
	for _, l := range t.cur.Loops {
		left = (left-1)*int64(len(l.Items)) + int64(len(l.Items)-l.Ix)
	}
	return max(1, left)
}
