// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package reconcile is the loop that every controller runs and the one place
// that knows controller-runtime's Result. A controller gives a Loop its step;
// the Loop reads the object, keeps finalizers, honours deletion and
// suspension, sums conditions up into Ready, Reconciling and Stalled, patches
// status once and only if something in it changed, and turns an error's class
// into a requeue.
//
// The conditions it produces fit kstatus: Ready is always there; Reconciling
// and Stalled are there only while True and never together.
package reconcile
