// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"runtime/debug"

	apimachineryversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/component-base/compatibility"
)

const upstreamModule = "k8s.io/kubernetes"

// versionedRegistry makes /version answer with the version of the upstream
// module. Upstream's own build sets it by the linker; a build without that
// answers v0.0.0-master, which kubectl cannot parse and no chart accepts.
type versionedRegistry struct {
	compatibility.ComponentGlobalsRegistry
	gitVersion string
}

// EffectiveVersionFor implements compatibility.ComponentGlobalsRegistry.
func (r versionedRegistry) EffectiveVersionFor(component string) compatibility.EffectiveVersion {
	effective := r.ComponentGlobalsRegistry.EffectiveVersionFor(component)
	if effective == nil {
		return nil
	}
	return versioned{EffectiveVersion: effective, gitVersion: r.gitVersion}
}

type versioned struct {
	compatibility.EffectiveVersion
	gitVersion string
}

// Info implements compatibility.EffectiveVersion.
func (v versioned) Info() *apimachineryversion.Info {
	info := v.EffectiveVersion.Info()
	if info != nil {
		info.GitVersion = v.gitVersion
		// Placeholders too without the linker's help.
		info.GitCommit, info.BuildDate = "", ""
	}
	return info
}

// upstreamVersion is the version that go.mod requires, such as v1.36.3.
func upstreamVersion() (version string, known bool) {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return "", false
	}
	for _, module := range build.Deps {
		if module.Path == upstreamModule {
			return module.Version, true
		}
	}
	return "", false
}
