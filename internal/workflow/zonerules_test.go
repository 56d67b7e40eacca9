// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"archive/zip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// zoneFiles is a folder from which zones are read first. It is set before
// anything reads one, because the time package looks only once.
var zoneFiles = func() string {
	dir, err := os.MkdirTemp("", "zones")
	if err == nil {
		err = os.Setenv("ZONEINFO", dir)
	}
	if err != nil {
		panic(err)
	}
	return dir
}()

// rule gives a zone the rules of another, as a new release of the database may.
func rule(t *testing.T, zone, other string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	z, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(out)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = z.Close() }()
	f, err := z.Open(other)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := io.ReadAll(f)
	path := filepath.Join(zoneFiles, zone)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		err = os.WriteFile(path, rules, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(path) })
}

// TestZoneRulesChange: a run waits for what clocks show. When an upgrade brings
// other rules for its zone, its instant is another, and may be earlier.
func TestZoneRulesChange(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		upgrade := func(rules string) {
			k.engine = k.newEngine(func(o *Options) { o.Language, o.ZoneRules = k.engine.o.Language, rules })
			k.settle()
		}
		upgrade("2026a")
		k.ada(func(p *model.Person) { p.TimeZone = "Europe/Vienna" })
		k.put(cel(Step{Name: "until", Wait: &WaitStep{Until: &Moment{Date: "person.endDate"}}}, ticket("then", "x")))
		k.by("k")
		old := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
		k.until(old, "until 2026-11-20T09:00:00+01:00 (Europe/Vienna)")

		rule(t, "Europe/Vienna", "Europe/Helsinki")
		upgrade("2026a")
		k.until(old, "until 2026-11-20T09:00:00+01:00 (Europe/Vienna)") // nobody said that they changed
		upgrade("2026b")
		k.until(old.Add(-time.Hour), "until 2026-11-20T09:00:00+02:00 (Europe/Vienna), not until 2026-11-20T10:00:00+02:00")
		before := k.run().UpdatedAt
		k.clock.Step(time.Hour)
		upgrade("2026b")
		if r := k.run(); !r.UpdatedAt.Equal(before) {
			t.Errorf("looked at again at %s", r.UpdatedAt)
		}
		k.pass(old.Add(-time.Hour).Sub(k.clock.Now()))
		k.expect(store.RunSucceeded, "", "")
	})
}
