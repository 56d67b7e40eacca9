// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

// An Application is listed until it is deleted, or nobody has seen it for hours
// because it was deleted while no manager ran.
func TestDeclaredAppsAreListedWhileTheyExist(t *testing.T) {
	eachWorld(t, func(w *world) {
		zoom := store.DeclaredApp{Name: "zoom", Title: "Zoom", Users: 9, Paid: 5, Unused: 2, Unknown: 1, Sources: []string{"zoom"}}
		figma := store.DeclaredApp{Name: "figma", Title: "Figma", Sources: []string{}}
		listed := func(want ...store.DeclaredApp) {
			w.Helper()
			got, err := w.s.DeclaredApps(w.Context(), w.tenant)
			w.must(err)
			if d := cmp.Diff(want, got); d != "" {
				w.Errorf("(-want +got):\n%s", d)
			}
		}
		w.must(w.s.PutDeclaredApp(w.Context(), w.tenant, zoom))
		w.must(w.s.PutDeclaredApp(w.Context(), w.tenant, store.DeclaredApp{Name: "figma", Title: "Figma"}))
		listed(figma, zoom)
		w.step(2 * time.Hour)
		zoom.Unused = 3
		w.must(w.s.PutDeclaredApp(w.Context(), w.tenant, zoom))
		listed(figma, zoom)
		w.must(w.s.PruneDeclaredApps(w.Context(), w.tenant, w.clock.Now().Add(-time.Hour)))
		listed(zoom)
		w.step(2 * time.Hour) // unchanged, and yet seen again
		w.must(w.s.PutDeclaredApp(w.Context(), w.tenant, zoom))
		w.must(w.s.PruneDeclaredApps(w.Context(), w.tenant, w.clock.Now().Add(-time.Hour)))
		listed(zoom)
		w.must(w.s.RemoveDeclaredApp(w.Context(), w.tenant, "zoom"))
		got, err := w.s.DeclaredApps(w.Context(), w.tenant)
		w.must(err)
		if len(got) != 0 {
			w.Errorf("listed: %+v", got)
		}
	})
}
