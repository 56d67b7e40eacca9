// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

// NewAPIToken makes a token that is stored nowhere.
var NewAPIToken = newAPIToken
