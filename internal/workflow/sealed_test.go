// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

// keyring seals in tests.
func keyring(t *testing.T) *store.Keyring {
	t.Helper()
	k, err := store.ParseKeyring("k1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// rowOf is everything that the store and people see of the newest run.
func (k *kit) rowOf() string {
	k.t.Helper()
	r := k.run()
	steps, err := Progress(r)
	if err != nil {
		k.t.Fatal(err)
	}
	raw, err := json.Marshal([]any{r, r.Attempts, steps})
	if err != nil {
		k.t.Fatal(err)
	}
	return string(raw) + string(r.Vars) + string(r.Cursor)
}

// TestSensitiveActionOutputs keeps what an action answers sealed, while it is
// verified too, and gives it to the step that uses it.
func TestSensitiveActionOutputs(t *testing.T) {
	const canary = "canary-initial-password"
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.engine = k.newEngine(func(o *Options) { o.Sealer = keyring(t) })
		k.vendor.infos["user.create"] = ActionInfo{Class: ClassIdempotent, HasVerify: true, VerifyWithin: time.Minute}
		k.vendor.script("user.create", func(Call) (Result, error) {
			return Result{Class: ResultDone, Sent: true, StatusCode: 201, Output: map[string]any{"password": canary, "id": "u1"}}, nil
		})
		create := Step{Name: "make", Action: &ActionStep{Integration: "idp", Action: "user.create"}, Outputs: map[string]string{"password": "resp.password", "id": "resp.id"}, Sensitive: []string{"password"}}
		k.put(cel(create, waits("pause", Hours(1)), ticket("tell", "id ${steps.make.id}: ${steps.make.password}"), waits("rest", Hours(1))))
		k.by("k")
		clean := func(when string) {
			t.Helper()
			if row := k.rowOf(); strings.Contains(row, canary) {
				t.Errorf("%s the row shows it: %s", when, row)
			}
		}
		// Absent for now, so the answer is kept in the cursor.
		if r := k.run(); r.Reason != "Verifying" || !strings.Contains(string(r.Cursor), store.SealedMark) {
			t.Fatalf("the run is not verifying with a sealed answer: %s %s", r.Reason, r.Cursor)
		}
		clean("while it is verified")
		k.vendor.mu.Lock()
		for _, c := range k.vendor.sent {
			k.vendor.effects["user.create "+c.IdemKey]++
		}
		k.vendor.mu.Unlock()
		k.pass(5 * time.Second)
		clean("in the wait")
		k.pass(2 * time.Hour)
		clean("after it was used")
		k.want("tickets", k.texts()[1:], []string{"id u1: " + canary})
		k.pass(2 * time.Hour)
		k.expect(store.RunSucceeded, "", "")
		clean("at the end")
	})
}

// TestSensitiveOnlyWhereSent refuses a sensitive value to a step that does not
// send it, and masks it where a failure would quote it.
func TestSensitiveOnlyWhereSent(t *testing.T) {
	const canary = "canary-not-for-people"
	k := newKit(t, "sqlite:"+t.TempDir())
	k.ada(nil)
	k.engine = k.newEngine(func(o *Options) { o.Sealer = keyring(t) })
	k.vendor.script("ticket.create", func(Call) (Result, error) {
		return Result{Class: ResultDone, Sent: true, Output: map[string]any{"secret": canary}}, nil
	})
	first := ticket("first", "x")
	first.Outputs, first.Sensitive = map[string]string{"secret": "resp.secret"}, []string{"secret"}
	quoted := ticket("quoted", "${string(int(steps.first.secret))}")
	quoted.OnError = OnErrorContinue
	refused := ticket("refused", "${steps.first.secret}")
	refused.OnError = OnErrorContinue
	k.vendor.script("ticket.create", func(c Call) (Result, error) {
		return Result{Class: ResultDenied, Sent: true, Message: fmt.Sprintf("%v is too long", c.Input["text"])}, nil
	})
	asked := waits("asked", Hours(1))
	asked.When = "steps.first.secret != ''"
	asked.OnError = OnErrorContinue
	k.put(cel(first, quoted, refused,
		Step{Name: "case", Switch: &SwitchStep{When: []CaseStep{{When: "steps.first.secret.startsWith('canary')", Steps: []Step{waits("taken", Hours(1))}}}}}, asked))
	k.by("k")
	if r := k.run(); r.StepPath != "case[0]/taken" {
		t.Errorf("the run is at %s: %s", r.StepPath, r.Message)
	}
	k.pass(time.Hour)
	k.expect(store.RunSucceeded, "", "")
	row := k.rowOf()
	if strings.Contains(row, canary) {
		t.Errorf("the row shows it: %s", row)
	}
	for _, says := range []string{"[sensitive] is too long", "steps.first.secret is sensitive: only action and http steps"} {
		if !strings.Contains(row, says) {
			t.Errorf("%q is missing in %s", says, row)
		}
	}
}

