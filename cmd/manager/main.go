// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Command manager runs Seatkeeper's controllers, sync workers and run executor.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // the image has no zone files

	"github.com/seatkeeper/seatkeeper/internal/app/manager"
)

func main() {
	options, err := manager.ParseFlags(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(2)
	}
	if err := run(options); err != nil {
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
}

func run(options manager.Options) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	app, err := manager.New(options)
	if err != nil {
		return err
	}
	return app.Start(ctx)
}
