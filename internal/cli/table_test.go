// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"testing"
	"unicode/utf8"
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

func TestTablesFitEightyColumns(t *testing.T) {
	long := strings.Repeat("ä-very-long-name", 6)
	l := list{Items: []item{{"id": "01a20033-68fc-7a6f-bfee-5d7fee40191b", "name": long, "mail": long + "@acme.example"}}}
	columns := []column{{Header: "ID", Path: "id", Whole: true}, {Header: "NAME", Path: "name"}, {Header: "EMAIL", Path: "mail"}}
	var table, wide strings.Builder
	if err := printList(&table, formatTable, l, columns); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(table.String()) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > tableWidth {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	if !strings.Contains(table.String(), "01a20033-68fc-7a6f-bfee-5d7fee40191b") || !strings.Contains(table.String(), "…") {
		t.Errorf("an id was cut, or a cut cell does not say so:\n%s", table.String())
	}
	if err := printList(&wide, formatWide, l, columns); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(wide.String(), long+"@acme.example") {
		t.Errorf("-o wide cut a cell:\n%s", wide.String())
	}
}

func TestNothingToShow(t *testing.T) {
	of := map[string]resource{}
	for _, r := range resources {
		of[r.Name] = r
	}
	for want, got := range map[string]string{
		"No integrations found in namespace acme.":                                of["integrations"].none("", "acme"),
		"Nothing needs attention in namespace acme.":                              of["integrations"].none("attention", "acme"),
		"Nothing that is in use in namespace acme could be connected and is not.": of["integrations"].none("recommended", "acme"),
		"No apps found in namespace acme.":                                        of["apps"].none("", "acme"),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
