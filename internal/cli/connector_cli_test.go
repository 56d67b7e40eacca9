// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/connector/fixture"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// execute runs a command line and returns its exit code and what it printed.
func execute(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = Execute(t.Context(), "seatkeeper", args, &o, &e)
	return code, o.String(), e.String()
}

func change(t *testing.T, path, before, after string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(raw), before, after, 1)
	if text == string(raw) {
		t.Fatalf("%s has no %q", path, before)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What `new` makes passes lint and test at once, and each change of it that
// breaks something is told by name.
func TestNewConnectorPassesAtOnce(t *testing.T) {
	t.Chdir(t.TempDir())
	if code, out, errOut := execute(t, "connector", "new", "acme", "--category", "hris"); code != 0 || strings.Count(out, "\n") != 4 {
		t.Fatalf("new: %d\n%s%s", code, out, errOut)
	}
	for _, args := range [][]string{{"lint", "connectors"}, {"lint", "connectors/acme/connector.yaml"}, {"test", "connectors/acme"}, {"test", "connectors/acme/connector.yaml"}} {
		if code, out, errOut := execute(t, append([]string{"connector"}, args...)...); code != 0 || out == "" || errOut != "" {
			t.Errorf("%v: %d\n%s%s", args, code, out, errOut)
		}
	}
	// One code says that a file cannot be read, whatever it was for.
	for _, args := range []string{"connector lint missing", "connector test missing", "push agent missing.ndjson", "push agent connectors",
		"connector test connectors/acme --fixtures missing", "connector test connectors/acme --config domain=a.acme.example --secret-file token=missing"} {
		if code, _, errOut := execute(t, strings.Fields(args)...); code != exitFailure || !strings.Contains(errOut, "error SK9019") {
			t.Errorf("%s: %d %s", args, code, errOut)
		}
	}
	readme, err := os.ReadFile(filepath.Join("connectors", "acme", readmeFile))
	if err != nil || !strings.Contains(string(readme), "`connectorRef: {name: acme}`") || !strings.Contains(string(readme), "`connector: acme`") {
		t.Errorf("the README does not tell both ways to use it: %v\n%s", err, readme)
	}
	if code, _, errOut := execute(t, "connector", "new", "acme"); code != exitUsage || !strings.Contains(errOut, "is there already") {
		t.Errorf("again: %d %s", code, errOut)
	}
	for name, tt := range map[string]struct {
		file, before, after string
		args                string
		code                int
		want                string
	}{
		"manifest":    {manifestFile, "covers: [active, suspended] ", "#", "lint connectors", 1, "SK9013: not as a connector must be, 1 problem:\nconnectors/acme/connector.yaml:31: spec.streams.users.covers"},
		"readme":      {readmeFile, "`user.suspend`", "user.suspend", "lint connectors", 1, "README.md: does not mention the action `user.suspend`"},
		"name":        {manifestFile, "{name: acme}", "{name: acme2}", "lint connectors/acme", 1, "got acme2, want the folder's name acme"},
		"fixtures":    {fixturesFile, "times: 1", "time: 1", "lint connectors", 1, "testdata/fixtures.yaml:19: (file): got field time is unknown here"},
		"bad fixture": {fixturesFile, "times: 1", "time: 1", "test connectors/acme", 1, "SK9013"},
		"no match":    {fixturesFile, "cursor: page-2", "cursor: page-3", "test connectors/acme", 1, "SK9014: the manifest and its fixtures disagree"},
		"golden":      {fixturesFile, "Grace Hopper", "Grace H.", "test connectors/acme", 1, "records.golden.json:6: the golden file has"},
		"no config":   {fixturesFile, "config: {domain: acme.acme.example}", "config: {}", "test connectors/acme", 1, "spec.config.domain: got nothing"},
	} {
		path := filepath.Join("connectors", "acme", filepath.FromSlash(tt.file))
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		change(t, path, tt.before, tt.after)
		code, out, errOut := execute(t, append([]string{"connector"}, strings.Fields(tt.args)...)...)
		if code != tt.code || out != "" || !strings.Contains(errOut, tt.want) {
			t.Errorf("%s: %d, want %q\n%s%s", name, code, tt.want, out, errOut)
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	change(t, filepath.FromSlash("connectors/acme/"+fixturesFile), "Grace Hopper", "Grace H.")
	if code, _, errOut := execute(t, "connector", "test", "connectors/acme", "--update"); code != 0 {
		t.Errorf("update: %d %s", code, errOut)
	}
	if code, _, errOut := execute(t, "connector", "test", "connectors/acme"); code != 0 {
		t.Errorf("after the update: %d %s", code, errOut)
	}
	if _, out, _ := execute(t, "connector", "test", "connectors/acme", "--show", "1"); !strings.Contains(out, "DisplayName=Grace H. ") || strings.Contains(out, "Ada") {
		t.Errorf("the first records:\n%s", out)
	}
	change(t, filepath.FromSlash("connectors/acme/"+fixturesFile), "- {name: user.unsuspend, input: {userId: u-2}}", "")
	if code, _, errOut := execute(t, "connector", "test", "connectors/acme"); code != 1 || !strings.Contains(errOut, "nothing asked for POST /api/v1/users/u-2/unsuspend") {
		t.Errorf("an action less: %d %s", code, errOut)
	}
}

// A file may hold other resources beside Connectors.
func TestLintOfSeveralDocuments(t *testing.T) {
	sample, err := os.ReadFile("../../config/samples/connector.yaml")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	text := "kind: Namespace\n---\n" + string(sample) + "---\nkind: Integration\n---\n" + strings.Replace(strings.Replace(string(sample), "name: timesheets", "name: other", 1), "records:", "recordz:", 1)
	if err := os.WriteFile("all.yaml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	line := strings.Count(text[:strings.Index(text, "recordz:")], "\n") + 1
	if code, _, errOut := execute(t, "connector", "lint", "all.yaml"); code != exitFailure || !strings.Contains(errOut, fmt.Sprintf("all.yaml:%d: spec.streams.members.recordz", line)) || strings.Contains(errOut, "kind:") {
		t.Errorf("%d\n%s", code, errOut)
	}
	if err := os.WriteFile("all.yaml", []byte(strings.Replace(text, "recordz:", "records:", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errOut := execute(t, "connector", "lint", "all.yaml"); code != 0 || !strings.Contains(out, "timesheets") || !strings.Contains(out, "other") {
		t.Errorf("%d\n%s%s", code, out, errOut)
	}
}

func TestConnectorCommandsRefuse(t *testing.T) {
	t.Chdir(t.TempDir())
	if code, _, _ := execute(t, "connector", "new", "acme"); code != 0 {
		t.Fatal("new failed")
	}
	if err := os.WriteFile("token", []byte("s3cret-value\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("empty", 0o700); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]struct {
		code int
		text string
	}{
		"connector":                                                          {0, ""},
		"connector linted":                                                   {exitUsage, "unknown command"},
		"connector lint":                                                     {exitUsage, "requires at least 1 arg"},
		"connector lint nowhere":                                             {exitFailure, "SK9019: stat nowhere: no such file"},
		"connector lint empty":                                               {exitFailure, "empty has no connector.yaml"},
		"connector test empty":                                               {exitFailure, "empty has no connector.yaml"},
		"connector new Acme":                                                 {exitUsage, "lower-case"},
		"connector new x --category toy":                                     {exitUsage, "--category"},
		"connector test connectors/acme --show -1":                           {exitUsage, "--show"},
		"connector test connectors/acme --stream groups":                     {exitUsage, "no such stream"},
		"connector test connectors/acme --fixtures nowhere":                  {exitFailure, "no such file"},
		"connector test connectors/acme --secret-file token=nowhere":         {exitFailure, "SK9019: --secret-file token: open nowhere: no such file"},
		"connector test connectors/acme --secret-file password=token":        {exitUsage, "no such key of the Secret; it has token"},
		"connector test connectors/acme --secret-env token=NO_SUCH_VARIABLE": {exitUsage, "the value is empty"},
		"connector test connectors/acme --secret-file token=token":           {exitUsage, "spec.config.domain"},
		"connector test connectors/acme --secret-file token=token --update":  {exitUsage, "without a credential"},
		"connector test connectors/acme --config domain=a.example":           {exitUsage, "--config is for the live vendor"},
		"connector test connectors/acme --endpoint a.example=https://b":      {exitUsage, "--endpoint is for the live vendor"},
		"connector test connectors/acme --allow-network 10.0.0.0/8":          {exitUsage, "--allow-network is for the live vendor"},
		"connector test connectors/acme --secret-file token=token --config domain=a.example --stream groups":             {exitUsage, "no such stream"},
		"connector test connectors/acme --secret-file token=token --config domain=a.example --allow-network here":        {exitUsage, "--allow-network"},
		"connector test connectors/acme --secret-file token=token --config domain=localhost.example --config domains=no": {exitUsage, "did you mean domain?"},
		"connectors nope":               {exitUsage, "not built in"},
		"connectors --category toys":    {exitUsage, "--category"},
		"connectors csv --category idp": {exitUsage, "another category"},
		"connectors -o pictures":        {exitUsage, "-o"},
		"connectors csv slack":          {exitUsage, "at most 1 arg"},
	} {
		code, _, errOut := execute(t, strings.Fields(line)...)
		if code != want.code || !strings.Contains(errOut, want.text) || strings.Contains(errOut, "s3cret") {
			t.Errorf("%s: %d, want %d and %q\n%s", line, code, want.code, want.text, errOut)
		}
	}
}

// A wrong command line points to the help of the command that it is of.
func TestUsageErrorNamesTheCommand(t *testing.T) {
	for line, want := range map[string]string{
		"connector new":                "Run 'seatkeeper connector new --help'",
		"connectors --bogus":           "Run 'seatkeeper connectors --help'",
		"integrations delegate":        "Run 'seatkeeper integrations delegate --help'",
		"no-such-command":              "Run 'seatkeeper --help'",
		"push badge-system a.ndjson x": "Run 'seatkeeper push --help'",
	} {
		code, _, errOut := execute(t, strings.Fields(line)...)
		if code != exitUsage || !strings.Contains(errOut, want) {
			t.Errorf("%s: %d, want %d and %q\n%s", line, code, exitUsage, want, errOut)
		}
	}
}

// Texts of commands fit a terminal of 80 columns.
func TestHelpFitsEightyColumns(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for line := range strings.Lines(c.Long) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
				t.Errorf("%s: %d columns: %s", c.CommandPath(), n, line)
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot("seatkeeper", &env{kube: kubeFlags()}))
}

// A live test reads only, shows records with personal data masked, and ends
// with a code for each outcome.
func TestLiveConnectorTest(t *testing.T) {
	t.Chdir(t.TempDir())
	if code, _, _ := execute(t, "connector", "new", "acme"); code != 0 {
		t.Fatal("new failed")
	}
	change(t, "connectors/acme/connector.yaml", "  actions:\n", `    teams:
      request: {get: /teams}
      records: resp.teams
      key: r.id
      emit: [{type: Group, map: {externalId: r.id, name: r.name}}]
  actions:
`)
	if err := os.WriteFile("token", []byte("s3cret-value\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := fixture.Load("connectors/acme/testdata/fixtures.yaml")
	if err != nil {
		t.Fatal(err)
	}
	teams := http.StatusOK
	var writes, tokens []string
	srv, err := f.Serve(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			tokens = append(tokens, r.Header.Get("Authorization"))
			if r.Method != http.MethodGet {
				writes = append(writes, r.URL.Path)
			}
			switch {
			case r.Header.Get("Authorization") != "Bearer s3cret-value":
				w.WriteHeader(http.StatusUnauthorized)
			case r.URL.Path == "/api/v1/teams":
				w.WriteHeader(teams)
				_, _ = w.Write([]byte(`{"teams":[{"id":"team-1","name":"Navy"}],"error":{"message":"teams are of the paid plan"}}`))
			default:
				next.ServeHTTP(w, r)
			}
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	args := []string{"connector", "test", "connectors/acme", "--config", "domain=acme.acme.example", "--secret-file", "token=token",
		"--endpoint", "acme.acme.example=" + srv.Endpoint("acme.acme.example")}

	code, out, errOut := execute(t, args...)
	if code != 0 {
		t.Fatalf("outcome A: %d\n%s%s", code, out, errOut)
	}
	for _, want := range []string{"Account    Acme (org-1)", "Outcome    A: everything passed", "accounts   A", "users\n  Account", "Status=active", "PersonKey=g…@acme.example", "LastActivityAt=2026-11-02T08:00:00Z"} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
	for _, hidden := range []string{"Grace", "grace@", "u-1", "s3cret"} {
		if strings.Contains(out+errOut, hidden) {
			t.Errorf("%q is shown:\n%s%s", hidden, out, errOut)
		}
	}
	if _, out, _ = execute(t, append(args, "--show-values", "--show", "1", "--stream", "users")...); !strings.Contains(out, "DisplayName=Grace Hopper") || strings.Contains(out, "edsger") || strings.Contains(out, "\nteams\n") {
		t.Errorf("in full:\n%s", out)
	}

	teams = http.StatusForbidden
	code, out, errOut = execute(t, args...)
	if code != exitPartial || !strings.Contains(errOut, "error SK9015") || !strings.Contains(out, "Outcome    B") || !strings.Contains(out, "teams are of the paid plan") || !strings.Contains(out, "users\n  Account") {
		t.Errorf("outcome B: %d\n%s%s", code, out, errOut)
	}
	if err := os.WriteFile("token", []byte("old\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errOut = execute(t, args...)
	if code != exitFailure || !strings.Contains(errOut, "error SK9016") || !strings.Contains(errOut, "create a new API token") || !strings.Contains(out, "Outcome    C") {
		t.Errorf("outcome C: %d\n%s%s", code, out, errOut)
	}
	if len(writes) > 0 || len(tokens) == 0 {
		t.Errorf("a live test wrote to %v", writes)
	}
}

// The connectors of vendors that have a simulator, tested as if it were them.
func TestLiveTestOfSimulatedVendors(t *testing.T) {
	company := fakesaas.Config{Seed: 3, People: 60, Now: time.Now(), Domain: "acme.example"}
	srv, err := fakesaas.Start(t.Context(), fakesaas.Options{Company: fakesaas.Generate(company), Clock: clock.RealClock{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	folder, err := filepath.Abs("../../connectors")
	if err != nil {
		t.Fatal(err)
	}
	for name, flags := range map[string][]string{
		"okta":  {"--config", "domain=" + company.OktaHost(), "--secret-env", "token=SIM_0"},
		"slack": {"--secret-env", "token=SIM_1", "--secret-env", "adminToken=SIM_2"},
		"zoom":  {"--secret-env", "accountId=SIM_3", "--secret-env", "clientId=SIM_4", "--secret-env", "clientSecret=SIM_5", "--config", "purchasedSeats=true"},
	} {
		for i, v := range []string{fakesaas.SimOktaToken, fakesaas.SimSlackBotToken, fakesaas.SimSlackAdminToken, fakesaas.SimZoomAccountID, fakesaas.SimZoomClientID, fakesaas.SimZoomClientSecret} {
			t.Setenv(fmt.Sprintf("SIM_%d", i), v)
		}
		args := append([]string{"connector", "test", filepath.Join(folder, name), "--show", "2"}, flags...)
		for host, url := range srv.Endpoints() {
			args = append(args, "--endpoint", host+"="+url)
		}
		code, out, errOut := execute(t, args...)
		if code != 0 || !strings.Contains(out, "Outcome    A") || !strings.Contains(out, "  Account ") || strings.Count(out, "\n  ") < 3 {
			t.Errorf("%s: %d\n%s%s", name, code, out, errOut)
		}
		if n := strings.Count(out, "@"+company.Domain); n != strings.Count(out, "…@"+company.Domain) {
			t.Errorf("%s shows addresses:\n%s", name, out)
		}
	}
}

// Every text of a record is masked but the few that name nobody.
func TestMaskedRecords(t *testing.T) {
	recs := []model.Record{
		{Person: &model.Person{ExternalID: "p-123", Email: "grace@acme.example", Aliases: []string{"gh@private.example"}, DisplayName: "Grace Hopper", Department: "Navy", Lifecycle: model.LifecycleCurrent, Custom: map[string]any{"badge": "B-12"}}},
		{Account: &model.Account{ExternalID: "grace@acme.example", Username: "grace", RawStatus: "ACTIVE", Status: model.AccountActive, IsAdmin: true}},
		{Plan: &model.Plan{Key: "zoom.type.2", Name: "Licensed", Paid: true}},
		{App: &model.DiscoveredApp{ExternalID: "0oaZ1", Name: "Zoom", Source: "idp"}},
	}
	want := []string{
		"Person Aliases=g…@private.example Custom={\"badge\":\"…\"} Department=N… DisplayName=G… Email=g…@acme.example ExternalID=p… Lifecycle=current",
		"Account ExternalID=g…@acme.example IsAdmin=true RawStatus=ACTIVE Status=active Username=g…",
		"Plan Key=zoom.type.2 Name=Licensed Paid=true",
		"App ExternalID=0… Name=Zoom Source=idp",
	}
	for i := range recs {
		if got, err := fieldsOf(&recs[i], true); err != nil || got != want[i] {
			t.Errorf("got  %s\nwant %s (%v)", got, want[i], err)
		}
		if got, err := fieldsOf(&recs[i], false); err != nil || strings.Contains(got, "…") {
			t.Errorf("in full: %s (%v)", got, err)
		}
	}
}

// The connectors that ship pass their own linter, pages and fixtures included.
func TestBuiltinConnectorsLint(t *testing.T) {
	if code, out, errOut := execute(t, "connector", "lint", "--native", "../../connectors"); code != 0 || strings.Count(out, "\n") != len(connectors.Names())+1 {
		t.Errorf("%d\n%s%s", code, out, errOut)
	}
}

// The catalogue cannot disagree with the manifests: it is made from them.
func TestCatalogue(t *testing.T) {
	code, out, _ := execute(t, "connectors", "-o", "csv")
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if code != 0 || err != nil || len(rows) != len(connectors.Names())+1 {
		t.Fatalf("%d %v\n%s", code, err, out)
	}
	var got Entry
	if _, out, _ = execute(t, "connectors", "okta", "-o", "json"); json.Unmarshal([]byte(out), &got) != nil {
		t.Fatalf("okta: %s", out)
	}
	m, err := connectors.Builtin("okta")
	if err != nil {
		t.Fatal(err)
	}
	if len(got.DataTypes) != len(m.Capabilities().DataTypes) || len(got.Actions) != len(m.Actions()) || got.Accounts != "multiple" || got.FirstUsage != "30d" || got.MaxUsage != "90d" || got.Category != "idp" {
		t.Errorf("%+v", got)
	}
	const page = "https://github.com/seatkeeper/seatkeeper/blob/main/connectors/okta/README.md"
	if _, out, _ = execute(t, "connectors", "okta"); !strings.Contains(out, "docsURL: "+page+"\n") || got.DocsURL != page {
		t.Errorf("okta without the page that says how to connect it: %s", out)
	}
	if _, err := os.Stat(filepath.Join("..", "..", "connectors", "okta", "README.md")); err != nil {
		t.Error(err)
	}
	for _, format := range []string{"table", "wide", "json", "yaml", "name"} {
		code, out, _ := execute(t, "connectors", "-o", format)
		for _, name := range connectors.Names() {
			if code != 0 || !strings.Contains(out, name) {
				t.Errorf("-o %s lacks %s:\n%s", format, name, out)
			}
		}
	}
	if _, out, _ = execute(t, "connectors", "--category", "idp", "-o", "name"); strings.Contains(out, "zoom") || !strings.Contains(out, "okta") {
		t.Errorf("identity providers: %s", out)
	}
}
