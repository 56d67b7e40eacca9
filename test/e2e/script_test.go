// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/text/encoding/unicode"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/seatkeeper/seatkeeper/internal/app/manager"
	"github.com/seatkeeper/seatkeeper/internal/cli/queryclient"
)

// importers are the namespaces that the import scripts make.
var importers = []string{"slack-co", "google-co", "okta-co", "zoom-co", "generic-co"}

// TestScripts runs what a user types: testdata/*.txtar, on one company of 60
// people in the namespace acme. The commands that scripts have besides
// testscript's own are in scriptCommands.
func TestScripts(t *testing.T) {
	s := newSite(t, plan{people: 60, seed: 7, namespace: "acme", objects: patient, manager: func(o *manager.Options) {
		o.WatchNamespaces = append([]string{"acme", "loopback", "push-co", "owner-co"}, importers...)
	}})
	s.settled()
	s.publish()
	s.bind("viewer", []string{"get", "list"}, "integrations", "apps", "people", "accounts", "seats", "runs", "savings", "audit", "guards", "summary")
	viewer := s.env.WriteKubeconfig(t, s.env.ClientCert(t, "viewer"), "acme")
	stranger := s.env.WriteKubeconfig(t, s.env.ClientCert(t, "stranger"), "acme")
	s.bind("box@acme.example", []string{"get", "list", "create"}, "approvals", "approvals/decide", "tasks", "tasks/decide")
	mailbox := s.env.WriteKubeconfig(t, s.env.ClientCert(t, "box@acme.example"), "acme")
	commands := maps.Clone(scriptCommands)
	commands["apply"], commands["supply"] = s.applyFile, s.supply
	zoom := vendorSecrets["zoom-s2s"]
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			for name, value := range map[string]string{
				"KUBECONFIG": s.env.Kubeconfig, "ADMIN": s.env.Kubeconfig, "VIEWER": viewer, "STRANGER": stranger, "MAILBOX": mailbox,
				"ZOOM_ACCOUNT": zoom["accountId"], "ZOOM_CLIENT": zoom["clientId"], "ZOOM_SECRET": zoom["clientSecret"], "HOME": e.WorkDir, "NO_COLOR": "1",
			} {
				e.Setenv(name, value)
			}
			return nil
		},
		Cmds: commands,
	})
}

// applyFile FILE: creates the objects in it.
func (s *site) applyFile(ts *testscript.TestScript, _ bool, args []string) {
	for _, doc := range strings.Split(ts.ReadFile(args[0]), "\n---\n") {
		obj := &unstructured.Unstructured{}
		ts.Check(yaml.Unmarshal([]byte(doc), &obj.Object))
		ts.Check(s.client.Create(s.t.Context(), obj))
	}
}

// supply CODE LINKFILE [FIELD=VALUE…]: gets the page behind a link, or sends its
// form, as somebody without any identity; the answer has this code.
func (s *site) supply(ts *testscript.TestScript, _ bool, args []string) {
	link, method, form := strings.TrimSpace(ts.ReadFile(args[1])), http.MethodGet, url.Values{}
	for _, field := range args[2:] {
		name, value, _ := strings.Cut(field, "=")
		form.Set(name, value)
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, link, strings.NewReader(form.Encode()))
	ts.Check(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", s.server)
	owner, err := queryclient.TrustingClient(s.ca)
	ts.Check(err)
	resp, err := owner.Do(r)
	ts.Check(err)
	body, err := io.ReadAll(resp.Body)
	ts.Check(errors.Join(err, resp.Body.Close()))
	if fmt.Sprint(resp.StatusCode) != args[0] {
		ts.Fatalf("%s: %d, want %s\n%s", method, resp.StatusCode, args[0], body)
	}
	_, err = ts.Stdout().Write(body)
	ts.Check(err)
}

// publish says in the cluster where the gateway is, as `seatkeeper up` does.
func (s *site) publish() {
	s.t.Helper()
	objects, err := queryclient.LocationObjects(s.server, s.ca)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, o := range objects {
		if err := s.client.Create(s.t.Context(), o); err != nil && !apierrors.IsAlreadyExists(err) {
			s.t.Fatal(err)
		}
	}
	s.t.Cleanup(func() {
		// Another site must not be sent to a gateway that is gone.
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: queryclient.SystemNamespace, Name: "seatkeeper-gateway"}}
		if err := s.client.Delete(s.t.Context(), cm); err != nil && s.t.Context().Err() == nil {
			s.t.Log(err)
		}
	})
}

