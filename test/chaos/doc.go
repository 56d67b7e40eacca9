// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package chaos kills the process that reclaims seats, at every named
// failpoint and at random instants, and counts at the simulated vendors what
// really happened: nothing lost, nothing doubled (invariant 7).
package chaos
