// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Every canonical type can be sent, by the names that a manifest's map has.
const everyType = "\xef\xbb\xbf" + `{"type":"Person","externalId":7,"email":"Ada@Acme.example","aliases":["A@acme.example"],"startDate":"2026-01-01","lifecycle":"current","custom":{"badge":12345678901234567}}
{"type":"Account","externalId":"u1","personKey":"ada@acme.example","status":"active","mfa":true,"lastActivityAt":"2026-11-20T12:00:00+01:00","lastActivitySource":"agent"}

{"type":"Account","externalId":"u2","status":"invited","lastActivityAt":null}
{"type":"Account","externalId":"u3","status":"active"}
{"type":"Plan","key":"pro","name":"Pro","paid":true,"purchased":30,"unitCostMinor":1500,"currency":"EUR","period":"Month"}
{"type":"Plan","key":"old","name":"Old","used":0,"active":false}
{"type":"LicenseAssignment","accountExternalId":"u1","planKey":"pro","state":"active"}
{"type":"Group","externalId":"g","name":"sales"}
{"type":"Membership","groupExternalId":"g","accountExternalId":"u1"}
{"type":"DiscoveredApp","externalId":"a","name":"Zoom","source":"browser","firstSeenAt":"2026-11-20T12:00:00Z"}
{"type":"Transaction","externalId":"t","date":"2026-11-20","amountMinor":-250,"currency":"jpy","vendorName":"Zoom","kind":"refund"}
{"type":"Contract","externalId":"c","name":"Zoom 2026","appHint":"zoom.us","start":"2026-01-01","end":"2026-12-31","currency":"EUR","valueMinor":54000,"lines":[{"planKey":"pro","quantity":30,"unitCostMinor":1500}]}
{"type":"UsageEvent","personKey":"ada@acme.example","at":"2026-11-20T11:59:00Z","kind":"visit","source":"browser-extension"}
{"complete":["Account","Plan"],"count":13,"covers":{"from":"2026-11-20T00:00:00Z","until":"2026-11-21T00:00:00Z"}}
`

