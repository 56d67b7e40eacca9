// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/cli"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

// command is a command line of a page.
type command struct {
	at    string
	words []string
}

// commands returns the lines of every shell block.
func commands(t testing.TB) []command {
	t.Helper()
	var out []command
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			if b.lang != "sh" {
				continue
			}
			text := strings.ReplaceAll(b.text, "\\\n", " ")
			for line := range strings.SplitSeq(text, "\n") {
				words, err := split(line)
				if err != nil {
					t.Errorf("%s: %q: %v", b.at, line, err)
				}
				if len(words) > 0 {
					out = append(out, command{b.at, words})
				}
			}
		}
	}
	return out
}

// split cuts a line into words as a shell does, as far as the documentation
// goes: quotes, comments, no escapes.
func split(line string) ([]string, error) {
	var (
		out   []string
		word  strings.Builder
		open  rune
		begun bool
	)
	for _, r := range line + " " {
		switch {
		case open != 0 && r == open:
			open = 0
		case open != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			open, begun = r, true
		case r == '#' && !begun:
			return out, nil
		case r == ' ' || r == '\t':
			if begun {
				out = append(out, word.String())
			}
			word.Reset()
			begun = false
		default:
			begun = true
			word.WriteRune(r)
		}
	}
	if open != 0 {
		return nil, fmt.Errorf("%c is not closed", open)
	}
	return out, nil
}

func TestSplit(t *testing.T) {
	got, err := split(`seatkeeper import "a b.csv" --column 'E-Mail=person.email' # a comment`)
	want := []string{"seatkeeper", "import", "a b.csv", "--column", "E-Mail=person.email"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("split = %q, %v; want %q", got, err, want)
	}
	if _, err := split("say 'something"); err == nil {
		t.Error("an open quote is no error")
	}
}

