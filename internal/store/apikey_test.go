// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"bytes"
	"database/sql"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

var ada = model.Actor{Name: "ada", Kind: model.ActorUser}

func apiKey(name string) store.APIKeySpec {
	return store.APIKeySpec{Name: name, UID: "uid-" + name, Type: "SCIM", Description: "for tests", Scopes: []string{"a:read"}, Networks: []string{"10.0.0.0/8"}, Overlap: 24 * time.Hour}
}

func (w *world) issue(name string, in store.IssueAPIKey) (store.APIKeyToken, string) {
	w.Helper()
	t, text, err := w.s.IssueAPIKey(w.Context(), w.tenant, name, in)
	w.must(err)
	return t, text
}

// ended says why a token does not work, as the gateway finds it.
func (w *world) ended(text string) string {
	w.Helper()
	parsed, err := store.ParseAPIToken(text)
	w.must(err)
	row, err := w.s.APIKeyToken(w.Context(), parsed.Tenant, parsed.KeyID)
	w.must(err)
	if !bytes.Equal(row.Digest, parsed.Digest()) {
		w.Fatalf("the digest of %s is not that of its token", parsed.KeyID)
	}
	return row.Ended(w.clock.Now())
}

func (w *world) wantEnded(when string, want map[string]string) {
	w.Helper()
	for text, why := range want {
		if got := w.ended(text); got != why {
			w.Errorf("%s: a token is %q, want %q", when, got, why)
		}
	}
}

func TestAPIKeyIsIssuedOnce(t *testing.T) {
	eachWorld(t, func(w *world) {
		ctx := w.Context()
		if _, _, err := w.s.IssueAPIKey(ctx, w.tenant, "entra", store.IssueAPIKey{By: ada}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a key that nobody declared: %v", err)
		}
		w.must(w.s.PutAPIKey(ctx, w.tenant, apiKey("entra"), ada))
		// Whoever asks at the same time: one gets it.
		var mu sync.Mutex
		var got []string
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				_, text, err := w.s.IssueAPIKey(ctx, w.tenant, "entra", store.IssueAPIKey{By: ada})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					got = append(got, text)
				case !errors.Is(err, store.ErrKeyIssued):
					t.Errorf("%v, want ErrKeyIssued", err)
				}
			})
		}
		group.Wait()
		if len(got) != 1 {
			t.Fatalf("%d tokens were made, want 1", len(got))
		}
		parsed, err := store.ParseAPIToken(got[0])
		w.must(err)
		row, err := w.s.APIKeyToken(ctx, parsed.Tenant, parsed.KeyID)
		w.must(err)
		if parsed.Tenant != w.tenant || row.Namespace != "acme" || row.Name != "entra" || row.Type != "SCIM" || row.Scopes[0] != "a:read" || row.Networks[0] != "10.0.0.0/8" || row.CreatedBy != "ada" {
			t.Errorf("%+v", row)
		}
		secret := got[0][strings.LastIndex(got[0], "_")+1:]
		for table, rows := range w.dump() {
			if strings.Contains(strings.Join(rows, "\n"), secret) {
				t.Errorf("table %s holds the secret", table)
			}
		}
	})
}

