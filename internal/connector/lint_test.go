// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// The rules that every manifest is held to, each with manifests that break it.
// TestProblems and its kin have the rest of the vocabulary.
func TestLinterRules(t *testing.T) {
	type fault struct{ old, new, path, want string }
	for rule, faults := range map[string][]fault{
		"schema": {
			{"  title: Chaos", "  titel: Chaos", "spec.titel", "did you mean title?"},
			{"    users:\n      essential: true", "    users:\n      essential: maybe", "spec.streams.users.essential", "true or false"},
			{"page: {type: cursor,", "page: [type, cursor,", "(file)", ""},
		},
		"CEL types": {
			{"records: resp.users", "records: \"'users'\"", "spec.streams.users.records", "of type list"},
			{"{when: size(records) > 0,", "{when: size(records),", "spec.streams.users.test.expect[0].when", "yields int, want bool"},
			{"baseURL: https://api", "baseURL: \"https://${confg.size}api", "(file)", ""},
		},
		"covers": {
			{"      covers: [all]\n", "", "spec.streams.users.covers", "the vendor's user states"},
			{"      covers: [all]\n", "      covers: all\n", "spec.streams.users.covers", "a list"},
		},
		"last activity": {
			{"      covers: [all]\n      lastActivity: Reported\n", "      covers: [all]\n", "spec.streams.users.lastActivity", "unknown use would read as no use"},
			{"      covers: [all]\n      lastActivity: Reported\n", "      covers: [all]\n      lastActivity: Sometimes\n", "spec.streams.users.lastActivity", "Reported, NotReported"},
			{"      covers: [all]\n      lastActivity: Reported\n", "      covers: [all]\n      lastActivity: NotReported\n", "spec.streams.users.lastActivity", "if and only if"},
		},
		"maxPages": {
			{"page: {type: cursor,", "page: {maxPages: 0, type: cursor,", "spec.streams.users.page.maxPages", "an integer from 1"},
			{"page: {type: cursor,", "page: {maxPages: unlimited, type: cursor,", "spec.streams.users.page.maxPages", "an integer from 1"},
			{"page: {type: cursor,", "page: {maxPages: -1, type: cursor,", "spec.streams.users.page.maxPages", "an integer from 1"},
		},
		"page size": {
			{"param: page,", "param: page, stopOnShortPage: true,", "spec.streams.pages.page.stopOnShortPage", "vendors shorten pages in mid-list"},
			{"param: page,", "param: page, size: 50, stopOnShortPage: true,", "spec.streams.pages.page.stopOnShortPage", "sent by page.sizeParam"},
			{"param: page,", "param: page, sizeParam: per_page,", "spec.streams.pages.page.size", "the size that sizeParam sends"},
		},
		"class on every write": {
			{"      class: idempotent\n      destructive: true\n", "      destructive: true\n", "spec.actions.user.delete.class", "read, idempotent, keyed, verifiable or unsafe"},
			{"      class: keyed", "      class: safe", "spec.actions.ticket.create.class", "one of read, idempotent"},
			{"      class: keyed", "      class: read", "spec.actions.ticket.create.class", "mode act"},
			{"      class: keyed", "      class: verifiable", "spec.actions.ticket.create.verify", "a verification"},
		},
		"closed list of actions": {
			{"license.remove:", "license.removal:", "spec.actions.license.removal", "did you mean license.remove?"},
			{"ticket.create:", "create a ticket:", "spec.actions.create a ticket", "a name of connectors/ACTIONS.md"},
		},
		"an error is no empty list": {
			{"records: resp.users", "records: \"list(get(resp, 'users'))\"", "spec.streams.users.records", "an error with status 200"},
			{"records: resp.users", "records: \"get(resp, 'ok') == false ? resp.users : list(get(resp, 'users'))\"", "spec.streams.users.records", "an error with status 200"},
		},
	} {
		for _, f := range faults {
			broken := strings.Replace(chaosManifest, f.old, f.new, 1)
			if broken == chaosManifest {
				t.Errorf("%s: %q changes nothing", rule, f.old)
				continue
			}
			_, err := Load("chaos.yaml", []byte(broken))
			var ps Problems
			if !errors.As(err, &ps) || !slices.ContainsFunc(ps, func(p Problem) bool { return p.Path == f.path && strings.Contains(p.String(), f.want) }) {
				t.Errorf("%s: %q: want %s: …%s…, got\n%v", rule, f.new, f.path, f.want, err)
			}
		}
	}
	for _, records := range []string{
		"resp.users", "get(resp, 'kind') == 'list' ? list(get(resp, 'users')) : resp.users", "status == 204 ? list(null) : resp.users",
	} {
		if _, err := Load("chaos.yaml", []byte(strings.Replace(chaosManifest, "records: resp.users", "records: \""+records+"\"", 1))); err != nil {
			t.Errorf("%s: %v", records, err)
		}
	}
}