// parses tells whether the command line takes the words.
func parses(words []string) error {
	root := cli.Reference()
	cmd, rest, err := root.Find(words)
	if err != nil {
		return err
	}
	if cmd == root && len(words) > 0 {
		return fmt.Errorf("there is no command %q", words[0])
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}

func TestParsesRefusesWhatIsNotThere(t *testing.T) {
	for _, words := range [][]string{{"nothing"}, {"seats", "--nothing"}, {"release"}, {"seats", "too", "many"}} {
		if parses(words) == nil {
			t.Errorf("%q parses", words)
		}
	}
}

// TestExitCodes runs what docs/cli.md says of codes 0 to 2; code 3 needs a
// gateway, which the journeys have.
func TestExitCodes(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	for line, want := range map[string]int{
		"":                         0,
		"--help":                   0,
		"seats --help":             0,
		"import /nonexistent.csv":  1,
		"seats -n acme":            1,
		"seets":                    2,
		"seats --nothing":          2,
		"seats -o pictures":        2,
		"release":                  2,
		"release policy/x":         2,
		"release x --digest sha:1": 2,
		"import a.csv b.csv":       2,
	} {
		var out, errOut bytes.Buffer
		if got := cli.Execute(t.Context(), "seatkeeper", strings.Fields(line), &out, &errOut); got != want {
			t.Errorf("seatkeeper %s: exit code %d; want %d: %s", line, got, want, errOut.String())
		}
		if want != 0 && (out.Len() > 0 || !strings.HasPrefix(errOut.String(), "error SK9")) {
			t.Errorf("seatkeeper %s: stdout %q, stderr %q", line, out.String(), errOut.String())
		}
	}
}

// TestCommandsExist reads every command of the documentation with the parser
// of the program it is for.
func TestCommandsExist(t *testing.T) {
	targets := makeTargets(t)
	n := map[string]int{}
	for _, c := range commands(t) {
		program, args := c.words[0], c.words[1:]
		if program == "kubectl" && len(args) > 0 && args[0] == "seatkeeper" {
			program, args = "seatkeeper", args[1:]
		}
		n[program]++
		switch program {
		case "seatkeeper":
			if err := parses(args); err != nil {
				t.Errorf("%s: %s: %v", c.at, strings.Join(c.words, " "), err)
			}
		case "make":
			for _, a := range args {
				if !strings.Contains(a, "=") && !targets[a] {
					t.Errorf("%s: the Makefile has no target %q", c.at, a)
				}
			}
		}
	}
	if n["seatkeeper"] < 20 || n["make"] == 0 || n["kubectl"] < 10 || n["helm"] < 2 {
		t.Errorf("found %v; the search lost some", n)
	}
}

func makeTargets(t *testing.T) map[string]bool {
	t.Helper()
	raw, err := os.ReadFile(repoPath(t, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z][a-z-]*):`).FindAllStringSubmatch(string(raw), -1) {
		out[m[1]] = true
	}
	return out
}

// TestAdviceNamesCommandsThatExist reads the commands that reasons tell people
// to run.
func TestAdviceNamesCommandsThatExist(t *testing.T) {
	advice := regexp.MustCompile(`seatkeeper ([a-z]+)((?: --[a-z-]+ [a-z]+)?)`)
	seen := 0
	for _, info := range v1alpha1.Reasons {
		for _, m := range advice.FindAllStringSubmatch(info.Mend, -1) {
			seen++
			words := append([]string{m[1]}, strings.Fields(m[2])...)
			if m[1] == "release" {
				words = append(words, "policy/x")
			}
			if err := parses(words); err != nil {
				t.Errorf("%s %s says to run %q: %v", info.Code, info.Reason, m[0], err)
			}
		}
	}
	if seen == 0 {
		t.Error("found no advice that names a command")
	}
}

// TestMessagesNameCommandsThatExist looks at every text in the code that tells
// somebody to run seatkeeper.
func TestMessagesNameCommandsThatExist(t *testing.T) {
	names := map[string]bool{}
	for _, c := range cli.Reference().Commands() {
		names[c.Name()] = true
		for _, alias := range c.Aliases {
			names[alias] = true
		}
	}
	mention := regexp.MustCompile(`(?:^|[^/\w-])seatkeeper ([a-z]+)`)
	label := regexp.MustCompile(`^"seatkeeper [a-z ]+ v[0-9]+[^"]*"$`) // of derived keys
	seen := 0
	for _, dir := range []string{"api", "cmd", "controllers", "internal"} {
		err := filepath.WalkDir(repoPath(t, dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				lit, ok := n.(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING || label.MatchString(lit.Value) {
					return true
				}
				for _, m := range mention.FindAllStringSubmatch(lit.Value, -1) {
					seen++
					if !names[m[1]] {
						t.Errorf("%s says %q, and there is no such command", set.Position(lit.Pos()), strings.TrimSpace(m[0]))
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 10 {
		t.Errorf("found %d mentions; the search lost some", seen)
	}
}

// TestImportCommandsRun runs every import of the documentation as far as it
// goes without a cluster.
func TestImportCommandsRun(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"members.csv":       "username,email,status,billing-active,has-2fa,has-sso,userid,fullname,displayname,expiration-timestamp\nann,ann@my-company.example,Member,1,1,0,U1,Ann Example,ann,\n",
		"slack-members.csv": "username,email,status,billing-active,has-2fa,has-sso,userid,fullname,displayname,expiration-timestamp\nann,ann@my-company.example,Member,1,1,0,U1,Ann Example,ann,\n",
		"staff.csv":         "Nr,E-Mail,Start date\n1,ann@my-company.example,31/12/2025\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all := commands(t)
	t.Chdir(dir)
	ran := 0
	for _, c := range all {
		if len(c.words) < 3 || c.words[0] != "seatkeeper" || c.words[1] != "import" {
			continue
		}
		ran++
		var out, errOut bytes.Buffer
		args := append(slices.Clone(c.words[1:]), "--dry-run")
		if code := cli.Execute(context.Background(), "seatkeeper", args, &out, &errOut); code != 0 {
			t.Errorf("%s: %s: exit code %d: %s", c.at, strings.Join(c.words, " "), code, errOut.String())
		}
		if !strings.Contains(out.String(), "UNDERSTOOD AS") {
			t.Errorf("%s: does not say how the columns are understood: %s", c.at, out.String())
		}
	}
	if ran < 3 {
		t.Errorf("ran %d imports; the search lost some", ran)
	}
}

// verbs are the kubectl commands that the documentation may use, with the flags
// each may have. A resource is looked up in the cluster.
var verbs = map[string]struct {
	flags    []string
	resource bool
}{
	"get":      {[]string{"-n", "-o", "-w"}, true},
	"describe": {[]string{"-n"}, true},
	"wait":     {[]string{"-n", "--for", "--timeout", "--all"}, true},
	"annotate": {[]string{"-n", "--overwrite"}, true},
	"delete":   {[]string{"-n"}, true},
	"apply":    {[]string{"-n", "-f", "-k", "--server-side"}, false},
	"auth":     {[]string{"-n", "--subresource"}, false},
	"create":   {[]string{"-n", "--from-file", "--cert", "--key", "--clusterrole", "--group", "--user"}, false},
}

func TestKubectlCommandsNameWhatIsThere(t *testing.T) {
	env := testenv.Cluster(t)
	mapper, categories := newMapper(t, env), map[string]bool{}
	client, err := discovery.NewDiscoveryClientForConfig(env.Config)
	if err != nil {
		t.Fatal(err)
	}
	list, err := client.ServerPreferredResources()
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range list {
		for _, r := range group.APIResources {
			for _, category := range r.Categories {
				categories[category] = true
			}
			for _, short := range r.ShortNames {
				categories[short] = true
			}
		}
	}
	for _, c := range commands(t) {
		if c.words[0] != "kubectl" || len(c.words) > 1 && c.words[1] == "seatkeeper" {
			continue
		}
		if err := checkKubectl(mapper, categories, c.words[1:]); err != nil {
			t.Errorf("%s: %s: %v", c.at, strings.Join(c.words, " "), err)
		}
	}
	for _, bad := range [][]string{{"get", "nothings"}, {"get", "integrations", "--nothing"}, {"frobnicate"}} {
		if checkKubectl(mapper, categories, bad) == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

func checkKubectl(mapper meta.RESTMapper, categories map[string]bool, words []string) error {
	if len(words) == 0 {
		return errors.New("no verb")
	}
	verb, ok := verbs[words[0]]
	if !ok {
		return fmt.Errorf("verb %q is not one that this test knows", words[0])
	}
	var plain []string
	for i := 1; i < len(words); i++ {
		if !strings.HasPrefix(words[i], "-") {
			plain = append(plain, words[i])
			continue
		}
		flag, _, inline := strings.Cut(words[i], "=")
		if !slices.Contains(verb.flags, flag) {
			return fmt.Errorf("flag %s is not one that this test knows for %s", flag, words[0])
		}
		if !inline && len(flag) == 2 && flag != "-w" {
			i++ // its value
		}
	}
	if !verb.resource {
		return nil
	}
	if len(plain) == 0 {
		return errors.New("no resource")
	}
	for name := range strings.SplitSeq(plain[0], ",") {
		if !knownResource(mapper, categories, name) {
			return fmt.Errorf("the cluster does not serve %q", name)
		}
	}
	return nil
}

// TestHelmCommandsRender runs every `helm install` as `helm template`.
func TestHelmCommandsRender(t *testing.T) {
	helm := os.Getenv("SEATKEEPER_HELM")
	if helm == "" {
		helm = repoPath(t, "bin", "helm")
	}
	if _, err := os.Stat(helm); errors.Is(err, fs.ErrNotExist) && os.Getenv("CI") == "" {
		t.Skipf("no helm at %s; build it with: make %s", helm, helm)
	}
	for _, c := range commands(t) {
		if c.words[0] != "helm" {
			continue
		}
		if len(c.words) < 2 || c.words[1] != "install" && c.words[1] != "upgrade" {
			t.Errorf("%s: helm %v is not one that this test knows", c.at, c.words[1:])
			continue
		}
		cmd := exec.Command(helm, append([]string{"template", "--kube-version", "v1.30.0"}, c.words[2:]...)...)
		cmd.Dir = repoPath(t)
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %s: %v\n%s", c.at, strings.Join(c.words, " "), err, out)
		}
	}
}
