// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// declaredReasons returns the Reason constants of the package's source, by
// value, with whether each has a comment of its own.
func declaredReasons(t *testing.T) map[string]bool {
	t.Helper()
	declared := map[string]bool{}
	file, err := parser.ParseFile(token.NewFileSet(), "reasons.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, name := range spec.Names {
			value, err := strconv.Unquote(spec.Values[i].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			if name.Name != "Reason"+value {
				t.Errorf("constant %s has value %q; want %q", name.Name, value, strings.TrimPrefix(name.Name, "Reason"))
			}
			declared[value] = strings.HasPrefix(spec.Doc.Text(), name.Name+": ")
		}
		return true
	})
	return declared
}

func TestEveryReasonIsListedOnce(t *testing.T) {
	declared := declaredReasons(t)
	if len(declared) < 50 {
		t.Fatalf("found %d reason constants; the parser lost some", len(declared))
	}
	reasonPattern := regexp.MustCompile(`^[A-Z][A-Za-z]*$`)
	codePattern := regexp.MustCompile(`^SK[0-9]{4}$`)
	kinds := map[string]bool{"": true}
	for _, kind := range []string{KindAccessRequest, KindAPIKey, KindApplication, KindConnector, KindContract,
		KindIntegration, KindLicensePolicy, KindOrganization, KindWorkflow, KindWorkflowRun} {
		kinds[kind] = true
	}
	listed, codes := map[string]bool{}, map[string]string{}
	previous := ""
	for _, info := range Reasons {
		if commented, ok := declared[info.Reason]; !ok {
			t.Errorf("%s is listed and not declared", info.Reason)
		} else if !commented {
			t.Errorf("Reason%s needs a comment that starts with its name", info.Reason)
		}
		if listed[info.Reason] {
			t.Errorf("%s is listed twice", info.Reason)
		}
		listed[info.Reason] = true
		if other, taken := codes[info.Code]; taken {
			t.Errorf("%s and %s share the code %s", other, info.Reason, info.Code)
		}
		codes[info.Code] = info.Reason
		if info.Code <= previous {
			t.Errorf("%s stands after %s; keep the list in the order of codes", info.Code, previous)
		}
		previous = info.Code
		if !reasonPattern.MatchString(info.Reason) || !codePattern.MatchString(info.Code) {
			t.Errorf("%s has the code %s; want CamelCase and SKnnnn", info.Reason, info.Code)
		}
		if !kinds[info.Kind] {
			t.Errorf("%s names the kind %q, which does not exist", info.Reason, info.Kind)
		}
		for _, text := range []string{info.Title, info.Mend} {
			if len(text) < 5 || !strings.HasSuffix(text, ".") {
				t.Errorf("%s needs a title and a way to mend, as sentences; has %q", info.Reason, text)
			}
		}
		if got := ReasonCode(info.Reason); got != info.Code {
			t.Errorf("ReasonCode(%s) = %q; want %q", info.Reason, got, info.Code)
		}
	}
	for reason := range declared {
		if !listed[reason] {
			t.Errorf("Reason%s is declared and not listed in Reasons", reason)
		}
	}
	if got := ReasonCode("NoSuchReason"); got != "" {
		t.Errorf("ReasonCode of an unknown reason = %q; want none", got)
	}
}
