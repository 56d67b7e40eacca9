// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package csvfile

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

func parseText(t testing.TB, text string, o Options) (*Result, []model.Record) {
	t.Helper()
	res, err := Parse(strings.NewReader(text), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := res.Close(); err != nil {
			t.Error(err)
		}
	})
	var out []model.Record
	for rec, err := range res.Records() {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, rec)
	}
	return res, out
}

func at(y int, m time.Month, d, h, min, s int) *time.Time {
	v := time.Date(y, m, d, h, min, s, 0, time.UTC)
	return &v
}

func ptr[T any](v T) *T { return &v }

const slackExport = `username,email,status,billing-active,has-2fa,has-sso,userid,fullname,displayname,expiration-timestamp
ada,Ada@Acme.example,Primary Owner,1,1,0,U01,Ada Lovelace,ada,
bob,bob@acme.example,Member,1,0,0,U02,"Bob ""B"" Builder",bobby,
gast,g@partner.example,Single-Channel Guest,0,0,0,U03,Gast,,1798761600
old,old@acme.example,Deactivated,0,0,0,U04,Old,,
build,,Bot,0,0,0,U05,Build Bot,,
`

func TestSlackExport(t *testing.T) {
	res, recs := parseText(t, slackExport, Options{})
	if res.Format != "slack" || res.Encoding != "UTF-8" || res.Delimiter != "," || res.Rows != 5 {
		t.Errorf("got %+v", res)
	}
	want := []model.Record{
		{Account: &model.Account{ExternalID: "U01", PersonKey: "ada@acme.example", Username: "ada", DisplayName: "Ada Lovelace", Status: "active",
			RawStatus: "Primary Owner", Role: "Primary Owner", IsAdmin: true, MFA: ptr(true), Custom: map[string]any{"has-sso": "0", "displayname": "ada"}}},
		{Assignment: &model.Assignment{AccountExternalID: "U01", PersonKey: "ada@acme.example", PlanKey: "slack.member", PlanName: "Member", Paid: true, State: "active", GrantedVia: "direct"}},
		{Account: &model.Account{ExternalID: "U02", PersonKey: "bob@acme.example", Username: "bob", DisplayName: `Bob "B" Builder`, Status: "active",
			RawStatus: "Member", Role: "Member", MFA: ptr(false), Custom: map[string]any{"has-sso": "0", "displayname": "bobby"}}},
		{Assignment: &model.Assignment{AccountExternalID: "U02", PersonKey: "bob@acme.example", PlanKey: "slack.member", PlanName: "Member", Paid: true, State: "active", GrantedVia: "direct"}},
		{Account: &model.Account{ExternalID: "U03", PersonKey: "g@partner.example", Username: "gast", DisplayName: "Gast", Status: "active", Kind: "guest",
			RawStatus: "Single-Channel Guest", Role: "Single-Channel Guest", MFA: ptr(false), Custom: map[string]any{"has-sso": "0", "expiration-timestamp": "1798761600"}}},
		{Account: &model.Account{ExternalID: "U04", PersonKey: "old@acme.example", Username: "old", DisplayName: "Old", Status: "deactivated",
			RawStatus: "Deactivated", Role: "Deactivated", MFA: ptr(false), Custom: map[string]any{"has-sso": "0"}}},
		{Account: &model.Account{ExternalID: "U05", Username: "build", DisplayName: "Build Bot", Status: "active", Kind: "service",
			RawStatus: "Bot", Role: "Bot", MFA: ptr(false), Custom: map[string]any{"has-sso": "0"}}},
	}
	if d := cmp.Diff(want, recs); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestGoogleExport(t *testing.T) {
	res, recs := parseText(t, "First Name [Required],Last Name [Required],Email Address [Required],Password [Required],Org Unit Path [Required],"+
		"Status [READ ONLY],Last Sign In [READ ONLY],Licenses [READ ONLY],2sv Enrolled [READ ONLY],Department\n"+
		"Ada,Lovelace,ada@acme.example,****,/Eng,Active,2026/01/05 10:11:12,Google Workspace Business Plus,True,Eng\n"+
		"Bob,B,bob@acme.example,****,/,Suspended,Never logged in,,False,\n", Options{})
	if res.Format != "google-workspace" {
		t.Errorf("format %s", res.Format)
	}
	want := []model.Record{
		{Account: &model.Account{ExternalID: "ada@acme.example", PersonKey: "ada@acme.example", DisplayName: "Ada Lovelace", Status: "active", RawStatus: "Active",
			MFA: ptr(true), ActivityReported: true, LastActivityAt: at(2026, 1, 5, 10, 11, 12), LastActivitySource: "csv.Last Sign In [READ ONLY]",
			Custom: map[string]any{"Org Unit Path [Required]": "/Eng", "Department": "Eng"}}},
		{Assignment: &model.Assignment{AccountExternalID: "ada@acme.example", PersonKey: "ada@acme.example", PlanKey: "google-workspace.google-workspace-business-plus",
			PlanName: "Google Workspace Business Plus", Paid: true, State: "active", GrantedVia: "direct"}},
		{Account: &model.Account{ExternalID: "bob@acme.example", PersonKey: "bob@acme.example", DisplayName: "Bob B", Status: "suspended", RawStatus: "Suspended",
			MFA: ptr(false), ActivityReported: true, Custom: map[string]any{"Org Unit Path [Required]": "/"}}},
	}
	if d := cmp.Diff(want, recs); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	for _, c := range res.Columns {
		if strings.HasPrefix(c.Header, "Password") && c.Target != "" {
			t.Errorf("the password column is kept: %+v", c)
		}
	}
}

func TestZoomExport(t *testing.T) {
	res, recs := parseText(t, "Email;First Name;Last Name;Department;User Type;User Status;Last Login(UTC)\n"+
		"Ada@acme.example;Ada;Lovelace;Eng;Licensed;Active;31/12/2025 23:59\n"+
		"bob@acme.example;Bob;B;;Basic;Active;01/02/2026 08:00\n"+
		"p@acme.example;;;;Licensed;Pending;\n", Options{})
	if res.Format != "zoom" || res.Delimiter != ";" {
		t.Errorf("format %s, delimiter %q", res.Format, res.Delimiter)
	}
	if as := res.Columns[6].As; as != "date D/M/YYYY, times as UTC" {
		t.Errorf("the date column is read as %q", as)
	}
	if recs[0].Account.LastActivityAt.Day() != 31 || recs[2].Account.LastActivityAt.Month() != time.February {
		t.Errorf("dates: %v, %v", recs[0].Account.LastActivityAt, recs[2].Account.LastActivityAt)
	}
	if a := recs[1].Assignment; a.PlanKey != "zoom.type.2" || !a.Paid {
		t.Errorf("seat: %+v", a)
	}
	if a := recs[3].Assignment; a.PlanKey != "zoom.type.1" || a.Paid {
		t.Errorf("seat: %+v", a)
	}
	pending, seat := recs[4].Account, recs[5].Assignment
	if pending.Status != "invited" || pending.ActivityReported || seat.State != "pending" {
		t.Errorf("an empty last login is silence: %+v, %+v", pending, seat)
	}
}

func TestOktaExport(t *testing.T) {
	res, recs := parseText(t, "login,firstName,lastName,email,status,lastLogin,department\n"+
		"ada@acme.example,Ada,Lovelace,ada@acme.example,ACTIVE,2026-11-01T10:00:00.000Z,Eng\n"+
		"x@acme.example,X,Y,x@acme.example,BRAND_NEW,,\n", Options{})
	if res.Format != "okta" || !cmp.Equal(res.DataTypes, []model.DataType{model.DataPeople, model.DataAccounts}) {
		t.Errorf("got %s %v", res.Format, res.DataTypes)
	}
	if p := recs[0].Person; p.Email != "ada@acme.example" || p.Department != "Eng" || p.DisplayName != "Ada Lovelace" {
		t.Errorf("person %+v", p)
	}
	if a := recs[3].Account; a.Status != "unknown" || a.RawStatus != "BRAND_NEW" {
		t.Errorf("an unknown status: %+v", a)
	}
	if !strings.Contains(strings.Join(res.Notes, "\n"), `"brand_new" (1 rows)`) {
		t.Errorf("notes %q", res.Notes)
	}
}

func TestEmployeesWithColumnMap(t *testing.T) {
	_, recs := parseText(t, "Personalnummer;Vorname;Mail;Eintritt;Status;Leitung;Alias\n"+
		`="00123";Ada;ada@acme.example;1.4.2020;on leave;boss@acme.example;a@acme.example|l@acme.example`+"\n", Options{Columns: map[string]string{
		"personalnummer": "person.employeeId", "Vorname": "person.givenName", "Mail": "person.email", "Eintritt": "person.startDate",
		"Status": "person.lifecycle", "Leitung": "person.managerEmail", "Alias": "person.aliases"}})
	want := []model.Record{{Person: &model.Person{ExternalID: "00123", EmployeeID: "00123", GivenName: "Ada", DisplayName: "Ada", Email: "ada@acme.example",
		StartDate: "2020-04-01", Lifecycle: "onLeave", ManagerEmail: "boss@acme.example", Aliases: []string{"a@acme.example", "l@acme.example"}}}}
	if d := cmp.Diff(want, recs); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestEncodings(t *testing.T) {
	text := "email,name,last login\njürgen@acme.example,Jürgen Größe,2026-01-02\n"
	le, _ := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(text)
	leBare, _ := unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewEncoder().String(text)
	be, _ := unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewEncoder().String(text)
	latin, _ := charmap.Windows1252.NewEncoder().String(text)
	for want, in := range map[string]string{
		"UTF-8 plain": text, "UTF-8 bom": "\ufeff" + text, "UTF-16LE bom": le, "UTF-16LE bare": leBare, "UTF-16BE bom": be, "Latin-1 ": latin,
		"UTF-8 crlf": strings.ReplaceAll(text, "\n", "\r\n"), "UTF-8 sep": "sep=,\n" + text,
	} {
		res, recs := parseText(t, in, Options{})
		name, _, _ := strings.Cut(want, " ")
		if res.Encoding != name || len(recs) != 1 || recs[0].Account.DisplayName != "Jürgen Größe" || recs[0].Account.ExternalID != "jürgen@acme.example" {
			t.Errorf("%s: got %s, %+v", want, res.Encoding, recs[0].Account)
		}
	}
	res, _ := parseText(t, latin, Options{})
	if !strings.Contains(strings.Join(res.Notes, "\n"), "Latin-1") {
		t.Errorf("the fallback is not announced: %q", res.Notes)
	}
}

func TestFormulasStayText(t *testing.T) {
	res, recs := parseText(t, "email,name,phone\na@acme.example,\"=HYPERLINK(\"\"http://x\"\")\",+49 30 1234\nb@acme.example,@SUM(A1),-5\n", Options{})
	if got := recs[0].Account.DisplayName; got != `=HYPERLINK("http://x")` {
		t.Errorf("got %q", got)
	}
	if !strings.Contains(strings.Join(res.Notes, "\n"), "2 cells begin like a spreadsheet formula") {
		t.Errorf("notes %q", res.Notes)
	}
	for in, want := range map[string]string{"=1+1": "'=1+1", "@SUM(A1)": "'@SUM(A1)", "+cmd": "'+cmd", "-5": "-5", "+49 30 1234": "+49 30 1234", "-": "'-",
		"plain": "plain", "": "", "\t=x": "'\t=x", "-1+cmd": "'-1+cmd"} {
		if got := Neutralize(in); got != want {
			t.Errorf("Neutralize(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestQuotedNewlinesAndBlankRows(t *testing.T) {
	_, recs := parseText(t, "email,name,note\na@acme.example,A,\"two\nlines\"\n,,\n\nb@acme.example,B,x\n", Options{})
	if len(recs) != 2 || recs[0].Account.Custom["note"] != "two\nlines" {
		t.Errorf("got %+v", recs)
	}
}

func TestRefusals(t *testing.T) {
	tests := map[string]struct {
		text   string
		o      Options
		row    int
		column string
		reason string
	}{
		"empty":             {"", Options{}, 0, "", "the file is empty"},
		"header only":       {"email,name\n", Options{}, 0, "", "a header and no rows"},
		"nothing known":     {"a,b\n1,2\n", Options{}, 1, "", "no column is understood"},
		"no key":            {"name,role\nA,x\n", Options{}, 1, "", "no column tells accounts apart"},
		"missing key":       {"email,name\na@x.example,A\n,B\n", Options{}, 3, "email", "the key is missing"},
		"duplicate key":     {"email,name\nA@x.example,A\nb@x.example,B\na@X.example,C\n", Options{}, 4, "email", "the same key as in row 2"},
		"long row":          {"email,name\na@x.example,A,extra\n", Options{}, 2, "", "the row has 3 cells, the header 2"},
		"short row":         {"email,name\na@x.example\n", Options{}, 2, "", "the row has 1 cells"},
		"bad quote":         {"email,name\na@x.example,\"A\nb@x.example,B\n", Options{}, 2, "", "quote"},
		"two headers":       {"email,Email\na@x.example,b\n", Options{}, 1, "Email", "two columns have this header"},
		"no header name":    {"email,,name\na@x.example,1,2\n", Options{}, 1, "", "column 2 has no header"},
		"ambiguous":         {"email,last login\na@x.example,02/02/2026\nb@x.example,01/02/2026\n", Options{}, 3, "last login", "may be day first or month first"},
		"contradiction":     {"email,last login\na@x.example,31/01/2026\nb@x.example,01/31/2026\n", Options{}, 3, "last login", "against the rows above"},
		"no date":           {"email,last login\na@x.example,2026-01-01\nb@x.example,soon\n", Options{}, 3, "last login", "no date that could be read"},
		"impossible date":   {"email,last login\na@x.example,30/02/2026\n", Options{}, 2, "last login", "is no date"},
		"wrong order given": {"email,last login\na@x.example,31/01/2026\n", Options{DateFormat: "MDY"}, 2, "last login", "no date in the order MDY"},
		"not a bool":        {"email,mfa\na@x.example,perhaps\n", Options{}, 2, "mfa", "neither yes nor no"},
		"not an address":    {"email,name\nnobody,A\n", Options{}, 2, "email", "no e-mail address"},
		"unknown lifecycle": {"email,hire date,status\na@x.example,2020-01-01,sabbatical?\n", Options{}, 2, "status", "is not known"},
		"workbook":          {"PK\x03\x04" + strings.Repeat("x", 50), Options{}, 0, "", "workbook"},
		"binary":            {"a\x00\x00b\x00c" + strings.Repeat("\x00\x01\x02", 20), Options{}, 0, "", "zero bytes"},
		"map names nothing": {"email\na@x.example\n", Options{Columns: map[string]string{"Mail": "account.email"}}, 1, "Mail", "does not have"},
		"unclosed quote":    {"email,name\na@x.example,\"" + strings.Repeat("x", 2<<20), Options{}, 2, "", "more than 1 MiB"},
	}
	for name, tt := range tests {
		res, err := Parse(strings.NewReader(tt.text), tt.o)
		var refused *RefusedError
		if !errors.As(err, &refused) {
			t.Errorf("%s: got %+v, %v", name, res, err)
			continue
		}
		if refused.Row != tt.row || refused.Column != tt.column || !strings.Contains(refused.Reason, tt.reason) {
			t.Errorf("%s: got row %d, column %q, %q; want row %d, column %q, %q", name, refused.Row, refused.Column, refused.Reason, tt.row, tt.column, tt.reason)
		}
	}
	for _, o := range []Options{{Format: "jira"}, {DateFormat: "MYD"}, {Delimiter: "x"}, {Columns: map[string]string{"a": "account.nope"}}, {Statuses: map[string]string{"x": "gone"}}} {
		if _, err := Parse(strings.NewReader("email\na@x.example\n"), o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

func TestDates(t *testing.T) {
	want := time.Date(2026, 2, 1, 13, 30, 0, 0, time.UTC)
	for s, o := range map[string]order{
		"2026-02-01 13:30": orderYMD, "2026-02-01T13:30:00Z": orderYMD, "2026-02-01T14:30:00+01:00": orderYMD, "2026/02/01 13:30:00": orderYMD,
		"2026-02-01T13:30:00.000Z": orderYMD, "01/02/2026 1:30 PM": orderDMY, "02/01/2026, 1:30:00 PM": orderMDY, "1.2.2026 13:30": orderDMY,
		"2/1/26 13:30": orderMDY, "Feb 1, 2026 1:30 PM": orderMDY, "1 February 2026 13:30": orderMDY, "2026-02-01 13:30:00 UTC": orderYMD,
		"1769952600": orderYMD, "1769952600000": orderYMD, "2026-02-01T13:30:00.000+0000": orderYMD, "2026-02-01 13:30:00 +0000": orderYMD,
	} {
		got, _, err := parseDate(s, o)
		if err != nil || !got.Equal(want) {
			t.Errorf("%q as %s: got %v, %v", s, o, got, err)
		}
	}
	for _, s := range []string{"", "x", "2026-13-01", "2026-02-30", "99/99/2026", "1/2", "12", "2026-02-01 25:00", "Feb 30, 2026"} {
		if got, _, err := parseDate(s, orderMDY); err == nil {
			t.Errorf("%q: got %v", s, got)
		}
	}
}

// Large files go through a temporary file, and are the same twice.
func TestLargeFile(t *testing.T) {
	var b strings.Builder
	b.WriteString("email,name,last login\n")
	const n = 150_000
	for i := range n {
		fmt.Fprintf(&b, "user%d@acme.example,%s %d,2026-01-%02d 10:00\n", i, strings.Repeat("Name", 8), i, i%28+1)
	}
	if b.Len() < maxMemoryBytes {
		t.Fatal("the file is not large")
	}
	res, recs := parseText(t, b.String(), Options{})
	if res.Rows != n || len(recs) != n || recs[n-1].Account.ExternalID != fmt.Sprintf("user%d@acme.example", n-1) {
		t.Errorf("rows %d, records %d", res.Rows, len(recs))
	}
	again := 0
	for _, err := range res.Records() {
		if err != nil {
			t.Fatal(err)
		}
		if again++; again == 10 {
			break
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(slackExport, "")
	f.Add("email;last login\na@x.example;1/2/2026\n", "DMY")
	f.Add("sep=;\nemail;x\na@x.example;=1\n", "")
	f.Add("\ufeffemail,hire date\na@x.example,2020-01-01\n", "")
	f.Fuzz(func(t *testing.T, text, format string) {
		res, err := Parse(strings.NewReader(text), Options{DateFormat: format})
		if err != nil {
			return
		}
		defer func() { _ = res.Close() }()
		accounts := map[string]bool{}
		for rec, err := range res.Records() {
			if err != nil {
				t.Fatalf("an accepted file fails later: %v", err)
			}
			if a := rec.Account; a != nil {
				if a.ExternalID == "" || a.Status == "" {
					t.Fatalf("an account without key or state: %+v", a)
				}
				accounts[a.ExternalID] = true
			}
		}
		if len(accounts) > res.Rows {
			t.Fatalf("%d accounts from %d rows", len(accounts), res.Rows)
		}
	})
}

func BenchmarkRows(b *testing.B) {
	var text strings.Builder
	text.WriteString("Email,First Name,Last Name,Department,User Type,User Status,Last Login(UTC)\n")
	const n = 20_000
	for i := range n {
		fmt.Fprintf(&text, "user%d@acme.example,Ada,Lovelace,Engineering,Licensed,Active,2026-01-%02d 10:00:00\n", i, i%28+1)
	}
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		res, err := Parse(strings.NewReader(text.String()), Options{})
		if err != nil {
			b.Fatal(err)
		}
		for _, err := range res.Records() {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "rows/s")
}
