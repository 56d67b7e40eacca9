// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/gateway/query"
)

// connectables are the built-in connectors of systems; a file is none.
func connectables() []query.Connectable {
	var out []query.Connectable
	for _, name := range connectors.Names() {
		m, err := connectors.Builtin(name)
		if err != nil || m.Category() == "file" {
			continue // a manifest that does not load fails the tests and the manager
		}
		out = append(out, query.Connectable{Name: name, Title: m.Title(), Domains: m.Domains()})
	}
	return out
}
