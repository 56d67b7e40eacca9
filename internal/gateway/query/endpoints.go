// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

// endpoints is the whole API: what RBAC must allow for each route. Integrations
// and apps are governed as the kinds of the same name, everything that names
// people as virtual resources of their own.
func (a *API) endpoints() []endpoint {
	return []endpoint{
		{"GET summary", "list", "seats", a.summary},
		{"GET integrations", "list", "integrations", a.integrations},
		{"GET integrations/{name}", "get", "integrations", a.integration},
		{"GET apps", "list", "applications", a.apps},
		{"GET people", "list", "people", a.people},
		{"GET people/{name}", "get", "people", a.person},
		{"GET accounts", "list", "accounts", a.accounts},
		{"GET seats", "list", "seats", a.seats},
		{"GET transactions", "list", "transactions", a.transactions},
		{"GET vendors", "list", "transactions", a.vendors},
		{"GET contracts", "list", "transactions", a.contracts}, // names owners, which who lists the kind may not see
		{"GET runs", "list", "runs", a.runs},
		{"GET runs/{name}", "get", "runs", a.run},
		{"POST runs/{name}/stop", "create", "runs/stop", a.stopRun},
		{"POST runs/{name}/resolve", "create", "runs/approve", a.resolveRun},
		{"POST runs/{name}/resume", "create", "runs/resume", a.resumeRun},
		{"POST runs/{name}/retry", "create", "runs/resume", a.retryRun},
		{"POST runs/{name}/skip", "create", "runs/resume", a.skipRun},
		{"GET approvals", "list", "approvals", a.prompts("approvals")},
		{"GET approvals/{name}", "get", "approvals", a.prompt("approvals")},
		{"POST approvals/{name}/decide", "create", "approvals/decide", a.decide("approvals")},
		{"GET reviews", "list", "reviews", a.prompts("reviews")},
		{"GET reviews/{name}", "get", "reviews", a.prompt("reviews")},
		{"POST reviews/{name}/decide", "create", "reviews/decide", a.decide("reviews")},
		{"GET tasks", "list", "tasks", a.prompts("tasks")},
		{"GET tasks/{name}", "get", "tasks", a.prompt("tasks")},
		{"POST tasks/{name}/decide", "create", "tasks/decide", a.decide("tasks")},
		{"GET starts", "list", "runs", a.starts},
		{"GET workflows", "list", "workflows", a.workflows},
		{"GET workflows/{name}", "get", "workflows", a.workflow},
		{"GET workflows/{name}/revisions", "get", "workflows", a.revisions},
		{"GET workflows/{name}/revisions/{revision}", "get", "workflows", a.revision},
		{"GET workflows/{name}/tokens", "get", "workflows", a.tokens},
		{"POST workflows/{name}/test", "create", "workflows/test", a.testWebhook},
		{"POST workflows/{name}/runs", "create", "workflowruns", a.startRun},
		{"GET savings", "list", "savings", a.savings},
		{"GET audit", "list", "audit", a.audit},
		{"GET scim-requests", "list", "audit", a.scimRequests},
		{"GET members", "list", "people", a.members},
		{"GET guards", "list", "guards", a.guards},
		{"GET guards/{name}", "get", "guards", a.guard}, // {name} is KIND/NAME, its slash escaped
		{"POST guards/{kind}/{name}/release", "create", "guards/release", a.release},
		{"GET events", "list", "events", a.events},
		{"GET events/{name}", "get", "events", a.event},
		{"GET events/{name}/body", "get", "events/body", a.eventBody},
		{"POST events/{name}/replay", "create", "events/replay", a.replayEvent},
		{"GET keys", "list", "apikeys", a.keys},
		{"POST keys/{name}/token", "create", "apikeys/token", a.issueKey},
		{"POST keys/{name}/rotate", "create", "apikeys/token", a.rotateKey},
		{"POST keys/{name}/revoke", "update", "apikeys", a.revokeKey},
		{"POST imports", "create", "imports", a.upload},
		{"GET imports/{name}", "get", "imports", a.uploaded},
	}
}
