// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package connector runs connectors that are data: it loads and validates a
// manifest, compiles its expressions, signs in, pages, keeps to rate limits,
// maps what a vendor answers to model records, and carries out actions.
//
// Vendor JSON stops here. Three rules hold wherever a request is made: it goes
// only to a host that the manifest declares and never to a private address
// unless the operator says so; a write needs the permission that the
// Integration grants; a credential goes into the request that needs it and
// nowhere else.
package connector
