// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// watchPoll is how often what is watched is looked at.
const watchPoll = 2 * time.Second

// repeat calls look until it says that it is over, or the command is
// interrupted.
func repeat(ctx context.Context, look func() (over bool, err error)) error {
	for {
		over, err := look()
		if over || err != nil {
			return interrupted(ctx, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(watchPoll):
		}
	}
}

// interrupted is no error: a watch ends that way.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// changes prints the items that are new or differ from what was printed
// before, oldest first.
type changes struct {
	columns []column
	width   int
	seen    map[string][]byte
}

func (c *changes) print(out io.Writer, l list) error {
	first := c.seen == nil
	if first {
		c.seen = map[string][]byte{}
	}
	var fresh []item
	for i := len(l.Items) - 1; i >= 0; i-- {
		it := l.Items[i]
		raw, err := json.Marshal(it)
		if err != nil {
			return err
		}
		id := identity(it, c.columns)
		if !bytes.Equal(c.seen[id], raw) {
			c.seen[id] = raw
			fresh = append(fresh, it)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	var b bytes.Buffer
	if err := printTable(&b, fresh, c.columns, c.width); err != nil {
		return err
	}
	text := b.Bytes()
	if !first { // the header is there
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	_, err := out.Write(text)
	return err
}

// watchOne prints a document each time that it has changed.
type watchOne struct{ last string }

func (w *watchOne) print(out io.Writer, text string) error {
	if text == w.last {
		return nil
	}
	gap := ""
	if w.last != "" {
		gap = "\n"
	}
	w.last = text
	_, err := fmt.Fprint(out, gap, text)
	return err
}
