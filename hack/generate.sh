#!/usr/bin/env bash
# Copyright The Seatkeeper Authors.
# SPDX-License-Identifier: Apache-2.0

# Generates deepcopy functions and CRDs from api/, the manager's role from the
# markers beside what needs it, the chart's copies of both, and the reference
# pages of docs/. CONTROLLER_GEN is the path of the controller-gen to use; the
# Makefile installs the pinned version.
set -euo pipefail

cd "$(dirname "$0")/.."
gen=${CONTROLLER_GEN:-controller-gen}

"$gen" object:headerFile=hack/boilerplate.go.txt paths=./api/...
"$gen" crd:crdVersions=v1 paths=./api/... output:crd:artifacts:config=config/crd/bases
go run ./hack/crdsteps config/crd/bases/seatkeeper.dev_workflows.yaml
"$gen" rbac:roleName=seatkeeper-manager paths=./controllers/... paths=./internal/app/... output:rbac:artifacts:config=config/rbac

# Helm packs only what is below the chart.
files=charts/seatkeeper/files
rm -rf "$files"
mkdir -p "$files/crds" "$files/roles"
cp config/crd/bases/*.yaml "$files/crds/"
cp config/rbac/roles/*.yaml "$files/roles/"
cp config/rbac/role.yaml "$files/manager-role.yaml"

go run ./hack/docs docs
