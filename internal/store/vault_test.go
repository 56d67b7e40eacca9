// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"bytes"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/ratelimit"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

var _ connector.Budget = (*store.Lane)(nil)

func key(t *testing.T, id string) string {
	t.Helper()
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		t.Fatal(err)
	}
	return id + " " + base64.StdEncoding.EncodeToString(raw) + "\n"
}

func keyring(t *testing.T, text string) *store.Keyring {
	t.Helper()
	k, err := store.ParseKeyring(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSealedValuesOpenOnlyWhereTheyWereSealed(t *testing.T) {
	eachWorld(t, func(w *world) {
		one, two := key(w.T, "k1"), key(w.T, "k2")
		k1, other := keyring(w.T, one), w.otherTenant("beta")
		w.must(w.s.PutSealed(w.Context(), k1, w.tenant, "okta/refresh", []byte("hunter2")))
		got, err := w.s.Sealed(w.Context(), k1, w.tenant, "okta/refresh")
		if err != nil || string(got) != "hunter2" {
			w.Fatalf("%q %v", got, err)
		}
		if _, err := w.s.Sealed(w.Context(), k1, other.tenant, "okta/refresh"); !errors.Is(err, store.ErrNotFound) {
			w.Fatalf("another tenant: %v", err)
		}
		var raw []byte
		w.must(w.s.ReadDB().QueryRowContext(w.Context(), `SELECT ciphertext FROM sealed_secret`).Scan(&raw))
		if bytes.Contains(raw, []byte("hunter2")) {
			w.Fatal("the value is in the clear")
		}
		// Moved to another row or tenant it does not open.
		for _, to := range []struct {
			tenant any
			name   string
		}{{int64(w.tenant), "other"}, {int64(other.tenant), "okta/refresh"}} {
			w.must(w.s.WriteSQL(w.Context(), func(tx *sql.Tx) error {
				_, err := tx.ExecContext(w.Context(), `INSERT INTO sealed_secret (tenant, name, key_id, nonce, ciphertext, updated_at)
					SELECT CAST($1 AS BIGINT), CAST($2 AS TEXT), key_id, nonce, ciphertext, 0 FROM sealed_secret WHERE name='okta/refresh'`, to.tenant, to.name)
				return err
			}))
		}
		if _, err := w.s.Sealed(w.Context(), k1, w.tenant, "other"); err == nil || strings.Contains(err.Error(), "hunter2") {
			w.Fatalf("a value that was moved to another name opened: %v", err)
		}
		if _, err := w.s.Sealed(w.Context(), k1, other.tenant, "okta/refresh"); err == nil {
			w.Fatal("a value that was moved to another tenant opened")
		}
		w.must(w.s.DeleteSealed(w.Context(), w.tenant, "other"))
		w.must(w.s.DeleteSealed(w.Context(), other.tenant, "okta/refresh"))

		// Rotation: the new key first, reseal, then without the old one.
		var unknown *store.UnknownKeyError
		if _, err := w.s.Sealed(w.Context(), keyring(w.T, two), w.tenant, "okta/refresh"); !errors.As(err, &unknown) || unknown.KeyID != "k1" {
			w.Fatalf("without the key: %v", err)
		}
		for _, want := range []int{1, 0} {
			if n, err := w.s.Reseal(w.Context(), keyring(w.T, two+one)); err != nil || n != want {
				w.Fatalf("resealed %d, %v; want %d", n, err, want)
			}
		}
		if got, err := w.s.Sealed(w.Context(), keyring(w.T, two), w.tenant, "okta/refresh"); err != nil || string(got) != "hunter2" {
			w.Fatalf("after the rotation: %q %v", got, err)
		}
	})
}

func TestKeyringRefusesBadFiles(t *testing.T) {
	good := key(t, "k1")
	for name, text := range map[string]string{"empty": "", "comment only": "# x\n", "short": "k1 AAAA\n", "not base64": "k1 !!!\n", "no id": strings.Fields(good)[1], "twice": good + good} {
		if _, err := store.ParseKeyring(text); err == nil || strings.Contains(err.Error(), strings.Fields(good)[1]) {
			t.Errorf("%s: %v", name, err)
		}
	}
	path := filepath.Join(t.TempDir(), "key")
	if _, err := store.LoadKeyring(path, false); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("a missing file was made without being asked for: %v", err)
	}
	if _, err := store.LoadKeyring(path, true); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.LoadKeyring(path, true); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Fatal("an existing key was replaced")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v", info.Mode())
	}
}

func FuzzParseKeyring(f *testing.F) {
	f.Add("k1 " + base64.StdEncoding.EncodeToString(make([]byte, 32)))
	f.Add("# c\n\nk1 AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := store.ParseKeyring(text)
		if (k == nil) == (err == nil) {
			t.Fatalf("%v %v", k, err)
		}
	})
}