// TestExactOutputs keeps every digit of a number.
func TestExactOutputs(t *testing.T) {
	got := fmt.Sprint(exact(map[string]any{"a": []any{int64(123456789012345678), int64(7)}, "b": 1.5}))
	if got != "map[a:[123456789012345678 7] b:1.5]" {
		t.Error(got)
	}
	if _, ok := exact(int64(123456789012345678)).(string); !ok {
		t.Error("a large number stays one")
	}
}

// TestEchoOfASealedInput keeps out of the row what a vendor repeats of what it
// was sent, while it is verified too.
func TestEchoOfASealedInput(t *testing.T) {
	const canary = "canary-initial-password"
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.engine = k.newEngine(func(o *Options) { o.Sealer = keyring(t) })
		k.vendor.infos["token.make"] = ActionInfo{Class: ClassIdempotent}
		k.vendor.infos["user.create"] = ActionInfo{Class: ClassIdempotent, HasVerify: true, VerifyWithin: time.Minute}
		k.vendor.script("token.make", func(Call) (Result, error) {
			return Result{Class: ResultDone, Sent: true, Output: map[string]any{"password": canary}}, nil
		})
		var key string
		k.vendor.script("user.create", func(c Call) (Result, error) { // visible only later
			key = c.IdemKey
			return Result{Class: ResultDone, Sent: true, Output: map[string]any{"user": c.Input, "id": "u1"}}, nil
		})
		use := Step{Name: "use", Action: &ActionStep{Integration: "idp", Action: "user.create", With: map[string]any{"password": "${steps.make.password}"}},
			Outputs: map[string]string{"user": "resp.user.password", "id": "resp.id"}}
		k.put(cel(Step{Name: "make", Outputs: map[string]string{"password": "resp.password"}, Sensitive: []string{"password"}, Action: &ActionStep{Integration: "idp", Action: "token.make"}}, use))
		k.by("k")
		k.expect(store.RunWaiting, "", "Verifying")
		if row := k.rowOf(); strings.Contains(row, canary) {
			t.Errorf("while it is verified the row shows it: %s", row)
		}
		k.vendor.mu.Lock()
		k.vendor.effects["user.create "+key]++
		k.vendor.mu.Unlock()
		k.pass(2 * time.Second)
		k.expect(store.RunSucceeded, "", "")
		if row := k.rowOf(); strings.Contains(row, canary) || !strings.Contains(row, "u1") {
			t.Errorf("at the end the row shows it, or not what else came: %s", row)
		}
	})
}

// TestSealedValueIsRefusedInWords has people read what may be done with one.
func TestSealedValueIsRefusedInWords(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.engine = k.newEngine(func(o *Options) { o.Sealer = keyring(t) })
		k.vendor.infos["token.make"] = ActionInfo{Class: ClassIdempotent}
		k.put(cel(ticket("x", "x")), named("child"))
		for i, s := range []Step{each("loop", "[steps.make]", "i", ticket("x", "y")), runs("call", "child", map[string]any{"a": "${steps.make}"})} {
			k.vendor.script("token.make", func(Call) (Result, error) {
				return Result{Class: ResultDone, Sent: true, Output: map[string]any{"password": "s3cr3t"}}, nil
			})
			k.put(cel(Step{Name: "make", Outputs: map[string]string{"password": "resp.password"}, Sensitive: []string{"password"}, Action: &ActionStep{Integration: "idp", Action: "token.make"}}, s))
			k.by(fmt.Sprint(i))
			if r := k.expect(store.RunFailed, "failed", "BadInput"); strings.Contains(r.Message, "MarshalJSON") || !strings.Contains(r.Message, "steps.make.password is sensitive, and only action") {
				t.Errorf("people read %q", r.Message)
			}
		}
	})
}
