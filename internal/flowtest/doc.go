// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package flowtest carries a Workflow out on this machine, by the code that
// runs it in the cluster: with a clock that jumps over waits, and with vendors
// and people whose answers are written down. Nothing leaves the machine.
package flowtest
