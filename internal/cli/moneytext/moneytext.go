// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package moneytext writes amounts of money for people.
package moneytext

import (
	"fmt"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Currencies whose minor unit is not a hundredth (ISO 4217).
var minorDigits = map[string]int{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0, "UGX": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
	"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
}

// Format writes m as "1,599.00 USD", with ISO 4217's number of minor digits.
func Format(m model.Money) string {
	minor, currency := m.Minor, m.Currency
	digits, ok := minorDigits[currency]
	if !ok {
		digits = 2
	}
	sign := ""
	u := uint64(minor)
	if minor < 0 {
		sign, u = "-", -u
	}
	text := fmt.Sprintf("%0*d", digits+1, u)
	whole, fraction := text[:len(text)-digits], text[len(text)-digits:]
	if fraction != "" {
		fraction = "." + fraction
	}
	return strings.TrimSpace(sign + groupThousands(whole) + fraction + " " + currency)
}

func groupThousands(s string) string {
	var b strings.Builder
	for i, r := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// List writes one amount per currency, or "unknown" for none.
func List(all []model.Money) string {
	if len(all) == 0 {
		return "unknown"
	}
	parts := make([]string, len(all))
	for i, m := range all {
		parts[i] = Format(m)
	}
	return strings.Join(parts, " + ")
}
