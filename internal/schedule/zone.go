// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"fmt"
	"regexp"
	"time"
	_ "time/tzdata" // images have no zone files
)

// zoneForm is what names of zones look like that mean one zone: an area and a
// place. It leaves out EST, which is not what New York has in July, and
// posix/Europe/Berlin, which is a file and no name.
var zoneForm = regexp.MustCompile(`^(UTC|[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){1,2})$`)

// Zone returns the zone of an IANA name.
func Zone(name string) (*time.Location, error) {
	if zoneForm.MatchString(name) {
		if loc, err := time.LoadLocation(name); err == nil {
			return loc, nil
		}
		return nil, fmt.Errorf("time zone %q is not in the IANA database; want a name such as Europe/Berlin", name)
	}
	return nil, fmt.Errorf("time zone %q: want UTC or an IANA name such as Europe/Berlin; abbreviations such as EST mean several zones", name)
}
