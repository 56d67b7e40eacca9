// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package expr is the one place that builds CEL environments: for connector
// manifests and for policies. It compiles with types, refuses what it cannot
// check, bounds the cost of every program, and lets a context interrupt it.
package expr
