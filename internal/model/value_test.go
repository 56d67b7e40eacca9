// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import (
	"math"
	"testing"
)

func TestMoneyString(t *testing.T) {
	for want, m := range map[string]Money{
		"EUR 180.00":                {18000, "EUR"},
		"EUR 0.05":                  {5, "EUR"},
		"USD 0.00":                  {0, "USD"},
		"EUR -0.50":                 {-50, "EUR"},
		"JPY 1500":                  {1500, "JPY"},
		"KWD 1.234":                 {1234, "KWD"},
		"USD 92233720368547758.07":  {math.MaxInt64, "USD"},
		"USD -92233720368547758.08": {math.MinInt64, "USD"},
		"12.00":                     {1200, ""},
	} {
		if got := m.String(); got != want {
			t.Errorf("%d %s is %q, want %q", m.Minor, m.Currency, got, want)
		}
	}
	if got := JoinMoney([]Money{{100, "EUR"}, {200, "USD"}}); got != "EUR 1.00 + USD 2.00" {
		t.Errorf("joined %q", got)
	}
}