func TestUploadsKeepTheLastTwoWhole(t *testing.T) {
	eachWorld(t, func(w *world) {
		big := bytes.Repeat([]byte("0123456789abcdef"), 200_000) // 3.2 MB: several chunks
		for _, name := range []string{"a.csv", "b.csv", "c.csv"} {
			_, err := w.s.PutUpload(w.Context(), w.tenant, "csv", name, io.MultiReader(strings.NewReader(name), bytes.NewReader(big)))
			w.must(err)
			w.step(time.Minute)
		}
		all, err := w.s.Uploads(w.Context(), w.tenant, "csv")
		w.must(err)
		if len(all) != 2 || all[0].Name != "c.csv" || all[1].Name != "b.csv" || all[0].Size != int64(len(big)+5) {
			w.Fatalf("%+v", all)
		}
		u, r, err := w.s.OpenUpload(w.Context(), w.tenant, "csv")
		w.must(err)
		got, err := io.ReadAll(r)
		w.must(errors.Join(err, r.Close()))
		if u.Name != "c.csv" || !bytes.Equal(got, append([]byte("c.csv"), big...)) {
			w.Fatalf("%s: %d bytes", u.Name, len(got))
		}
		w.must(w.s.SetUploadState(w.Context(), w.tenant, u.ID, store.UploadAccepted))
		if _, _, err := w.s.OpenUpload(w.Context(), w.otherTenant("beta").tenant, "csv"); !errors.Is(err, store.ErrNotFound) {
			w.Fatalf("another tenant: %v", err)
		}
		var chunks int
		w.must(w.s.ReadDB().QueryRowContext(w.Context(), `SELECT count(DISTINCT upload_id) FROM upload_chunk`).Scan(&chunks))
		if chunks != 2 {
			w.Fatalf("chunks of %d uploads are kept", chunks)
		}
		if _, err := w.s.PutUpload(w.Context(), w.tenant, "csv", "huge", io.LimitReader(zeros{}, store.MaxUpload+1)); !errors.Is(err, store.ErrUploadTooLarge) {
			w.Fatalf("a file beyond the limit: %v", err)
		}
		if u, _, err := w.s.OpenUpload(w.Context(), w.tenant, "csv"); err != nil || u.Name != "c.csv" || u.State != store.UploadAccepted {
			w.Fatalf("after a refused file: %+v %v", u, err)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestLanesShareOneBudget(t *testing.T) {
	eachWorld(t, func(w *world) {
		rate := ratelimit.Rate{Count: 10, Per: time.Second}
		a, b := w.s.Lane(w.tenant, "zoom"), w.s.Lane(w.tenant, "zoom") // two replicas
		take := func(l *store.Lane, k string, r ratelimit.Rate) time.Duration {
			w.Helper()
			wait, err := l.Take(w.Context(), k, r)
			w.must(err)
			return wait
		}
		granted := 0
		for second := range 5 {
			for range 30 {
				for _, l := range []*store.Lane{a, b} {
					if take(l, "api", rate) == 0 {
						granted++
					}
				}
			}
			if limit := 10 * (second + 1); granted > limit {
				w.Fatalf("second %d: %d granted, at most %d", second, granted, limit)
			}
			w.step(time.Second)
		}
		if granted < 45 {
			w.Fatalf("only %d of 50 granted", granted)
		}
		// A wait that was told suffices.
		for take(a, "slow", ratelimit.Rate{Count: 1, Per: 10 * time.Second}) == 0 {
		}
		wait := take(a, "slow", ratelimit.Rate{Count: 1, Per: 10 * time.Second})
		if wait <= 0 || wait > 10*time.Second {
			w.Fatalf("wait %v", wait)
		}
		w.step(wait)
		if again := take(a, "slow", ratelimit.Rate{Count: 1, Per: 10 * time.Second}); again != 0 {
			w.Fatalf("after the wait: %v more", again)
		}
	})
}

func TestBlocksOutliveTheLaneAndReachOthers(t *testing.T) {
	eachWorld(t, func(w *world) {
		l, until := w.s.Lane(w.tenant, "zoom"), w.clock.Now().Add(time.Minute)
		w.must(l.Block(w.Context(), "api", until))
		w.must(l.Block(w.Context(), "api", until.Add(-30*time.Second))) // earlier: nothing changes
		for _, rate := range []ratelimit.Rate{{}, {Count: 100, Per: time.Second}} {
			for name, lane := range map[string]*store.Lane{"same": l, "another": w.s.Lane(w.tenant, "zoom")} {
				if wait, err := lane.Take(w.Context(), "api", rate); err != nil || wait != time.Minute {
					w.Fatalf("%s lane: %v %v", name, wait, err)
				}
			}
		}
		for name, lane := range map[string]*store.Lane{"tenant": w.s.Lane(w.otherTenant("beta").tenant, "zoom"), "integration": w.s.Lane(w.tenant, "slack")} {
			if wait, err := lane.Take(w.Context(), "api", ratelimit.Rate{Count: 1, Per: time.Second}); err != nil || wait != 0 {
				w.Fatalf("another %s: %v %v", name, wait, err)
			}
		}
		if wait, err := l.Take(w.Context(), "other key", ratelimit.Rate{}); err != nil || wait != 0 {
			w.Fatalf("%v %v", wait, err)
		}
		w.step(time.Minute)
		if wait, err := l.Take(w.Context(), "api", ratelimit.Rate{Count: 1, Per: time.Second}); err != nil || wait != 0 {
			w.Fatalf("after the block: %v %v", wait, err)
		}
	})
}
