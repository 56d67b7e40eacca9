// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// people is a Checker: token "ann" may do everything in acme, "eve" nothing.
type people struct{}

func (people) Check(r *http.Request, want Request) (string, Decision, string, error) {
	switch user := Bearer(r); {
	case user == "ann" && want.Namespace == "acme":
		return user, Allowed, "", nil
	case user == "ann" || strings.HasPrefix(user, "eve"):
		return user, Forbidden, "", nil
	}
	return "", Unauthenticated, "", nil
}

// refusalWorld is a server with one route of the cluster's identities, which
// answers with the status that is asked for.
type refusalWorld struct {
	*keyWorld
	server *httptest.Server
}

func eachRefusalWorld(t *testing.T, fn func(w *refusalWorld)) {
	eachKeyWorld(t, func(k *keyWorld) {
		router := &Router{Refusals: k.refusals}
		router.HandleFunc("/apis/v1/namespaces/{ns}/people/{name}", func(w http.ResponseWriter, r *http.Request) {
			verb := map[string]string{http.MethodGet: "get", http.MethodPost: "create"}[r.Method]
			if _, err := Authorise(people{}, r, Request{Verb: verb, Namespace: r.PathValue("ns"), Resource: "people", Name: r.PathValue("name")}); err != nil {
				Explain(k.keys.log, r, err).Write(w)
				return
			}
			if code, _ := strconv.Atoi(r.URL.Query().Get("code")); code != 0 {
				w.WriteHeader(code)
			}
			_, _ = w.Write([]byte("ok"))
		})
		// A test chooses its address.
		proxies, err := ParseProxies("127.0.0.0/8,::1/128")
		k.must(err)
		w := &refusalWorld{k, httptest.NewServer(proxies.Handler(router))}
		k.Cleanup(w.server.Close)
		fn(w)
	})
}

func (w *refusalWorld) ask(method, token, from, path string) int {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), method, w.server.URL+"/apis/v1/namespaces/"+path, nil)
	w.must(err)
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("X-Forwarded-For", from)
	resp, err := http.DefaultClient.Do(r)
	w.must(err)
	w.must(resp.Body.Close())
	return resp.StatusCode
}

// audit says what is in it, the oldest first.
func (w *refusalWorld) audit() (out []string) {
	w.Helper()
	records, err := w.store.Audit(w.Context(), w.tenant, store.AuditQuery{Action: ActionRefuse, Limit: 1000})
	w.must(err)
	for i := len(records) - 1; i >= 0; i-- {
		r := records[i]
		if r.Result != "refused" || r.Detail["address"] == "" {
			w.Errorf("record %+v", r)
		}
		out = append(out, strings.Join([]string{string(r.ActorKind), r.Actor, r.Detail["route"], r.Reason, r.ObjectName, r.Detail["count"]}, "|"))
	}
	return out
}

func (w *refusalWorld) later(d time.Duration) {
	w.Helper()
	w.clock.Step(d)
	w.refusals.flush(w.Context(), false)
}

