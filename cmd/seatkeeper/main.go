// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Command seatkeeper is the command line, also installed as kubectl-seatkeeper.
package main

import (
	"os"

	"github.com/seatkeeper/seatkeeper/internal/cli"
)

func main() {
	os.Exit(cli.Main())
}
