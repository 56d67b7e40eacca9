// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// What `make up` needs of a machine, measured with a company of 500 people and
// rounded up.
const (
	DefaultPortBase = 26440
	BuildDiskMiB    = 6 << 10 // module and build caches, cold
	RunDiskMiB      = 512
	MemoryMiB       = 2 << 10 // the linker's peak; running takes about 600
)

// Offsets from the port base.
const (
	PortControlPlane = iota
	PortGateway
	PortMetrics
	PortOkta
	PortSlack
	PortZoom
	PortHRIS
	PortSimulators
)

// Ports lists what `seatkeeper up` listens on.
func Ports(base int) []Port {
	return []Port{
		{base + PortControlPlane, "the control plane"}, {base + PortGateway, "the gateway"}, {base + PortMetrics, "metrics"},
		{base + PortOkta, "the simulated Okta"}, {base + PortSlack, "the simulated Slack"}, {base + PortZoom, "the simulated Zoom"},
		{base + PortHRIS, "the simulated HRIS"}, {base + PortSimulators, "the simulators' own page"},
	}
}

// Running is what a start of `seatkeeper up` writes down about itself.
type Running struct {
	PID      int   `json:"pid"`
	Children []int `json:"children"`
}

// RunningFile is where it is written.
func RunningFile(stateDir string) string { return filepath.Join(stateDir, "up.json") }

// ReadRunning returns what is written, or zero if nothing is.
func ReadRunning(stateDir string) Running {
	var r Running
	data, err := os.ReadFile(RunningFile(stateDir))
	if err != nil || json.Unmarshal(data, &r) != nil {
		return Running{}
	}
	return r
}

// OwnPIDs are the processes of an earlier start in the same folder.
func OwnPIDs(stateDir string) []int {
	r := ReadRunning(stateDir)
	if r.PID == 0 {
		return nil
	}
	return append([]int{r.PID}, r.Children...)
}
