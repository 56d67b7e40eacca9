// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"regexp"
	"sort"
	"strings"
)

// MaxMessage is the longest message that a condition carries.
const MaxMessage = 1024

// MaxVerbatim is the longest message that is kept as it is; the schema of a
// condition takes twice as much.
const MaxVerbatim = 16 << 10

// volatile is what differs between two tries of the same failure. A condition
// that carried it would change at every try and wake its own watchers for ever.
var volatile = regexp.MustCompile(strings.Join([]string{
	`[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}`, // UUID
	`\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:?\d{2})?`,         // instant
	`\b(\d{1,3}\.){3}\d{1,3}:\d+->`,                                               // local end of a connection
	`(?i)request[ -]?id[:= ]+\S+`,                                                 // vendor's request id
}, "|"))

// Message makes text fit for a condition: without what changes from one try to
// the next, on one line, and bounded.
func Message(text string) string {
	text = volatile.ReplaceAllString(strings.ToValidUTF8(text, "�"), "…")
	text = strings.Join(strings.Fields(text), " ")
	return bound(text, MaxMessage)
}

// Verbatim makes text fit for a condition without changing what it prints.
func Verbatim(text string) string {
	return bound(strings.ToValidUTF8(text, "�"), MaxVerbatim)
}

func bound(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	cut := limit - len("…")
	for cut > 0 && text[cut]&0xC0 == 0x80 { // not inside a UTF-8 sequence
		cut--
	}
	return text[:cut] + "…"
}

// List renders names sorted, the first max of them, for a message.
func List(names []string, max int) string {
	sorted := append([]string(nil), names...)
	sort.Strings(sorted)
	if len(sorted) <= max {
		return strings.Join(sorted, ", ")
	}
	return strings.Join(sorted[:max], ", ") + ", …"
}