func TestAPIKeyRotation(t *testing.T) {
	eachWorld(t, func(w *world) {
		ctx := w.Context()
		spec := apiKey("entra")
		w.must(w.s.PutAPIKey(ctx, w.tenant, spec, ada))
		rotate := store.IssueAPIKey{By: ada, Rotate: true}
		_, one := w.issue("entra", rotate)
		_, two := w.issue("entra", rotate)
		w.wantEnded("rotated", map[string]string{one: "", two: ""})
		w.step(12 * time.Hour)
		_, three := w.issue("entra", rotate)
		w.wantEnded("rotated again", map[string]string{one: store.TokenRevoked, two: "", three: ""})
		key, err := w.s.APIKey(ctx, w.tenant, "entra")
		w.must(err)
		now := w.clock.Now()
		if c, p := key.Current(now), key.Previous(now); c == nil || p == nil || !strings.Contains(three, c.KeyID) || !strings.Contains(two, p.KeyID) || !p.EndsAt.Equal(now.Add(24*time.Hour)) {
			t.Errorf("current %+v, previous %+v", c, p)
		}
		w.step(24 * time.Hour)
		w.wantEnded("after the overlap", map[string]string{two: store.TokenRotated, three: ""})

		// No overlap; what was to be delivered and was not gets none either.
		spec.Overlap = 0
		w.must(w.s.PutAPIKey(ctx, w.tenant, spec, ada))
		_, four := w.issue("entra", store.IssueAPIKey{By: ada, Rotate: true, DeliverTo: "s"})
		w.wantEnded("no overlap", map[string]string{three: store.TokenRevoked, four: ""})
		spec.Overlap = time.Hour
		w.must(w.s.PutAPIKey(ctx, w.tenant, spec, ada))
		_, five := w.issue("entra", store.IssueAPIKey{By: ada, Rotate: true, DeliverTo: "s"})
		w.wantEnded("lost on its way", map[string]string{four: store.TokenRevoked, five: ""})
		parsed, err := store.ParseAPIToken(five)
		w.must(err)
		w.must(w.s.MarkAPIKeyDelivered(ctx, w.tenant, parsed.KeyID))
		_, six := w.issue("entra", rotate)
		w.wantEnded("delivered", map[string]string{five: "", six: ""})
	})
}

func TestAPIKeyEnds(t *testing.T) {
	eachWorld(t, func(w *world) {
		ctx := w.Context()
		at := w.clock.Now().Add(time.Hour)
		spec := apiKey("entra")
		spec.ExpiresAt = &at
		w.must(w.s.PutAPIKey(ctx, w.tenant, spec, ada))
		_, one := w.issue("entra", store.IssueAPIKey{By: ada})
		w.step(time.Hour - time.Millisecond)
		w.wantEnded("before its time", map[string]string{one: ""})
		w.step(time.Millisecond)
		w.wantEnded("at its time", map[string]string{one: store.TokenExpired})
		if _, _, err := w.s.IssueAPIKey(ctx, w.tenant, "entra", store.IssueAPIKey{By: ada, Rotate: true}); !errors.Is(err, store.ErrKeyExpired) {
			t.Errorf("rotate what has expired: %v", err)
		}
		spec.ExpiresAt = nil
		w.must(w.s.PutAPIKey(ctx, w.tenant, spec, ada))
		w.wantEnded("with a later time", map[string]string{one: ""})

		w.must(w.s.RevokeAPIKey(ctx, w.tenant, "entra", ada, "left in a chat"))
		w.must(w.s.RevokeAPIKey(ctx, w.tenant, "entra", ada, "again"))
		w.must(w.s.PutAPIKey(ctx, w.tenant, spec, ada))
		w.wantEnded("revoked", map[string]string{one: store.TokenRevoked})
		if _, _, err := w.s.IssueAPIKey(ctx, w.tenant, "entra", store.IssueAPIKey{By: ada, Rotate: true}); !errors.Is(err, store.ErrKeyRevoked) {
			t.Errorf("rotate what is revoked: %v", err)
		}
		if n := w.audited("key.revoke"); n != 1 {
			t.Errorf("%d records of one revocation", n)
		}

		// Made anew it is another key: the old token stays dead.
		spec.UID = "uid-2"
		w.must(w.s.PutAPIKey(ctx, w.tenant, spec, ada))
		_, two := w.issue("entra", store.IssueAPIKey{By: ada})
		w.wantEnded("made anew", map[string]string{one: store.TokenRevoked, two: ""})
		w.must(w.s.RemoveAPIKey(ctx, w.tenant, "entra", ada))
		w.must(w.s.RemoveAPIKey(ctx, w.tenant, "entra", ada))
		w.wantEnded("deleted", map[string]string{two: store.TokenRevoked})
		if _, err := w.s.APIKey(ctx, w.tenant, "entra"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a deleted key: %v", err)
		}
		if changed, err := w.s.ChangedAPIKeys(ctx, t0); err != nil || len(changed) != 1 || changed[0].Name != "entra" {
			t.Errorf("changed: %+v, %v", changed, err)
		}
		w.step(time.Hour)
		w.must(w.s.PruneAPIKeys(ctx, w.tenant, w.clock.Now()))
		for _, table := range []string{"api_key", "api_key_token"} {
			if rows := w.dump()[table]; len(rows) != 0 {
				t.Errorf("table %s keeps %v", table, rows)
			}
		}
	})
}

