// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

// delegate makes a link for the Integration zoom.
func (w *world) delegate(ring *store.Keyring) (store.Delegation, string) {
	w.Helper()
	d, token, err := w.s.CreateDelegation(w.Context(), ring, store.Delegation{Tenant: w.tenant, Integration: "zoom", IntegrationUID: "uid-zoom",
		SecretName: "zoom", CreatedBy: "ada", ExpiresAt: w.clock.Now().Add(time.Hour)})
	w.must(err)
	return d, token
}

func (w *world) delegationOver(ring *store.Keyring, token string, want error) {
	w.Helper()
	if _, _, err := w.s.OpenDelegation(w.Context(), ring, token); !errors.Is(err, want) {
		w.Errorf("open: %v, want %v", err, want)
	}
	if _, err := w.s.SubmitDelegation(w.Context(), ring, token, map[string]string{"token": "again"}); !errors.Is(err, want) {
		w.Errorf("submit: %v, want %v", err, want)
	}
}

func TestDelegationWorksOnce(t *testing.T) {
	eachWorld(t, func(w *world) {
		ctx, ring := w.Context(), keyring(w.T, key(w.T, "k1"))
		w.must(w.s.FinishIntegration(ctx, w.claim("zoom", "zoom"), store.IntegrationResult{}))
		d, token := w.delegate(ring)
		for range 3 { // looking changes nothing
			got, st, err := w.s.OpenDelegation(ctx, ring, token)
			w.must(err)
			if got.ID != d.ID || st.Name != "zoom" || got.CreatedBy != "ada" || got.State != store.DelegationOpen {
				t.Fatalf("%+v, %s", got, st.Name)
			}
		}
		const value = "hunter2-zoom-credential"
		_, err := w.s.SubmitDelegation(ctx, ring, token, map[string]string{"token": value})
		w.must(err)
		w.delegationOver(ring, token, store.ErrDelegationOver)
		for table, rows := range w.dump() {
			if text := strings.Join(rows, "\n"); strings.Contains(text, value) || strings.Contains(text, token) || strings.Contains(text, token[2:]) {
				t.Errorf("table %s holds the value or the token in the clear", table)
			}
		}
		waiting, err := w.s.SubmittedDelegations(ctx, "", 10)
		w.must(err)
		if len(waiting) != 1 || waiting[0].ID != d.ID || waiting[0].Tenant != w.tenant {
			t.Fatalf("waiting: %+v", waiting)
		}
		values, err := w.s.DelegatedCredential(ctx, ring, waiting[0])
		w.must(err)
		if values["token"] != value {
			t.Errorf("another value came out")
		}
		if _, err := w.s.DelegatedCredential(ctx, keyring(w.T, key(w.T, "k2")), waiting[0]); err == nil {
			t.Error("another key opened it")
		}
		w.must(w.s.FinishDelegation(ctx, waiting[0], store.DelegationWritten, ""))
		if n := len(w.dump()["sealed_secret"]); n != 0 {
			t.Errorf("%d sealed values are left", n)
		}
		if err := w.s.FinishDelegation(ctx, waiting[0], store.DelegationWritten, ""); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("finished twice: %v", err)
		}
		audit, err := w.s.Audit(ctx, w.tenant, store.AuditQuery{})
		w.must(err)
		if len(audit) != 3 || audit[0].Action != "credential.write" || audit[1].Action != "credential.supply" || audit[2].Action != "credential.delegate" || audit[2].Actor != "ada" {
			t.Errorf("audit: %+v", audit)
		}
		w.step(time.Hour)
		w.must(w.s.PruneDelegations(ctx, w.tenant, w.clock.Now().Add(time.Second)))
		if n := len(w.dump()["delegation"]); n != 0 {
			t.Errorf("%d links are kept", n)
		}
	})
}

