// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

// resources are the lists that the query API serves. The columns name fields
// of the types in internal/gateway/query; a test proves that each exists.
var resources = []resource{
	{
		Name: "integrations", Aliases: []string{"integration", "int"}, One: true,
		Short: "Connected accounts, with how their last sync went; connected first",
		Long: "Connected accounts, with how their last sync went; connected first.\n\n" +
			"--view all adds the connectors that are not connected; SOURCE tells those built\n" +
			"in from the Connectors of the namespace (Custom), which come after them, among\n" +
			"what is connected and among what is not. recommended shows those whose app was\n" +
			"discovered in use; attention shows what has an issue. A view also says how much\n" +
			"of what is in use is connected.",
		Example: "  seatkeeper integrations -n acme\n  seatkeeper integrations -n acme --view recommended\n  seatkeeper integrations -n acme --view attention -o wide",
		Columns: []column{
			{Header: "NAME", Path: "name", Whole: true}, {Header: "DISPLAY NAME", Path: "displayName"}, {Header: "STATE", Path: "state"}, {Header: "CONNECTOR", Path: "connector"},
			{Header: "RECORDS", Path: "records"}, {Header: "LAST SYNC", Path: "lastSync", Format: minute},
			{Header: "ACCOUNT", Path: "accountName", Wide: true}, {Header: "NEXT SYNC", Path: "nextSync", Format: minute, Wide: true},
			{Header: "MESSAGE", Path: "message", Wide: true},
		},
		Filters: []filter{{"view", "view", "all, recommended or attention (default: the Integrations of the namespace)"}},
		Empty: map[string]string{
			"attention":   "Nothing needs attention in namespace %s.",
			"recommended": "Nothing that is in use in namespace %s could be connected and is not.",
		},
		Views: map[string][]column{
			"all": {
				{Header: "NAME", Path: "name", Whole: true}, {Header: "DISPLAY NAME", Path: "displayName"}, {Header: "STATE", Path: "state"}, {Header: "SOURCE", Path: "source", Wide: true}, {Header: "CONNECTOR", Path: "connector", Whole: true},
				{Header: "RECORDS", Path: "records", Wide: true}, {Header: "LAST SYNC", Path: "lastSync", Format: minute},
				{Header: "ACCOUNT", Path: "accountName", Wide: true}, {Header: "APP", Path: "app", Wide: true}, {Header: "MESSAGE", Path: "message", Wide: true},
			},
			"recommended": {
				{Header: "CONNECTOR", Path: "connector", Whole: true}, {Header: "APP", Path: "app"}, {Header: "USERS", Path: "users"}, {Header: "FOUND BY", Path: "sources"},
				{Header: "MESSAGE", Path: "message", Wide: true},
			},
			"attention": {
				{Header: "NAME", Path: "name", Whole: true}, {Header: "DISPLAY NAME", Path: "displayName"}, {Header: "STATE", Path: "state"}, {Header: "LAST SYNC", Path: "lastSync", Format: minute}, {Header: "MESSAGE", Path: "message"},
				{Header: "CONNECTOR", Path: "connector", Wide: true}, {Header: "ACCOUNT", Path: "accountName", Wide: true},
			},
		},
	},
	{
		Name: "apps", Aliases: []string{"app", "applications"},
		Short: "Apps in use: declared as Application, or only discovered",
		Long: "Apps in use: declared as Application, or only discovered. What sign-on, OAuth\n" +
			"grants, Integrations and spending show of the same known app is one app; -o wide\n" +
			"says by what each was recognised. Users are people with an account, SPENT is the\n" +
			"last year's.\n\n" +
			"--view unmatched shows what was discovered and is no known app, or cannot be\n" +
			"told; `seatkeeper vendors --view unmatched` does so for spending. --view\n" +
			"duplicates shows jobs that more than one app does, and how many people have\n" +
			"accounts at several. `seatkeeper apps known` lists the catalogue.",
		Example: "  seatkeeper apps -n acme\n  seatkeeper apps -n acme --state Discovered -o csv\n  seatkeeper apps -n acme --view duplicates",
		Columns: []column{
			{Header: "NAME", Path: "name"}, {Header: "STATE", Path: "state"}, {Header: "USERS", Path: "users"},
			{Header: "PAID", Path: "paidSeats"}, {Header: "UNUSED", Path: "unusedSeats"}, {Header: "UNKNOWN", Path: "unknownSeats"},
			{Header: "COST/YEAR", Path: "annualCost", Format: moneys}, {Header: "SOURCES", Path: "sources", Wide: true}, {Header: "ID", Path: "id", Wide: true},
			{Header: "SPENT", Path: "spend", Format: moneys, Wide: true}, {Header: "CATEGORY", Path: "category", Wide: true}, {Header: "VENDOR", Path: "vendor", Wide: true},
			{Header: "DOMAINS", Path: "domains", Wide: true}, {Header: "MATCHED BY", Path: "matchedBy", Wide: true},
		},
		Filters: []filter{{"state", "state", "only apps in this state: Declared or Discovered"}, {"view", "view", "unmatched or duplicates"}},
		Empty: map[string]string{
			"unmatched":  "Everything that was discovered in namespace %s is a known app, or declared.",
			"duplicates": "No two apps in use in namespace %s do the same job.",
		},
		Views: map[string][]column{
			"unmatched": {
				{Header: "NAME", Path: "name"}, {Header: "USERS", Path: "users"}, {Header: "SOURCES", Path: "sources"}, {Header: "ONE OF", Path: "among"},
				{Header: "ID", Path: "id", Wide: true}, {Header: "MATCHED BY", Path: "matchedBy", Wide: true},
			},
			"duplicates": {
				{Header: "CATEGORY", Path: "category"}, {Header: "APPS", Path: "apps"}, {Header: "USERS", Path: "users"}, {Header: "OF SEVERAL", Path: "sharedUsers"},
				{Header: "SPENT", Path: "spend", Format: moneys},
			},
		},
	},
	{
		Name: "people", Aliases: []string{"person"}, One: true,
		Short:   "People, merged from every source",
		Example: "  seatkeeper people -n acme --lifecycle past\n  seatkeeper people -n acme 0190c2… -o yaml",
		Columns: []column{
			{Header: "NAME", Path: "displayName"}, {Header: "EMAIL", Path: "email"}, {Header: "DEPARTMENT", Path: "department"},
			{Header: "LIFECYCLE", Path: "lifecycle"},
			{Header: "MANAGER", Path: "managerEmail", Wide: true}, {Header: "EMPLOYEE ID", Path: "employeeID", Wide: true}, {Header: "ID", Path: "id", Wide: true},
		},
		Filters: []filter{{"lifecycle", "lifecycle", "only future, current, onLeave, past or external"}, {"search", "search", "only names and e-mails that contain this"}},
	},
	{
		Name: "accounts", Aliases: []string{"account"},
		Short:   "Accounts at apps, with their last activity and where it was seen",
		Example: "  seatkeeper accounts -n acme --integration zoom --status active",
		Columns: []column{
			{Header: "INTEGRATION", Path: "integration"}, {Header: "ACCOUNT", Path: "username"}, {Header: "STATUS", Path: "status"},
			{Header: "LAST ACTIVITY", Path: "lastActivity", Format: minute}, {Header: "KIND", Path: "kind", Wide: true},
			{Header: "SOURCE", Path: "lastActivitySource", Wide: true}, {Header: "PERSON", Path: "personEmail", Wide: true},
			{Header: "APP", Path: "appExternalID", Wide: true}, {Header: "ID", Path: "externalID", Wide: true},
		},
		Filters: []filter{{"integration", "integration", "only accounts of this integration"}, {"status", "status", "only accounts in this state"}, {"search", "search", "only names and e-mails that contain this"}},
	},
	{
		Name: "seats", Aliases: []string{"seat"},
		Short:   "Paid seats and how each policy judges them",
		Long:    "Paid seats and how each policy judges them. USE is Active, Inactive or Unknown,\nand Unknown is never reclaimed; VERDICT is what the policy makes of it.",
		Example: "  seatkeeper seats -n acme --policy zoom-90d --use Inactive",
		Columns: []column{
			{Header: "POLICY", Path: "policy"}, {Header: "HOLDER", Path: "holder"}, {Header: "PLAN", Path: "planName"},
			{Header: "USE", Path: "use"}, {Header: "VERDICT", Path: "class"}, {Header: "LAST USE", Path: "lastUse"}, {Header: "COST/YEAR", Path: "annualCost", Format: money},
			{Header: "REASON", Path: "reason", Wide: true}, {Header: "SOURCE", Path: "lastUseSource", Wide: true},
			{Header: "DEPARTMENT", Path: "department", Wide: true}, {Header: "INTEGRATION", Path: "integration", Wide: true}, {Header: "ACCOUNT", Path: "accountExternalID", Wide: true},
		},
		Filters: []filter{
			{"policy", "policy", "only seats of this LicensePolicy"}, {"integration", "integration", "only seats of this integration"},
			{"use", "use", "only seats whose use is Active, Inactive or Unknown"},
			{"class", "class", "only this verdict: Active, Inactive, Unknown, Exempt, Protected, Held, Kept or InFlight"},
		},
	},
	{
		Name: "transactions", Aliases: []string{"transaction", "spend"},
		Short:   "Money spent with vendors, as expense systems report it",
		Example: "  seatkeeper transactions -n acme --from 2026-01-01 -o csv",
		Columns: []column{
			{Header: "DATE", Path: "date"}, {Header: "VENDOR", Path: "vendorName"}, {Header: "AMOUNT", Path: "amount", Format: money}, {Header: "KIND", Path: "kind"},
			{Header: "DEPARTMENT", Path: "department"}, {Header: "PAYER", Path: "payerEmail", Wide: true}, {Header: "STATUS", Path: "status", Wide: true},
			{Header: "INTEGRATION", Path: "integration", Wide: true}, {Header: "ID", Path: "externalID", Wide: true},
		},
		Filters: spendFilters("the day booked"),
	},
	{
		Name: "vendors", Aliases: []string{"vendor"},
		Short: "Whom the company paid in the last year, and which known app each is",
		Long: "Whom the company paid in the last year, as expense systems report it, and which\n" +
			"known app each is; one row for each currency. --view unmatched shows those that\n" +
			"are no known app, or cannot be told: ONE OF says among which.",
		Example: "  seatkeeper vendors -n acme\n  seatkeeper vendors -n acme --view unmatched -o csv",
		Columns: []column{
			{Header: "VENDOR", Path: "name"}, {Header: "APP", Path: "known"}, {Header: "AMOUNT", Path: "amount", Format: money}, {Header: "TIMES", Path: "transactions"},
			{Header: "LAST", Path: "lastOn"}, {Header: "MATCHED BY", Path: "matchedBy", Wide: true}, {Header: "ONE OF", Path: "among", Wide: true},
			{Header: "INTEGRATION", Path: "integration", Wide: true},
		},
		Filters: []filter{{"view", "view", "unmatched"}},
		Empty:   map[string]string{"unmatched": "Every vendor of namespace %s is a known app."},
		Views: map[string][]column{
			"unmatched": {
				{Header: "VENDOR", Path: "name"}, {Header: "AMOUNT", Path: "amount", Format: money}, {Header: "TIMES", Path: "transactions"}, {Header: "LAST", Path: "lastOn"},
				{Header: "ONE OF", Path: "among"}, {Header: "MATCHED BY", Path: "matchedBy", Wide: true}, {Header: "INTEGRATION", Path: "integration", Wide: true},
			},
		},
	},
	{
		Name: "contracts", Aliases: []string{"contract"},
		Short:   "Contracts as sources report them",
		Long:    "Contracts as sources report them. Those that you declare:\n`kubectl get contracts`.",
		Example: "  seatkeeper contracts -n acme --until 2026-12-31",
		Columns: []column{
			{Header: "NAME", Path: "name"}, {Header: "APP", Path: "appHint"}, {Header: "START", Path: "start"}, {Header: "END", Path: "end"},
			{Header: "VALUE", Path: "value", Format: money}, {Header: "STATUS", Path: "status"}, {Header: "RENEWS", Path: "autoRenew", Wide: true},
			{Header: "OWNER", Path: "ownerEmail", Wide: true}, {Header: "INTEGRATION", Path: "integration", Wide: true}, {Header: "ID", Path: "externalID", Wide: true},
		},
		Filters: spendFilters("the end"),
	},
	{
		Name: "runs", Aliases: []string{"run"}, One: true, Watch: true, Show: showRun, Over: runIsOver,
		Short:   "Runs: who was asked, what was decided, what was done",
		Long:    "Runs: who was asked, what was decided, what was done. One run alone is a tree\nof its steps: what each came to, when, how long it took, what was tried in vain,\nwho was asked, and what the run waits for.",
		Example: "  seatkeeper runs -n acme --state waiting\n  seatkeeper runs -n acme --workflow zoom-leaver\n  seatkeeper runs -n acme --person jo@acme.example --since 7d\n  seatkeeper runs -n acme --state failed,attention --integration zoom\n  seatkeeper runs -n acme 0190c2… --watch",
		Columns: []column{
			{Header: "ID", Path: "id", Whole: true}, {Header: "OF", Path: "name"}, {Header: "STATE", Path: "state"}, {Header: "STEP", Path: "stepPath"},
			{Header: "OUTCOME", Path: "outcome", Or: "reason"}, {Header: "REASON", Path: "reason", Wide: true}, {Header: "CREATED", Path: "createdAt", Format: minute, Wide: true},
			{Header: "SUBJECT", Path: "subject", Wide: true}, {Header: "MESSAGE", Path: "message", Wide: true},
		},
		Filters: []filter{{"policy", "name", "only runs of this LicensePolicy"}, {"workflow", "workflow", "only runs of this Workflow"}, {"person", "person", "only runs about this person: e-mail address or id"}, {"since", "since", "only runs started since then: a time such as 24h or 7d ago, a date, or RFC 3339"}, {"state", "state", "only ready, waiting, inflight, attention, succeeded, failed or stopped"}, {"reason", "reason", "only those that wait, or ended, for this reason, such as WaitingForApproval"}, {"integration", "integration", "only runs that have called this Integration"}},
	},
	{
		Name: "workflows", Aliases: []string{"workflow", "wf"}, One: true,
		Short:   "Workflows: what starts their runs, and whether runs may start",
		Example: "  seatkeeper workflows -n acme\n  seatkeeper workflow run zoom-leaver --person jo@acme.example --wait -n acme",
		Columns: []column{
			{Header: "NAME", Path: "name", Whole: true}, {Header: "STATE", Path: "state"}, {Header: "TRIGGER", Path: "trigger"},
			{Header: "REVISION", Path: "revision"}, {Header: "SUBJECT", Path: "subject", Wide: true}, {Header: "DIRECTION", Path: "direction", Wide: true},
			{Header: "ID", Path: "apiID", Wide: true}, {Header: "TITLE", Path: "displayName", Wide: true}, {Header: "MESSAGE", Path: "message", Wide: true},
		},
	},
	{
		Name: "starts", Aliases: []string{"start"},
		Short:   "What a Workflow has not answered with a run, and why: it waits, is held or was passed over",
		Example: "  seatkeeper starts -n acme\n  seatkeeper starts --workflow onboard --state waiting -n acme",
		Columns: []column{
			{Header: "WORKFLOW", Path: "workflow", Whole: true}, {Header: "ABOUT", Path: "about"}, {Header: "EVENT", Path: "event"}, {Header: "STATE", Path: "state"},
			{Header: "REASON", Path: "reason"}, {Header: "DUE", Path: "due", Format: minute},
			{Header: "HAPPENED", Path: "happenedAt", Format: minute, Wide: true}, {Header: "MESSAGE", Path: "message", Wide: true},
		},
		Filters: []filter{{"workflow", "workflow", "only of this Workflow"}, {"state", "state", "only waiting, held or skipped"}},
	},
	{
		Name:    "savings",
		Short:   "The savings ledger: potential, sunk, realised and avoided, kept apart",
		Example: "  seatkeeper savings -n acme -o csv",
		Columns: []column{
			{Header: "DATE", Path: "at", Format: day}, {Header: "KIND", Path: "kind"}, {Header: "AMOUNT", Path: "amount", Format: money},
			{Header: "APP", Path: "app"}, {Header: "POLICY", Path: "policy"}, {Header: "EFFECTIVE", Path: "effective"},
			{Header: "CONTRACT", Path: "contract", Wide: true}, {Header: "PLAN", Path: "plan", Wide: true}, {Header: "DEPARTMENT", Path: "department", Wide: true},
			{Header: "RUN", Path: "runID", Wide: true}, {Header: "REASON", Path: "reason", Wide: true},
		},
		Filters: []filter{{"policy", "policy", "only lines of this LicensePolicy"}, {"kind", "kind", "only potential, sunk, realised, avoided or unknown"}},
	},
	{
		Name:    "audit",
		Short:   "Who or what did something, why, and what came of it; newest first",
		Example: "  seatkeeper audit -n acme --run 0190c2… -o json",
		Columns: []column{
			{Header: "TIME", Path: "at", Format: minute}, {Header: "ACTOR", Path: "actor"}, {Header: "ACTION", Path: "action"},
			{Header: "OBJECT", Path: "objectName"}, {Header: "RESULT", Path: "result"},
			{Header: "REASON", Path: "reason", Wide: true}, {Header: "CAUSE", Path: "cause", Wide: true}, {Header: "RUN", Path: "runID", Wide: true},
			{Header: "DIGEST", Path: "requestDigest", Wide: true},
		},
		Filters: []filter{
			{"action", "action", "only this action, such as license.remove"}, {"actor", "actor", "only this actor"},
			{"run", "run", "only records of this run"}, {"person", "person", "only records about this person id"},
		},
	},
	{
		Name: "guards", Aliases: []string{"guard", "holds"}, One: true,
		Short:   "Held sets: what a guard keeps from happening until a person releases it",
		Long:    "Held sets: what a guard keeps from happening until a person releases it.\n`seatkeeper guards KIND/NAME` lists what is held; `seatkeeper release` lets it\ngo.",
		Example: "  seatkeeper guards -n acme\n  seatkeeper guards -n acme policy/zoom-90d",
		Columns: []column{
			{Header: "GUARD", Path: "guard", Whole: true}, {Header: "HELD", Path: "count"}, {Header: "OF", Path: "total"}, {Header: "ALLOWED", Path: "allowed"},
			{Header: "DIGEST", Path: "digest", Wide: true}, {Header: "SINCE", Path: "since", Format: minute, Wide: true}, {Header: "REASON", Path: "reason", Wide: true},
		},
	},
}

// spendFilters are those of transactions and contracts.
func spendFilters(day string) []filter {
	return []filter{
		{"integration", "integration", "only what this integration reports"}, {"search", "search", "only names that contain this"},
		{"from", "from", "only where " + day + " is this date or later"}, {"until", "until", "only where " + day + " is this date or earlier"},
	}
}
