// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

// A call whose input is larger than 1 MiB is neither sent nor stored; the step
// fails for good and says which part of it is too large.
func TestInputIsBounded(t *testing.T) {
	// The text has 60 KB, so that no single hole is too large.
	many := strings.Repeat("${input.text}", 20)
	half := strings.Repeat("${input.text}", 9)
	act := func(with map[string]any) Step {
		return Step{Name: "act", Action: &ActionStep{Integration: "desk", Action: "ticket.create", With: with}}
	}
	post := func(change func(*HTTPStep)) Step {
		h := &HTTPStep{Method: "POST", URL: "https://desk.example/tickets", Class: ClassUnsafe}
		change(h)
		return Step{Name: "act", HTTP: h}
	}
	for name, c := range map[string]struct {
		step  Step
		field string
	}{
		"one text":           {act(map[string]any{"text": many}), "with.text: "},
		"an expression":      {act(map[string]any{"text": "${[input.text].map(x, x + x + x + x).map(x, x + x + x + x + x)[0]}"}), "with.text: "},
		"a list of itself":   {act(map[string]any{"tree": "${[1]" + strings.Repeat(".map(x, [x, x])", 60) + "}"}), "with.tree: "},
		"several texts":      {act(map[string]any{"a": half, "b": half}), "with."},
		"texts of texts":     {act(map[string]any{"of": []any{map[string]any{"a": half}, half}}), "with.of.[1]: "},
		"a body":             {post(func(h *HTTPStep) { h.Body = map[string]any{"text": many} }), "body.text: "},
		"a text body":        {post(func(h *HTTPStep) { h.Body = many }), "body: "},
		"a header":           {post(func(h *HTTPStep) { h.Headers = map[string]string{"X-Text": many} }), "headers.X-Text: "},
		"a query and a body": {post(func(h *HTTPStep) { h.Query, h.Body = map[string]string{"q": half}, half }), "body: "},
		"a query and headers": {post(func(h *HTTPStep) {
			h.Query, h.Headers = map[string]string{"q": half}, map[string]string{"X-Text": half}
		}), "query: "},
		"variables of GraphQL": {post(func(h *HTTPStep) { h.GraphQL = &GraphQLStep{Query: "{a}", Variables: map[string]any{"a": many}} }), "graphql.variables.a: "},
	} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, k *kit) {
				k.ada(nil)
				k.put(cel(c.step))
				k.by("k", func(r *StartRequest) { r.Input = map[string]any{"text": strings.Repeat("a", 60_000)} })
				r := k.expect(store.RunFailed, "failed", "BadInput")
				if !strings.HasPrefix(r.Message, `step "act": `+c.field) || !strings.Contains(r.Message, fmt.Sprint(maxInput)) && !strings.Contains(r.Message, "8000000") {
					t.Errorf("it says %.300q", r.Message)
				}
				if len(r.Attempts) != 0 || len(k.vendor.sent) != 0 || len(r.Vars) > 100_000 || len(r.Message) > 1000 {
					t.Errorf("%d attempts, %d calls, %d bytes of variables, %d of a message", len(r.Attempts), len(k.vendor.sent), len(r.Vars), len(r.Message))
				}
			})
		})
	}
}

// The variables of a run are bounded as a whole: the step that would have them grow
// beyond that fails for good, after its effect and without its result.
func TestVariablesAreBounded(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		const each = 60_000
		var steps []Step
		for i := range 40 {
			s := ticket(fmt.Sprintf("s%d", i), "x")
			s.Outputs = map[string]string{"text": "resp.text"}
			steps = append(steps, s)
			k.vendor.script("ticket.create", func(c Call) (Result, error) {
				res := k.vendor.do(c)
				res.Output = map[string]any{"text": strings.Repeat("a", each)}
				return res, nil
			})
		}
		k.put(cel(steps...))
		k.by("k")
		r := k.expect(store.RunFailed, "failed", reasonTooLarge)
		// Both the answer and its output are kept.
		last := maxVars / (2 * each)
		if !strings.Contains(r.Message, fmt.Sprintf(`step "s%d"`, last)) || !strings.Contains(r.Message, fmt.Sprint(maxVars)) || len(r.Vars) > maxVars+each {
			t.Errorf("it says %q, with %d bytes of variables", r.Message, len(r.Vars))
		}
		if n, _ := k.vendor.count("ticket.create"); n != last+1 {
			t.Errorf("%d effects", n)
		}
	})
}
