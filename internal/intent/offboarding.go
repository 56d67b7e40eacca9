// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/offboarding"
)

// Offboarding is what the Application declares for a leaver's accounts.
func Offboarding(app *v1alpha1.Application) []offboarding.Entry {
	var out []offboarding.Entry
	for _, m := range app.Spec.Offboarding {
		e := offboarding.Entry{
			Integration: string(m.Name), Method: offboarding.Method(m.Method), Action: string(m.Action),
			Unmanaged: offboarding.Method(m.UnmanagedAccounts),
		}
		if n, err := m.DeleteAfter.Count(); err == nil { // the schema lets nothing else in
			e.DeleteAfter = n
		}
		for _, r := range m.TransferTo {
			e.TransferTo = append(e.TransferTo, offboarding.Recipient{Role: string(r.Role), Email: string(r.Email)})
		}
		out = append(out, e)
	}
	return out
}
