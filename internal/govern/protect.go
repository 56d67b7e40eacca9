// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package govern

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// maxNamed bounds the accounts that the input of one call may name.
const maxNamed = 100

// Protected says why nobody may touch the accounts that the input of a call to an
// Integration names, by id or by address; empty: they may be touched. It is asked
// right before the call, whatever led to it (invariant 5).
func (r *Rechecker) Protected(ctx context.Context, tenant model.TenantID, integration string, input map[string]any) (string, error) {
	org, err := r.store.TenantFacts(ctx, tenant)
	if err != nil {
		return "", err
	}
	named := texts(input)
	if len(named) == 0 {
		return "", nil
	}
	for _, name := range named {
		if !strings.Contains(name, "@") {
			continue
		}
		// Whom the source has no account of yet may be protected all the same.
		p, err := r.store.PersonByEmail(ctx, tenant, name)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return "", err
		}
		if listed(org.Protected, name) || err == nil && listed(org.Protected, p.Email) {
			return fmt.Sprintf("%s is protected by the Organization", name), nil
		}
	}
	found, next, err := r.store.ListAccounts(ctx, tenant, store.AccountQuery{Page: store.Page{Limit: maxNamed}, App: "-", Integrations: []string{integration}, Known: named})
	if err != nil {
		return "", fmt.Errorf("find the accounts of a call: %w", err)
	}
	if next != "" {
		return fmt.Sprintf("the call names more than %d accounts: whether one is protected is not looked up", maxNamed), nil
	}
	for i, a := range found {
		f := LeaverFacts{Account: &found[i]}
		if a.PersonID != "" {
			p, err := r.store.Person(ctx, tenant, a.PersonID)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return "", err
			}
			if err == nil {
				f.Person = &p
			}
		}
		why, err := r.protected(ctx, tenant, org, f)
		if err != nil {
			return "", err
		}
		if why != "" {
			return fmt.Sprintf("account %s of %s is protected (%s)", a.ExternalID, integration, why), nil
		}
	}
	return "", nil
}

func listed(addresses []string, mail string) bool {
	return slices.ContainsFunc(addresses, func(a string) bool { return strings.EqualFold(a, mail) })
}

// texts are all texts in a value, each once, sorted.
func texts(v any) []string {
	seen := map[string]bool{}
	var walk func(v any)
	walk = func(v any) {
		switch x := v.(type) {
		case string:
			if x = strings.TrimSpace(x); x != "" && len(x) <= 512 {
				seen[x] = true
			}
		case map[string]any:
			for _, e := range x {
				walk(e)
			}
		case []any:
			for _, e := range x {
				walk(e)
			}
		}
	}
	walk(v)
	return slices.Sorted(maps.Keys(seen))
}
