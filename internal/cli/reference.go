// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"io"

	"github.com/spf13/cobra"
)

// Reference returns the whole command line without running it, for the
// reference page and for tests that read commands in the documentation.
func Reference() *cobra.Command {
	return newRoot("seatkeeper", &env{out: io.Discard, errOut: io.Discard, kube: kubeFlags()})
}
