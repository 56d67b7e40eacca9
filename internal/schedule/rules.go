// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"crypto/sha256"
	_ "embed" // the names of the zones
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// zoneNamesText are the names of the database that comes with Go, one a line;
// TestZoneNames compares.
//
//go:embed zones.txt
var zoneNamesText string

// Years that Rules looks at: nothing waits for longer.
const (
	rulesFrom  = 2024
	rulesUntil = 2056
)

// Rules is a digest of the rules of all zones, as this process finds them: in
// the files of its machine, or in itself. The database says no version of
// itself.
func Rules() string {
	h := sha256.New()
	for name := range strings.Lines(zoneNamesText) {
		name = strings.TrimSpace(name)
		loc, err := Zone(name)
		if err != nil {
			continue // a machine may have files for fewer
		}
		_, _ = fmt.Fprintln(h, name)
		end := time.Date(rulesUntil, 1, 1, 0, 0, 0, 0, time.UTC)
		for t := time.Date(rulesFrom, 1, 1, 0, 0, 0, 0, time.UTC); t.Before(end); {
			in := t.In(loc)
			_, offset := in.Zone()
			_, until := in.ZoneBounds()
			_, _ = fmt.Fprintln(h, t.Unix(), offset)
			if until.IsZero() {
				break
			}
			if !until.After(t) { // as Go says of the last day of a leap year
				until = t.AddDate(0, 0, 1)
			}
			t = until
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
