// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package perf measures the manager as a process on a real API server: what it
// costs to have many resources while nothing happens. It holds benchmarks only;
// hack/bench.sh runs them.
package perf
