#!/usr/bin/env bash
# Copyright The Seatkeeper Authors.
# SPDX-License-Identifier: Apache-2.0

# Generates deepcopy functions and CRDs from api/. CONTROLLER_GEN is the path of
# the controller-gen to use; the Makefile installs the pinned version.
set -euo pipefail

cd "$(dirname "$0")/.."
gen=${CONTROLLER_GEN:-controller-gen}

"$gen" object:headerFile=hack/boilerplate.go.txt paths=./api/...
"$gen" crd:crdVersions=v1 paths=./api/... output:crd:artifacts:config=config/crd/bases
go run ./hack/crdsteps config/crd/bases/seatkeeper.dev_workflows.yaml
