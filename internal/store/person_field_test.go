// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

func withCustom(fields map[string]any) func(*model.Person) {
	return func(p *model.Person) { p.Custom = fields }
}

// fields writes the custom fields as ID INTEGRATION.NAME TYPE, with a minus
// after those that are gone.
func (w *world) fields() (out []string) {
	w.Helper()
	all, err := w.s.PersonFields(w.Context(), w.tenant)
	w.must(err)
	for _, f := range all {
		text := fmt.Sprintf("%d %s.%s %s", f.ID, f.Integration, f.Name, f.Type)
		if f.Deleted {
			text += " -"
		}
		out = append(out, text)
	}
	return out
}

func (w *world) expectFields(when string, want ...string) {
	w.Helper()
	if diff := cmp.Diff(want, w.fields()); diff != "" {
		w.Fatalf("%s (-want +got):\n%s", when, diff)
	}
}

func TestCustomFieldsOfPeople(t *testing.T) {
	eachWorld(t, func(w *world) {
		ada := func(fields map[string]any) model.Record {
			return person("1", "ada@acme.example", withCustom(fields))
		}
		bob := person("2", "bob@acme.example", withCustom(map[string]any{"shirt": "M", "badge": 17, "nothing": nil}))
		w.sync("hris", peopleOf(ada(map[string]any{"shirt": "S", "remote": true, "skills": []any{"go"}}), bob))
		first := []string{"1 hris.badge number", "2 hris.remote boolean", "3 hris.shirt text", "4 hris.skills list"}
		w.expectFields("a first sync", first...)

		w.sync("okta", peopleOf(person("o1", "ada@acme.example", withCustom(map[string]any{"shirt": 36}))))
		w.expectFields("another source with the same name", append(first, "5 okta.shirt number")...)

		// Changes prove no absence.
		changed := peopleOf(ada(map[string]any{"badge": "A1", "desk": map[string]any{"floor": 3}}))
		changed.outcome.Incremental = true
		w.sync("hris", changed)
		w.expectFields("an incremental read", "1 hris.badge text", first[1], first[2], first[3], "5 okta.shirt number", "6 hris.desk object")

		w.sync("hris", peopleOf(ada(map[string]any{"desk": map[string]any{}}), bob))
		w.expectFields("a whole read", "1 hris.badge number", first[1]+" -", first[2], first[3]+" -", "5 okta.shirt number", "6 hris.desk object")

		w.sync("hris", peopleOf(ada(map[string]any{"remote": false}), bob))
		w.expectFields("a field that came back", "1 hris.badge number", first[1], first[2], first[3]+" -", "5 okta.shirt number", "6 hris.desk object -")

		w.must(w.s.HideIntegration(w.Context(), w.tenant, "okta", time.Hour))
		w.expectFields("a source that was disconnected", "1 hris.badge number", first[1], first[2], first[3]+" -", "5 okta.shirt number -", "6 hris.desk object -")

		w.step(2 * time.Hour)
		if _, err := w.s.PurgeHidden(w.Context()); err != nil {
			w.Fatal(err)
		}
		w.expectFields("a source that was purged", "1 hris.badge number", first[1], first[2], first[3]+" -", "6 hris.desk object -")

		other := w.otherTenant("beta")
		other.sync("hris", peopleOf(person("1", "eve@beta.example", withCustom(map[string]any{"x": 1}))))
		other.expectFields("another tenant", "1 hris.x number")
	})
}

// TestCustomFieldsAreBounded is what a sender meets that makes up a name with
// each record.
func TestCustomFieldsAreBounded(t *testing.T) {
	eachWorld(t, func(w *world) {
		for round := range 2 {
			var people []model.Record
			for i := range 1200 {
				id := fmt.Sprintf("%04d", i)
				people = append(people, person(id, id+"@acme.example", withCustom(map[string]any{fmt.Sprint("field", round, id): i})))
			}
			w.sync("push", peopleOf(people...))
		}
		all, err := w.s.PersonFields(w.Context(), w.tenant)
		if err != nil || len(all) > 1000 {
			w.Fatalf("%d fields, %v", len(all), err)
		}
	})
}

// TestFieldsOfAnOlderStore are found by the next whole read, whether anything
// changed or not.
func TestFieldsOfAnOlderStore(t *testing.T) {
	eachWorld(t, func(w *world) {
		ada := person("1", "ada@acme.example", withCustom(map[string]any{"shirt": "S"}))
		w.sync("hris", peopleOf(ada))
		w.must(w.s.WriteSQL(w.Context(), func(tx *sql.Tx) error {
			_, err := tx.ExecContext(w.Context(), `DELETE FROM person_field`)
			return err
		}))
		w.sync("hris", peopleOf(ada))
		w.expectFields("the next sync", "2 hris.shirt text")
	})
}
