// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package policy decides about seats and contracts. Every function is pure: it
// looks at what the caller gathered and at nothing else, so that a decision can
// be explained, tested and made again just before an action.
//
// A seat is Active, Inactive or Unknown. Inactive needs proof of absence: a
// trusted, fresh source that would have shown a use and did not, for the whole
// window. Whatever is not proven either way is Unknown and is never acted on.
package policy
