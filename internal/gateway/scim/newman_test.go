// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim_test

import (
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

// newmanSkips are the assertions of Microsoft's collection that contradict the
// RFC or our rules, as "request / assertion", with the reason. What fails must be
// these and no others.
var newmanSkips = map[string]string{
	"Get ServiceProviderConfig / Status code is 200":              pathOfConfig,
	"Get ServiceProviderConfig / Pach supported is true":          pathOfConfig,
	"Get User1 Check Patch / Username is changed":                 fixedUserName,
	"User 2 replace test / Status code is 200":                    fixedUserName,
	"Get user2 Check replace / Name is updated":                   fixedUserName, // by the PUT that was refused
	"Patch user omalley new username / Status code is 204":        fixedUserName,
	"get user1 / Username changed":                                fixedUserName,
	"patch user omalley active with boolean / Status code is 204": "RFC 7644 section 3.5.2: 200 with the resource is as good as 204; we answer it for Users, as Entra ID expects",
	//nolint:misspell // Microsoft's spelling
	"Get group by id / Body contians user":         "RFC 7643 section 8.7.1: a member has no displayName; its display is that of the user, and read-only",
	"Group patch add member / Status code is 204":  bareMember,
	"Group patch add member2 / Status code is 204": bareMember,
}

const (
	pathOfConfig  = "RFC 7644 section 4: the endpoint is /ServiceProviderConfig"
	fixedUserName = "our rule: a userName does not change, because accounts were taken over that way"
	bareMember    = "RFC 7643 section 4.2: a member is an object with value"
)

// TestMicrosoftCollection runs the collection of SCIMReferenceCode by newman,
// which SEATKEEPER_NEWMAN names. `make newman` installs it.
func TestMicrosoftCollection(t *testing.T) {
	newman, data := os.Getenv("SEATKEEPER_NEWMAN"), os.Getenv("SEATKEEPER_TESTDATA")
	if newman == "" || data == "" {
		t.Skip("SEATKEEPER_NEWMAN and SEATKEEPER_TESTDATA name newman and the collection; `make newman` runs this")
	}
	eachKit(t, func(k *kit) {
		k.facts(func(f *store.TenantFacts) { f.SCIM.AnyUserName = true })
		failed := k.newman(newman, filepath.Join(data, "scim", "microsoft-scimreferencecode-PostmanCollection.json"))
		for _, f := range failed {
			if newmanSkips[f] == "" {
				k.Errorf("failed: %s", f)
			}
		}
		for f := range newmanSkips {
			if !slices.Contains(failed, f) {
				k.Errorf("passes, and is in the list of skips: %s", f)
			}
		}
	})
}

// newman runs a collection and returns the assertions that failed. The folder
// that fetches a token from Microsoft's own server is left out.
func (k *kit) newman(program, collection string) (failed []string) {
	k.Helper()
	raw, err := os.ReadFile(collection) //nolint:gosec // the test's own data
	k.must(err)
	var c struct {
		Item []struct {
			Name string `json:"name"`
		} `json:"item"`
	}
	k.must(json.Unmarshal(raw, &c))
	at, err := url.Parse(k.server.URL)
	k.must(err)
	report := filepath.Join(k.TempDir(), "report.json")
	args := []string{"run", collection, "--reporters", "json", "--reporter-json-export", report, "--suppress-exit-code", "--color", "off"}
	for name, value := range map[string]string{"Protocol": at.Scheme, "Server": at.Hostname(), "Port": ":" + at.Port(), "Api": strings.Trim(k.base, "/"), "token": k.token} {
		args = append(args, "--env-var", name+"="+value)
	}
	for _, item := range c.Item {
		if item.Name != "Get Token" {
			args = append(args, "--folder", item.Name)
		}
	}
	if out, err := exec.CommandContext(k.Context(), program, args...).CombinedOutput(); err != nil { //nolint:gosec // a developer's own variable
		k.Fatalf("%v\n%s", err, out)
	}
	return k.failures(report)
}

// failures reads a report of newman.
func (k *kit) failures(report string) (failed []string) {
	raw, err := os.ReadFile(report) //nolint:gosec // newman wrote it
	k.must(err)
	var out struct {
		Run struct {
			Stats struct {
				Requests   struct{ Total, Failed int } `json:"requests"`
				Assertions struct{ Total int }         `json:"assertions"`
			} `json:"stats"`
			Failures []struct {
				Error struct {
					Test    string `json:"test"`
					Message string `json:"message"`
				} `json:"error"`
				Source struct {
					Name string `json:"name"`
				} `json:"source"`
			} `json:"failures"`
		} `json:"run"`
	}
	k.must(json.Unmarshal(raw, &out))
	if out.Run.Stats.Requests.Failed > 0 || out.Run.Stats.Requests.Total < 70 || out.Run.Stats.Assertions.Total < 100 {
		k.Fatalf("newman ran %+v: not the collection that this test knows", out.Run.Stats)
	}
	for _, f := range out.Run.Failures {
		name := f.Source.Name + " / " + f.Error.Test
		k.Logf("%s: %s", name, f.Error.Message)
		if !slices.Contains(failed, name) {
			failed = append(failed, name)
		}
	}
	return failed
}
