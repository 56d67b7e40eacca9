// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// TestEveryNumberIsTheVendorsTruth changes seed and size.
func TestEveryNumberIsTheVendorsTruth(t *testing.T) {
	for _, c := range []plan{{people: 500, seed: 1}, {people: 90, seed: 11}} {
		t.Run("", func(t *testing.T) {
			s := newSite(t, c)
			s.settled()
			g := NewWithT(t)
			truth := s.sim.Truth(fakesaas.TruthOptions{Zone: "Europe/Berlin", PriceMinorPerMonth: samplePrices})
			expectTruth(g, read[model.Summary](s, "summary"), truth)
			g.Expect(s.sim.Violations()).To(BeEmpty())
		})
	}
}
