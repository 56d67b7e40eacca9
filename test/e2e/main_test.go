// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seatkeeper/seatkeeper/internal/cli"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

// TestMain makes the command line available to scripts under both of its names.
// Each is a process of its own.
func TestMain(m *testing.M) {
	command := func() { os.Exit(cli.Main()) }
	testscript.Main(testenv.Wrap(m), map[string]func(){"seatkeeper": command, "kubectl-seatkeeper": command})
}