// A token that was being made while its APIKey was made anew ends with the others
// of the former key.
func TestAPIKeyMadeAnewMeanwhile(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(t0)
	w := &world{t, storetest.Open(t, storetest.Postgres(t), storetest.WithClock(clock)), clock, 0}
	ctx := w.Context()
	var err error
	w.tenant, err = w.s.EnsureTenant(ctx, "acme")
	w.must(err)
	spec := apiKey("entra")
	w.must(w.s.PutAPIKey(ctx, w.tenant, spec, ada))
	spec.UID = "uid-2"
	done := make(chan error, 1)
	w.must(w.s.WriteSQL(ctx, func(tx *sql.Tx) error { // as IssueAPIKey does, half-way
		if _, err := tx.ExecContext(ctx, `SELECT 1 FROM api_key WHERE tenant=$1 AND name='entra' FOR UPDATE`, w.tenant); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO api_key_token (tenant, key_id, name, uid, digest, created_at, created_by) VALUES ($1,'1aaaaaaaaaaaa','entra','uid-entra','',$2,'ada')`,
			w.tenant, t0.UnixMilli()); err != nil {
			return err
		}
		go func() { done <- w.s.PutAPIKey(ctx, w.tenant, spec, ada) }()
		for waiting := 0; waiting == 0; {
			if err := w.s.ReadDB().QueryRowContext(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting); err != nil {
				return err
			}
		}
		return nil
	}))
	w.must(<-done)
	var alive int
	w.must(w.s.ReadDB().QueryRowContext(ctx, `SELECT count(*) FROM api_key_token WHERE revoked_at IS NULL`).Scan(&alive))
	if alive != 0 {
		t.Errorf("%d tokens of the former key were not revoked", alive)
	}
}

// Whatever its row says, a token may nothing of what a key may that was made anew
// under the name.
func TestAPIKeyTokenOfAnotherUID(t *testing.T) {
	eachWorld(t, func(w *world) {
		ctx := w.Context()
		spec := apiKey("entra")
		w.must(w.s.PutAPIKey(ctx, w.tenant, spec, ada))
		token, text := w.issue("entra", store.IssueAPIKey{By: ada})
		spec.UID, spec.Scopes = "uid-2", []string{"*"}
		w.must(w.s.PutAPIKey(ctx, w.tenant, spec, ada))
		w.must(w.s.WriteSQL(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `UPDATE api_key_token SET revoked_at = NULL`)
			return err
		}))
		w.wantEnded("of another UID", map[string]string{text: store.TokenRevoked})
		if row, err := w.s.APIKeyToken(ctx, w.tenant, token.KeyID); err != nil || row.Name != "entra" || len(row.Scopes) != 0 {
			t.Errorf("%+v, %v", row, err)
		}
	})
}

// What was delivered to a Secret is known for as long as the key is there: else it
// would be delivered again, which ends the token that works.
func TestPruneKeepsDeliveries(t *testing.T) {
	eachWorld(t, func(w *world) {
		ctx := w.Context()
		w.must(w.s.PutAPIKey(ctx, w.tenant, apiKey("entra"), ada))
		rotate := store.IssueAPIKey{By: ada, Rotate: true}
		delivered, _ := w.issue("entra", store.IssueAPIKey{By: ada, Rotate: true, DeliverTo: "s"})
		w.must(w.s.MarkAPIKeyDelivered(ctx, w.tenant, delivered.KeyID))
		w.must(w.s.MarkAPIKeyWithdrawn(ctx, w.tenant, delivered.KeyID))
		shown, _ := w.issue("entra", rotate)
		w.step(25 * time.Hour)
		now, _ := w.issue("entra", rotate)
		w.step(25 * time.Hour)
		w.must(w.s.PruneAPIKeys(ctx, w.tenant, w.clock.Now()))
		key, err := w.s.APIKey(ctx, w.tenant, "entra")
		w.must(err)
		var ids []string
		for _, token := range key.Tokens {
			ids = append(ids, token.KeyID)
		}
		if want := []string{now.KeyID, delivered.KeyID}; !slices.Equal(ids, want) {
			t.Errorf("kept %v, want %v, and not %s", ids, want, shown.KeyID)
		}
		w.must(w.s.RemoveAPIKey(ctx, w.tenant, "entra", ada))
		w.step(time.Hour)
		w.must(w.s.PruneAPIKeys(ctx, w.tenant, w.clock.Now()))
		for _, table := range []string{"api_key", "api_key_token"} {
			if rows := w.dump()[table]; len(rows) != 0 {
				t.Errorf("table %s keeps %v", table, rows)
			}
		}
	})
}

func (w *world) audited(action string) int {
	w.Helper()
	records, err := w.s.Audit(w.Context(), w.tenant, store.AuditQuery{Action: action})
	w.must(err)
	return len(records)
}

// The last use is written at most once a minute, by however many replicas.
func TestAPIKeyLastUse(t *testing.T) {
	eachWorld(t, func(w *world) {
		ctx := w.Context()
		w.must(w.s.PutAPIKey(ctx, w.tenant, apiKey("entra"), ada))
		token, _ := w.issue("entra", store.IssueAPIKey{By: ada})
		for _, s := range []struct {
			step time.Duration
			want time.Time
		}{{0, t0}, {59 * time.Second, t0}, {time.Second, t0.Add(time.Minute)}} {
			w.step(s.step)
			w.must(w.s.TouchAPIKey(ctx, w.tenant, token.KeyID))
			got, err := w.s.APIKeyToken(ctx, w.tenant, token.KeyID)
			w.must(err)
			if got.LastUsedAt == nil || !got.LastUsedAt.Equal(s.want) {
				t.Errorf("last use %v, want %v", got.LastUsedAt, s.want)
			}
		}
	})
}

// A scanner of secrets finds a token, and a mistyped one is told from a real one.
func TestAPITokenForm(t *testing.T) {
	form := regexp.MustCompile(`^skp_[0-9a-z]{13,25}_[0-9A-Za-z]{49}$`)
	seen := map[string]bool{}
	for range 200 {
		token, text, err := store.NewAPIToken(model.TenantID(36 * 36))
		if err != nil || !form.MatchString(text) || seen[text] {
			t.Fatalf("%q, %v", text, err)
		}
		seen[text] = true
		back, err := store.ParseAPIToken(text)
		if err != nil || back.Tenant != 36*36 || back.KeyID != token.KeyID || !bytes.Equal(back.Digest(), token.Digest()) {
			t.Fatalf("%+v, %v, want %+v", back, err, token)
		}
		for i := range len(text) { // any one character
			other := []byte(text)
			if other[i]++; string(other) == text {
				continue
			}
			if _, err := store.ParseAPIToken(string(other)); err == nil {
				t.Fatalf("%q is taken for a token: the character at %d differs", other, i)
			}
		}
	}
	_, text, err := store.NewAPIToken(1)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "skp_", "skp__", text[:len(text)-1], text + "0", " " + text, strings.ToUpper(text), strings.Replace(text, "skp_", "skp_-", 1), text[4:]} {
		if _, err := store.ParseAPIToken(bad); !errors.Is(err, store.ErrTokenForm) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzParseAPIToken(f *testing.F) {
	_, text, err := store.NewAPIToken(1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add("skp_0aaaaaaaaaaaa_" + strings.Repeat("0", 49))
	f.Add("skp_" + strings.Repeat("z", 25) + "_" + strings.Repeat("0", 49))
	f.Fuzz(func(t *testing.T, s string) {
		token, err := store.ParseAPIToken(s)
		if err != nil {
			if strings.Contains(err.Error(), s) && len(s) > 8 {
				t.Error("the error quotes what was sent")
			}
			return
		}
		if token.Tenant < 1 || !strings.Contains(s, token.KeyID) || len(s) > 128 {
			t.Errorf("%q is taken for %+v", s, token)
		}
	})
}
