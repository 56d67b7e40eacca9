// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// shownFields are what a record tells of nobody. Every other text is masked,
// so that a field that is added later is masked until somebody decides.
var shownFields = []string{
	"Status", "RawStatus", "Kind", "State", "Lifecycle", "GrantedVia", "Role", "Source", "LastActivitySource", "SSOMode", "CatalogHint",
	"PlanKey", "PlanName", "Period", "Currency", "Date", "At", "CreatedAt", "LastActivityAt", "AssignedAt", "UpdatedAt", "FirstSeenAt", "StartDate", "EndDate",
}

// namesOfThings are records whose name is no person's.
var namesOfThings = []string{"Plan", "App"}

// fieldsOf shows the fields of a record that are there, on one line.
func fieldsOf(r *model.Record, masked bool) (string, error) {
	raw, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("encode a record: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var kinds map[string]any
	if err := dec.Decode(&kinds); err != nil {
		return "", fmt.Errorf("encode a record: %w", err)
	}
	var parts []string
	for kind, v := range kinds {
		fields, ok := v.(map[string]any)
		if !ok {
			continue // one of the kinds that this record is not
		}
		parts = append(parts, kind)
		names := make([]string, 0, len(fields))
		for name := range fields {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			v := fields[name]
			if masked && !slices.Contains(shownFields, name) && !(slices.Contains([]string{"Name", "Key"}, name) && slices.Contains(namesOfThings, kind)) {
				v = mask(v)
			}
			if text := rawText(number(v)); text != "" && text != "false" && text != "null" {
				parts = append(parts, fmt.Sprintf("%s=%s", name, text))
			}
		}
	}
	return strings.Join(parts, " "), nil
}

// number makes an exact number a text as it is.
func number(v any) any {
	if n, ok := v.(json.Number); ok {
		return n.String()
	}
	return v
}

// mask hides the texts of a value: the first letter stays, and the domain of
// an e-mail address.
func mask(v any) any {
	switch t := v.(type) {
	case string:
		return maskText(t)
	case []any:
		out := make([]any, len(t))
		for i := range t {
			out[i] = mask(t[i])
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k := range t {
			out[k] = "…"
		}
		return out
	}
	return v
}

func maskText(s string) string {
	if s == "" {
		return ""
	}
	_, size := utf8.DecodeRuneInString(s)
	if at := strings.LastIndexByte(s, '@'); at > 0 {
		return s[:size] + "…" + s[at:]
	}
	if utf8.RuneCountInString(s) < 4 {
		return "…"
	}
	return s[:size] + "…"
}
