// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package model

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
	"time"
)

// Date is a calendar date "2006-01-02" with no zone; empty is no date.
type Date string

const dateLayout = "2006-01-02"

// ParseDate accepts exactly YYYY-MM-DD.
func ParseDate(s string) (Date, error) {
	if _, err := time.Parse(dateLayout, s); err != nil {
		return "", fmt.Errorf("date %q: want YYYY-MM-DD", s)
	}
	return Date(s), nil
}

// DateOf returns the calendar date of t in zone loc.
func DateOf(t time.Time, loc *time.Location) Date {
	return Date(t.In(loc).Format(dateLayout))
}

// In returns the first instant of the date in loc. ok is false for an empty
// or malformed date.
func (d Date) In(loc *time.Location) (t time.Time, ok bool) {
	t, err := time.ParseInLocation(dateLayout, string(d), loc)
	return t, err == nil
}

// AddDays returns the date n calendar days later; an empty date stays empty.
func (d Date) AddDays(n int) Date {
	t, ok := d.In(time.UTC)
	if !ok {
		return ""
	}
	return DateOf(t.AddDate(0, 0, n), time.UTC)
}

// DaysUntil counts calendar days from d to other; negative if other is
// earlier. Both must be valid.
func (d Date) DaysUntil(other Date) int {
	a, okA := d.In(time.UTC)
	b, okB := other.In(time.UTC)
	if !okA || !okB {
		return 0
	}
	return int(b.Sub(a).Hours() / 24)
}

// Period is the time that a price covers.
type Period string

// Billing periods.
const (
	PeriodMonth   Period = "Month"
	PeriodQuarter Period = "Quarter"
	PeriodYear    Period = "Year"
)

// PerYear returns how many such periods a year has, or 0 if unknown.
func (p Period) PerYear() int64 {
	switch p {
	case PeriodMonth:
		return 12
	case PeriodQuarter:
		return 4
	case PeriodYear:
		return 1
	}
	return 0
}

// Money is an amount in minor units (cents) of an ISO 4217 currency.
type Money struct {
	Minor    int64  `json:"minor"`
	Currency string `json:"currency"`
}

// minorDigits holds the ISO 4217 currencies whose minor unit is not a hundredth.
var minorDigits = map[string]int{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0, "UGX": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
	"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
}

// String writes the amount for people: "EUR 1234.50".
func (m Money) String() string {
	digits, ok := minorDigits[m.Currency]
	if !ok {
		digits = 2
	}
	sign, minor := "", uint64(m.Minor)
	if m.Minor < 0 {
		sign, minor = "-", -minor
	}
	text := fmt.Sprintf("%0*d", digits+1, minor)
	if digits > 0 {
		text = text[:len(text)-digits] + "." + text[len(text)-digits:]
	}
	return strings.TrimSpace(m.Currency + " " + sign + text)
}

// JoinMoney writes amounts of several currencies; there is nothing to say of
// none.
func JoinMoney(all []Money) string {
	parts := make([]string, len(all))
	for i, m := range all {
		parts[i] = m.String()
	}
	return strings.Join(parts, " + ")
}

// ErrMoneyOverflow reports an amount beyond int64 minor units.
var ErrMoneyOverflow = errors.New("amount exceeds the range of int64 minor units")

// MulDiv returns m × num ÷ den rounded half away from zero, computed without
// overflow or floats. den must not be zero.
func (m Money) MulDiv(num, den int64) (Money, error) {
	if den == 0 {
		return Money{}, errors.New("division of money by zero")
	}
	n := new(big.Int).Mul(big.NewInt(m.Minor), big.NewInt(num))
	d := big.NewInt(den)
	if d.Sign() < 0 {
		n.Neg(n)
		d.Neg(d)
	}
	half := new(big.Int).Rsh(d, 1)
	if n.Sign() < 0 {
		n.Sub(n, half)
	} else {
		n.Add(n, half)
	}
	q := n.Quo(n, d)
	if !q.IsInt64() || q.Int64() == math.MinInt64 {
		return Money{}, ErrMoneyOverflow
	}
	return Money{Minor: q.Int64(), Currency: m.Currency}, nil
}

// Annual returns the yearly cost of one unit priced m per period p; ok is
// false when the period is unknown.
func (m Money) Annual(p Period) (Money, bool) {
	n := p.PerYear()
	if n == 0 {
		return Money{}, false
	}
	a, err := m.MulDiv(n, 1)
	return a, err == nil
}