func TestDelegationEnds(t *testing.T) {
	eachWorld(t, func(w *world) {
		old := key(w.T, "k1")
		ctx, ring := w.Context(), keyring(w.T, old)
		w.must(w.s.FinishIntegration(ctx, w.claim("zoom", "zoom"), store.IntegrationResult{}))

		_, first := w.delegate(ring)
		_, second := w.delegate(ring)
		w.delegationOver(ring, first, store.ErrDelegationOver) // another one was made

		_, err := w.s.EnsureTenant(ctx, "beta")
		w.must(err)
		_, random, _ := strings.Cut(second, ".")
		for name, token := range map[string]string{
			"another tenant": fmt.Sprintf("%d.%s", w.otherTenant("beta").tenant, random), "no tenant": "." + random, "cut off": second[:len(second)-1],
			"longer": second + "x", "empty": "", "endless": second + strings.Repeat("x", 1000), "negative": "-1." + random,
		} {
			t.Run(name, func(*testing.T) { w.delegationOver(ring, token, store.ErrNotFound) })
		}
		w.delegationOver(keyring(w.T, key(w.T, "k2")), second, store.ErrNotFound) // its key is gone

		rotated := keyring(w.T, key(w.T, "k0")+old) // the old key still finds it
		w.step(time.Hour - time.Millisecond)
		if _, _, err := w.s.OpenDelegation(ctx, rotated, second); err != nil {
			t.Errorf("a moment before it expires: %v", err)
		}
		w.step(time.Millisecond)
		w.delegationOver(ring, second, store.ErrDelegationOver) // expired

		_, third := w.delegate(ring)
		_, err = w.s.UpsertIntegration(ctx, w.tenant, store.IntegrationSpec{Name: "zoom", UID: "uid-of-another", Generation: 1, Connector: "zoom"})
		w.must(err)
		w.delegationOver(ring, third, store.ErrDelegationOver) // made anew under the name

		_, fourth, err := w.s.CreateDelegation(ctx, ring, store.Delegation{Tenant: w.tenant, Integration: "zoom", IntegrationUID: "uid-of-another", SecretName: "zoom", ExpiresAt: w.clock.Now().Add(time.Hour)})
		w.must(err)
		w.must(w.s.HideIntegration(ctx, w.tenant, "zoom", time.Hour))
		w.delegationOver(ring, fourth, store.ErrDelegationOver) // disconnected
		if n := len(w.dump()["sealed_secret"]); n != 0 {
			t.Errorf("%d values were taken", n)
		}
	})
}

// One tenant whose Secrets cannot be written must not keep another's from it.
func TestStuckDelegationsOfAnotherTenant(t *testing.T) {
	eachWorld(t, func(w *world) {
		ctx, ring := w.Context(), keyring(w.T, key(w.T, "k1"))
		w.must(w.s.FinishIntegration(ctx, w.claim("zoom", "zoom"), store.IntegrationResult{}))
		for i := range 20 { // no RoleBinding there: they cannot be written
			_, token := w.delegate(ring)
			_, err := w.s.SubmitDelegation(ctx, ring, token, map[string]string{"token": fmt.Sprint("secret-", i)})
			w.must(err)
			w.step(time.Second)
		}
		other := w.otherTenant("globex")
		other.must(w.s.FinishIntegration(ctx, other.claim("zoom", "zoom"), store.IntegrationResult{}))
		_, token := other.delegate(ring)
		_, err := w.s.SubmitDelegation(ctx, ring, token, map[string]string{"token": "theirs"})
		w.must(err)
		waiting, err := w.s.SubmittedDelegations(ctx, "", 20)
		w.must(err)
		if !slices.ContainsFunc(waiting, func(d store.Delegation) bool { return d.Tenant == other.tenant }) {
			t.Errorf("%d of one tenant wait; the other tenant's is not even looked at", len(waiting))
		}
		if n := len(waiting); n > 2 {
			t.Errorf("%d credentials wait for one Secret: after a failed write an older one replaces a newer", n)
		}
	})
}