// bind gives a user the verbs on virtual resources of the site's namespace.
func (s *site) bind(user string, verbs []string, resources ...string) {
	s.t.Helper()
	meta := metav1.ObjectMeta{Namespace: s.ns, Name: "e2e-" + strings.ReplaceAll(user, "@", ".")}
	s.create(&rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{APIGroups: []string{"seatkeeper.dev"}, Resources: resources, Verbs: verbs}}})
	s.create(&rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}}})
}

var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	// exits CODE PROGRAM ARGS…: the program ends with this code.
	"exits": func(ts *testscript.TestScript, _ bool, args []string) {
		want, err := strconv.Atoi(args[0])
		ts.Check(err)
		code := 0
		var exit *exec.ExitError
		if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
			code = exit.ExitCode()
		} else {
			ts.Check(err)
		}
		if code != want {
			ts.Fatalf("exit %d, want %d", code, want)
		}
	},
	// width N: no line of stdout is wider, and nothing in it is a colour.
	"width": func(ts *testscript.TestScript, _ bool, args []string) {
		limit, err := strconv.Atoi(args[0])
		ts.Check(err)
		ts.Check(plain(ts.ReadFile("stdout"), limit))
	},
	// shows RESOURCE N: the list has N rows (or at least one, for +) in every
	// format, and stdout has nothing else.
	"shows": func(ts *testscript.TestScript, _ bool, args []string) {
		want := -1
		if args[1] != "+" {
			n, err := strconv.Atoi(args[1])
			ts.Check(err)
			want = n
		}
		for _, format := range []string{"table", "wide", "json", "yaml", "csv", "name"} {
			ts.Check(ts.Exec("seatkeeper", append([]string{args[0], "-n", "acme", "-o", format}, args[2:]...)...))
			n, err := rows(format, ts.ReadFile("stdout"))
			ts.Check(err)
			if n != want && (want >= 0 || n == 0) {
				ts.Fatalf("%s -o %s: %d rows, want %s", args[0], format, n, args[1])
			}
			if text := ts.ReadFile("stderr"); text != "" {
				ts.Fatalf("%s -o %s: stderr: %s", args[0], format, text)
			}
		}
	},
	// eventually REGEXP PROGRAM ARGS…: the program's stdout comes to match, or
	// with ! no longer does.
	"eventually": func(ts *testscript.TestScript, neg bool, args []string) {
		re := regexp.MustCompile(args[0])
		for deadline := time.Now().Add(wait); ; {
			err := ts.Exec(args[1], args[2:]...)
			if err == nil && re.MatchString(ts.ReadFile("stdout")) != neg {
				return
			}
			if time.Now().After(deadline) {
				ts.Fatalf("%s: %q (%v) after %s", strings.Join(args[1:], " "), ts.ReadFile("stdout"), err, wait)
			}
		}
	},
	// setjson NAME FIELD: sets the variable to a field of the JSON in stdout.
	"setjson": func(ts *testscript.TestScript, _ bool, args []string) {
		var doc map[string]any
		ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &doc))
		ts.Setenv(args[0], fmt.Sprint(doc[args[1]]))
	},
	// encode ENCODING FROM TO: writes a UTF-8 file again, as utf16 or with a bom.
	"encode": func(ts *testscript.TestScript, _ bool, args []string) {
		text := ts.ReadFile(args[1])
		switch args[0] {
		case "bom":
			text = "\ufeff" + text
		case "utf16":
			encoded, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(text)
			ts.Check(err)
			text = encoded
		default:
			ts.Fatalf("encode %s: want bom or utf16", args[0])
		}
		ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(text), 0o600))
	},
}

// plain checks that text can be read anywhere.
func plain(text string, width int) error {
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if n := utf8.RuneCountInString(line); n > width {
			return fmt.Errorf("%d columns wide: %s", n, line)
		}
		if strings.ContainsRune(line, '\x1b') {
			return fmt.Errorf("an escape sequence: %q", line)
		}
	}
	return nil
}

// rows counts the rows of a list in one of the output formats, and fails for
// what is not that format.
func rows(format, text string) (int, error) {
	switch format {
	case "json", "yaml":
		if format == "yaml" {
			data, err := yaml.YAMLToJSONStrict([]byte(text))
			if err != nil {
				return 0, err
			}
			text = string(data)
		}
		var l listOf[json.RawMessage]
		dec := json.NewDecoder(bytes.NewReader([]byte(text)))
		if err := dec.Decode(&l); err != nil {
			return 0, fmt.Errorf("%s: %w", format, err)
		}
		return len(l.Items), nil
	case "csv":
		all, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		return max(len(all)-1, 0), err
	case "name":
		return strings.Count(text, "\n"), nil
	case "table":
		if err := plain(text, 80); err != nil {
			return 0, err
		}
	}
	lines := slices.Collect(strings.Lines(text))
	return max(len(lines)-1, 0), plain(text, 1<<20)
}
