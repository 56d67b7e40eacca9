// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package config embeds the manifests that `seatkeeper up` and tests apply.
package config

import "embed"

// Files holds the CRDs, the roles for people and the sample company.
//
//go:embed crd/bases/*.yaml rbac/roles/*.yaml samples/acme/*.yaml
var Files embed.FS
