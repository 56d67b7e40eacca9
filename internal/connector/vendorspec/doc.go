// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package vendorspec holds requests and mappings against what vendors publish
// of their APIs: OpenAPI 3, Swagger 2 and Google's discovery documents. It
// serves tests and simulators; the descriptions themselves are no part of the
// project.
package vendorspec