func (w *refusalWorld) audited(want ...string) {
	w.Helper()
	if got := w.audit(); fmt.Sprint(got) != fmt.Sprint(want) {
		w.Errorf("the audit has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

const route = "/apis/v1/namespaces/{ns}/people/{name}"

// Whoever is refused is in the audit of the tenant once, before the answer, and
// with a number when the hour is over.
func TestRefusalsAreCounted(t *testing.T) {
	eachRefusalWorld(t, func(w *refusalWorld) {
		const reason = `no role allows to get people.seatkeeper.dev in namespace "acme"`
		if got := w.ask("GET", "eve", here, "acme/people/p1"); got != 403 {
			t.Fatalf("%d", got)
		}
		first := "User|eve|GET " + route + "|" + reason + "|p1|1"
		w.audited(first)
		for range 99 {
			w.ask("GET", "eve", here, "acme/people/p1")
		}
		w.audited(first)
		w.later(59 * time.Minute)
		w.audited(first)
		w.later(time.Minute)
		again := "User|eve|GET " + route + "|" + reason + "|p1|99"
		w.audited(first, again)
		// Another hour, another record; and what ends with the process is not lost.
		w.ask("GET", "eve", here, "acme/people/p1")
		w.ask("GET", "eve", here, "acme/people/p1")
		ctx, stop := context.WithCancel(t.Context())
		stop()
		w.refusals.Run(ctx)
		w.audited(first, again, first, first)
	})
}

// What is refused to whom, and what is no refusal.
func TestWhatIsAudited(t *testing.T) {
	eachRefusalWorld(t, func(w *refusalWorld) {
		w.ask("GET", "nobody", here, "acme/people/p1")
		w.ask("GET", "ann", here, "acme/people/p1")            // allowed
		w.ask("GET", "ann", here, "acme/people/p1?code=404")   // a read of what is not there
		w.ask("POST", "ann", here, "acme/people/p1?code=409")  // a change that was refused
		w.ask("POST", "ann", here, "acme/people/p1?code=503")  // ours
		w.ask("GET", "eve", here, "nowhere/people/p1")         // nobody's
		w.ask("POST", "eve", here, "acme/people/x@a.example")  // an address is a person's
		w.ask("GET", "ann", here, "acme/people/p1?code=429")   // too many
		w.ask("GET", "nobody", "2001:db8::1", "acme/people/1") // another subscriber
		w.ask("GET", "nobody", "2001:db8::2", "acme/people/2") // and the same one
		w.audited("Unknown|anonymous|GET "+route+"|Unauthorized|p1|1",
			"User|ann|POST "+route+"|Conflict|p1|1",
			`User|eve|POST `+route+`|no role allows to create people.seatkeeper.dev in namespace "acme"||1`,
			"User|ann|GET "+route+"|Too Many Requests|p1|1",
			"Unknown|anonymous|GET "+route+"|Unauthorized|1|1")
	})
}

// Strangers do not fill the audit, nor keep out of it who is known.
func TestStrangersDoNotFillTheAudit(t *testing.T) {
	eachRefusalWorld(t, func(w *refusalWorld) {
		n := 0
		for i := range 3 * maxRefused {
			if w.ask("GET", "nobody", fmt.Sprintf("198.51.%d.%d", 100+i/250, 1+i%250), fmt.Sprintf("acme/people/%d", i)) == 401 {
				n++
			}
		}
		for i := range 3 * maxRefused {
			w.ask("GET", "eve", here, fmt.Sprintf("acme/people/%d", i))
		}
		if got := len(w.audit()); got != 2*maxRefused+2 {
			t.Errorf("%d records of strangers and of eve, want %d", got, 2*maxRefused+2)
		}
		w.later(time.Hour)
		sum := map[string]int{}
		for _, line := range w.audit() {
			part := strings.Split(line, "|")
			count, err := strconv.Atoi(part[5])
			w.must(err)
			sum[part[1]] += count
		}
		if sum["anonymous"] != n || n != 3*maxRefused || sum["eve"] != 3*maxRefused {
			t.Errorf("counted %v, want %d of each", sum, 3*maxRefused)
		}
		if len(w.refusals.seen)+len(w.refusals.sizes) != 0 {
			t.Errorf("%d refusals are remembered", len(w.refusals.seen))
		}
		w.ask("GET", "eve2", here, "acme/people/1")
		if len(w.audit()) != 2*maxRefused+5 {
			t.Error("there is no room in the next hour")
		}
	})
}

// away is a store that takes no audit.
type away struct{ RefusalStore }

func (away) AppendAudits(context.Context, model.TenantID, ...model.AuditRecord) error {
	return errors.New("away")
}

// That a refusal cannot be audited changes no answer, and is not for good.
func TestStoreAwayForTheAudit(t *testing.T) {
	eachRefusalWorld(t, func(w *refusalWorld) {
		have := w.refusals.store
		w.refusals.store = away{have}
		if got := w.ask("GET", "eve", here, "acme/people/p1"); got != 403 {
			t.Errorf("%d", got)
		}
		if !strings.Contains(w.logged.String(), "not audited") {
			t.Errorf("logged: %s", w.logged.String())
		}
		w.refusals.store = have
		w.ask("GET", "eve", here, "acme/people/p1")
		w.ask("GET", "eve", here, "acme/people/p1")
		w.refusals.store = away{have}
		w.later(time.Hour)
		w.refusals.store = have
		w.ask("GET", "eve", here, "acme/people/p1")
		w.later(time.Minute)
		if got := w.audit(); len(got) != 3 || !strings.HasSuffix(got[1], "|1") {
			t.Errorf("the audit has %v", got)
		}
	})
}
