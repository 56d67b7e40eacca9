// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"testing"
)

func TestOutputIsSafeForTerminalsAndSpreadsheets(t *testing.T) {
	l := list{Kind: "PersonList", Items: []item{{"name": "=HYPERLINK(\"http://evil\")\x1b[2J", "seats": -3.0}}}
	columns := []column{{Header: "NAME", Path: "name"}, {Header: "SEATS", Path: "seats"}}
	var table, csv strings.Builder
	if err := printList(&table, formatTable, l, columns); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsRune(table.String(), '\x1b') {
		t.Errorf("table passes an escape sequence: %q", table.String())
	}
	if err := printList(&csv, formatCSV, l, columns); err != nil {
		t.Fatal(err)
	}
	if want := "\"'=HYPERLINK("; !strings.Contains(csv.String(), want) {
		t.Errorf("csv has a live formula: %q", csv.String())
	}
	if !strings.Contains(csv.String(), ",-3\n") {
		t.Errorf("csv changed a number: %q", csv.String())
	}
}

func TestMissingFieldsReadAsMissing(t *testing.T) {
	c := column{Header: "X", Path: "a.b"}
	for _, it := range []item{{}, {"a": "text"}, {"a": map[string]any{}}} {
		if got := c.text(it); got != "-" {
			t.Errorf("%v: %q", it, got)
		}
	}
}
