// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package moneytext

import (
	"math"
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

func TestMoney(t *testing.T) {
	for want, m := range map[string]struct {
		minor    int64
		currency string
	}{
		"0.00 USD":                       {0, "USD"},
		"0.05 EUR":                       {5, "EUR"},
		"1,599.00 USD":                   {159900, "USD"},
		"-1,000,000.01 EUR":              {-100000001, "EUR"},
		"1,000 JPY":                      {1000, "JPY"},
		"1.234 KWD":                      {1234, "KWD"},
		"-92,233,720,368,547,758.08 USD": {math.MinInt64, "USD"},
		"92,233,720,368,547,758.07 USD":  {math.MaxInt64, "USD"},
	} {
		if got := Format(model.Money{Minor: m.minor, Currency: m.currency}); got != want {
			t.Errorf("formatMoney(%d, %s) = %q, want %q", m.minor, m.currency, got, want)
		}
	}
}