func TestEveryTypeCanBePushed(t *testing.T) {
	in := connector.NewRecordReader(strings.NewReader(everyType))
	var got []model.Record
	for {
		r, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	at := time.Date(2026, 11, 20, 11, 0, 0, 0, time.UTC)
	seen := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	yes, no, none, value, cost, bought := true, false, int64(0), int64(54000), int64(1500), int64(30)
	want := []model.Record{
		{Person: &model.Person{ExternalID: "7", Email: "ada@acme.example", Aliases: []string{"a@acme.example"}, StartDate: "2026-01-01", Lifecycle: model.LifecycleCurrent,
			Custom: map[string]any{"badge": int64(12345678901234567)}}},
		{Account: &model.Account{ExternalID: "u1", PersonKey: "ada@acme.example", Status: model.AccountActive, MFA: &yes, ActivityReported: true, LastActivityAt: &at, LastActivitySource: "agent"}},
		{Account: &model.Account{ExternalID: "u2", Status: model.AccountInvited, ActivityReported: true}}, // never
		{Account: &model.Account{ExternalID: "u3", Status: model.AccountActive}},                          // not known
		{Plan: &model.Plan{Key: "pro", Name: "Pro", Paid: true, Purchased: &bought, UnitCostMinor: &cost, Currency: "EUR", Period: model.PeriodMonth}},
		{Plan: &model.Plan{Key: "old", Name: "Old", Used: &none, Active: &no}, Removed: true}, // not sold, and nobody has it
		{Assignment: &model.Assignment{AccountExternalID: "u1", PlanKey: "pro", State: model.AssignmentActive}},
		{Group: &model.Group{ExternalID: "g", Name: "sales"}},
		{Membership: &model.Membership{GroupExternalID: "g", AccountExternalID: "u1"}},
		{App: &model.DiscoveredApp{ExternalID: "a", Name: "Zoom", Source: "browser", FirstSeenAt: &seen}},
		{Transaction: &model.Transaction{ExternalID: "t", Date: "2026-11-20", Amount: model.Money{Minor: -250, Currency: "JPY"}, VendorName: "Zoom", Kind: model.TransactionRefund}},
		{Contract: &model.Contract{ExternalID: "c", Name: "Zoom 2026", AppHint: "zoom.us", Start: "2026-01-01", End: "2026-12-31", Currency: "EUR", ValueMinor: &value,
			Lines: []model.ContractLine{{PlanKey: "pro", Quantity: 30, UnitCostMinor: &cost}}}},
		{Usage: &model.UsageEvent{PersonKey: "ada@acme.example", At: seen.Add(-time.Minute), Kind: "visit", Count: 1, Source: "browser-extension"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	end := connector.RecordsEnd{Types: []model.DataType{model.DataAccounts, model.DataPlans}, Window: &connector.Window{Start: seen.Add(-12 * time.Hour), End: seen.Add(12 * time.Hour)}}
	if diff := cmp.Diff(end, in.End()); diff != "" {
		t.Error(diff)
	}
}

// A wrong line is named by number, field and reason, and no value of it is told.
func TestWrongLinesAreNamed(t *testing.T) {
	for name, tc := range map[string]struct{ line, want string }{
		"no JSON":           {`nonsense`, "line 2: no JSON object"},
		"a list":            {`[1]`, "line 2: no JSON object"},
		"null":              {`null`, "line 2: no JSON object"},
		"two values":        {`{"type":"Group"} {}`, "line 2: more than one JSON value"},
		"no type":           {`{"externalId":"x"}`, "line 2, field type: missing; want Account, "},
		"unknown type":      {`{"type":"Acount"}`, "line 2, field type: there is no such type; want Account, "},
		"unknown field":     {`{"type":"Group","externalId":"g","name":"x","emial":"secret@acme.example"}`, "line 2, field emial: unknown to Group; did you mean email?"},
		"missing field":     {`{"type":"Group","externalId":"g"}`, "line 2, field name: required, and has no value"},
		"empty field":       {`{"type":"Group","externalId":"","name":"x"}`, "line 2, field externalId: required, and has no value"},
		"vocabulary":        {`{"type":"Account","externalId":"u","status":"secret"}`, "line 2, field status: got a value outside the vocabulary, want one of [active "},
		"no time":           {`{"type":"Account","externalId":"u","status":"active","lastActivityAt":"secret"}`, "line 2, field lastActivityAt: got text that is no time"},
		"a number for time": {`{"type":"Account","externalId":"u","status":"active","lastActivityAt":5}`, "line 2, field lastActivityAt: got int, want a time"},
		"no date":           {`{"type":"Transaction","externalId":"t","date":"20.11.2026","amountMinor":1,"currency":"EUR","vendorName":"v","kind":"card"}`, "line 2, field date: got text that is no date"},
		"fractional money":  {`{"type":"Transaction","externalId":"t","date":"2026-11-20","amountMinor":1.5,"currency":"EUR","vendorName":"v","kind":"card"}`, "line 2, field amountMinor: got double, want an integer of minor units"},
		"no currency":       {`{"type":"Transaction","externalId":"t","date":"2026-11-20","amountMinor":1,"currency":"EURO","vendorName":"v","kind":"card"}`, "line 2, field currency: got text that is no ISO 4217 currency"},
		"amount alone":      {`{"type":"Contract","externalId":"c","name":"n","appHint":"h","valueMinor":5}`, "line 2: amounts without a currency"},
		"a line's field":    {`{"type":"Contract","externalId":"c","name":"n","appHint":"h","lines":[{"planKey":"p","seats":5}]}`, "line 2, field lines: line 1, seats: there is no such field"},
		"ends too early":    {`{"type":"Contract","externalId":"c","name":"n","appHint":"h","start":"2026-02-01","end":"2026-01-01"}`, "line 2: the end is before the start"},
		"nobody":            {`{"type":"UsageEvent","at":"2026-11-20T12:00:00Z","kind":"visit","source":"agent"}`, "line 2: the event names nobody"},
		"no source":         {`{"type":"UsageEvent","personKey":"a@b.example","at":"2026-11-20T12:00:00Z","kind":"visit"}`, "line 2, field source: required"},
		"custom":            {`{"type":"Account","externalId":"u","status":"active","custom":[]}`, "line 2, field custom: want an object"},
		"lost records":      {`{"complete":true,"count":5}`, "line 2, field count: 1 records came before this line"},
		"complete":          {`{"complete":"yes"}`, "line 2, field complete: got string"},
		"complete type":     {`{"complete":["accounts"]}`, "line 2, field complete: want true, false or a list of Account, "},
		"covers":            {`{"complete":true,"covers":{"from":"2026-11-20T12:00:00Z","until":"2026-11-19T12:00:00Z"}}`, "line 2, field covers: want {from, until}"},
		"more at the end":   {`{"complete":true,"seats":1}`, "line 2, field seats: the last line has"},
		"behind the end":    {"{\"complete\":true}\n{\"type\":\"Group\"}", "line 3: there is more behind the line that says complete"},
		"endless line":      {`{"type":"` + strings.Repeat("secret", 60_000) + `"}`, "line 2: longer than 256 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			in := connector.NewRecordReader(strings.NewReader(`{"type":"Group","externalId":"g","name":"sales"}` + "\n" + tc.line + "\n"))
			if _, err := in.Next(); err != nil {
				t.Fatal(err)
			}
			_, err := in.Next()
			var fault *connector.LineError
			if !errors.As(err, &fault) || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("got %v\nwant %s…", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error tells a value: %v", err)
			}
		})
	}
}

// A sender that goes away is no end of the records.
func TestABrokenBodyIsNoEnd(t *testing.T) {
	in := connector.NewRecordReader(io.MultiReader(strings.NewReader(`{"type":"Group","externalId":"g","name":"sa`), brokenReader{}))
	_, err := in.Next()
	var fault *connector.LineError
	if err == nil || errors.Is(err, io.EOF) || errors.As(err, &fault) {
		t.Fatalf("got %v", err)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func FuzzRecordReader(f *testing.F) {
	f.Add([]byte(everyType))
	f.Add([]byte(`{"complete":true,"count":0}`))
	f.Add([]byte(`{"type":"Contract","externalId":1e300,"name":[],"lines":[null,{"quantity":-1}]}`))
	f.Add([]byte(`{"type":"Account","externalId":"` + "\xff\x00" + `","status":"active","custom":{"a":{"b":[1,2.5,null]}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		in := connector.NewRecordReader(strings.NewReader(string(data)))
		for faults := 0; ; {
			r, err := in.Next()
			var fault *connector.LineError
			switch {
			case errors.Is(err, io.EOF):
				if n := in.Records(); n < 0 || n > int64(len(data)) {
					t.Fatalf("%d records of %d bytes", n, len(data))
				}
				return
			case errors.As(err, &fault):
				if faults++; fault.Line < 1 || fault.Message == "" || fault.Fatal() || faults > len(data) {
					return
				}
			case err != nil:
				t.Fatalf("an error that no reader made: %v", err)
			case r.Type() == "":
				t.Fatal("a record without a type")
			}
		}
	})
}
