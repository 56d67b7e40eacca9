// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// money shows {"minor":159900,"currency":"USD"} as "USD 1599.00".
func money(v any) string {
	m, ok := v.(map[string]any)
	if !ok {
		return "unknown"
	}
	minor, ok := m["minor"].(float64)
	if !ok {
		return "unknown"
	}
	currency, _ := m["currency"].(string)
	return model.Money{Minor: int64(minor), Currency: currency}.String()
}

// moneys shows a list of amounts, one per currency.
func moneys(v any) string {
	all, ok := v.([]any)
	if !ok || len(all) == 0 {
		return "-"
	}
	parts := make([]string, len(all))
	for i, m := range all {
		parts[i] = money(m)
	}
	return strings.Join(parts, " + ")
}

// coverageText says how much of what is in use is connected.
func coverageText(c model.Coverage) string {
	if c.Connectable == 0 {
		return "Coverage: nothing is known yet that a built-in connector could read."
	}
	return fmt.Sprintf("Coverage: %d of %d systems in use that have a connector are connected (%d%%); %d apps are known.", c.Connected, c.Connectable, c.Percent, c.Apps)
}

// minute shortens an RFC 3339 time to the minute, with its zone.
func minute(v any) string {
	s, _ := v.(string)
	if len(s) < 17 || s[10] != 'T' {
		if s == "" {
			return "-"
		}
		return s
	}
	if strings.HasSuffix(s, "Z") {
		return s[:16] + "Z"
	}
	if i := strings.LastIndexAny(s, "+-"); i > 10 {
		return s[:16] + s[i:]
	}
	return s[:16]
}

// day shortens an RFC 3339 time to its date.
func day(v any) string {
	s, _ := v.(string)
	if len(s) < 10 {
		return "-"
	}
	return s[:10]
}
