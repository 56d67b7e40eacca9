// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"slices"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Hosts returns the hosts that requests of this session may go to, as
// host[:port] in lower case, sorted.
func (s *Session) Hosts() []string { return sortedKeys(s.declared) }

// Native reports whether the connector reads in Go; then it has no requests to
// play fixtures to.
func (m *Manifest) Native() bool { return m.native != "" }

// ConfigEnum returns the values that a config field is restricted to; none if
// it is not.
func (m *Manifest) ConfigEnum(name string) []string {
	for _, f := range m.config {
		if f.Name == name {
			return slices.Clone(f.enum)
		}
	}
	return nil
}

// FirstUsage returns how far back the first sync reads usage where the config
// says nothing else; zero: the manifest has no usage. Capabilities has the
// most that can be asked for.
func (m *Manifest) FirstUsage(now time.Time) time.Duration {
	config := map[string]any{}
	for _, f := range m.config {
		config[f.Name] = f.Default
	}
	vars := map[string]any{"config": config, "now": now, "secretNames": map[string]bool{}}
	var longest time.Duration
	for _, st := range m.streams {
		if !slices.Contains(st.dataTypes(), model.DataUsage) {
			continue
		}
		back := st.history
		if st.mode == "window" && st.start != nil {
			if v, err := st.start.Eval(context.Background(), vars); err == nil {
				if start, ok := v.(time.Time); ok {
					back = min(back, now.Sub(start))
				}
			}
		}
		longest = max(longest, back)
	}
	return longest
}
