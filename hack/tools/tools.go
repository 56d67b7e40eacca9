// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package tools pins the versions of the build's own tools, apart from the
// product's module graph.
package tools

import (
	_ "helm.sh/helm/v3/cmd/helm"
	_ "sigs.k8s.io/controller-tools/cmd/controller-gen"
	_ "sigs.k8s.io/kube-api-linter/cmd/golangci-lint-kube-api-linter"
)
