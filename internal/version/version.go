// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package version tells which build this is.
package version

// Version is set when the binary is linked; "unknown" in a plain go build.
var Version = "unknown"
