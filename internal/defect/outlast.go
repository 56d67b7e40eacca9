// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package defect

import (
	"context"
	"log/slog"
	"time"

	"k8s.io/utils/clock"
)

// rest is how long a part that failed does nothing: what it failed at may still be
// there.
const rest = time.Minute

// Outlast runs a part of a process until it returns, and begins it again after a
// rest whenever it panics. fn keeps nothing that a panic could leave half done.
func Outlast(ctx context.Context, c clock.Clock, log *slog.Logger, part string, fn func(context.Context) error) error {
	for {
		err := Guard(func() error { return fn(ctx) })
		if !Is(err) {
			return err
		}
		log.Error("A part of the program failed and begins again in a minute", append([]any{"part", part}, Attrs(err)...)...)
		select {
		case <-ctx.Done():
			return nil
		case <-c.After(rest):
		}
	}
}
