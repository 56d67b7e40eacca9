// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package schedule says when something is due: cron schedules, dates at a wall
// time, days of work. It knows no clock and no store.
//
// One rule holds for every wall time: it comes at the first instant at which
// clocks of the zone show it or more. So a time that a change to summer time
// skips comes at the end of the gap, and one that comes twice counts once, the
// first time.
package schedule
