// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Command preflight examines the machine before `make up` builds anything. It
// prints every problem with what mends it, and exits 1 if there is one.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/seatkeeper/seatkeeper/internal/cli/preflight"
)

func main() {
	stateDir := flag.String("state-dir", ".state", "folder of the data")
	portBase := flag.Int("port-base", preflight.DefaultPortBase, "first of the ports on 127.0.0.1")
	flag.Parse()
	problems := preflight.Check(preflight.Needs{
		GoMajor: 1, GoMinor: 26, DiskMiB: preflight.BuildDiskMiB, MemoryMiB: preflight.MemoryMiB,
		Dir: *stateDir, Ports: preflight.Ports(*portBase), OwnPIDs: preflight.OwnPIDs(*stateDir),
	})
	for _, p := range problems {
		fmt.Fprintln(os.Stderr, "  -", p)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
}
