// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package workflow runs definitions: step graphs that are data. A run is a row
// (revision, cursor, vars) in the store; this package decides what the row
// becomes and makes the calls between two commits.
//
// The interpreter (program, decide) is a pure function from a loaded run and
// an event to the change to write, so it runs inside the store's transaction.
// The engine gathers what a decision needs before that transaction, and sends
// what the decision intends after it. docs/design/engine.md has the state
// machine and its invariants.
package workflow
