// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/seatkeeper/seatkeeper/internal/expr"
)

// Load parses, validates and compiles a Connector document. The error is
// Problems, which names every fault with its file, line and path.
func Load(file string, data []byte) (*Manifest, error) {
	return load(file, data, true, false)
}

// LoadBuiltin is Load for a manifest that ships with the program, which may
// name a Go implementation.
func LoadBuiltin(file string, data []byte) (*Manifest, error) {
	return load(file, data, true, true)
}

// LoadSpec does the same for the spec of a Connector resource, as JSON.
func LoadSpec(name string, spec []byte) (*Manifest, error) {
	if len(spec) > maxManifestBytes {
		return nil, Problems{{Path: "spec", Got: fmt.Sprintf("%d bytes", len(spec)), Want: fmt.Sprintf("at most %d", maxManifestBytes)}}
	}
	var root yaml.Node
	if err := yaml.Unmarshal(spec, &root); err != nil || len(root.Content) != 1 {
		return nil, Problems{{Path: "spec", Got: fmt.Sprintf("unreadable JSON: %v", err), Want: "an object"}}
	}
	d := &document{}
	at := node{doc: d}
	m := loadSpec(at.child(root.Content[0], "spec"), name, false)
	if len(d.problems) > 0 {
		return nil, d.problems
	}
	return m, nil
}

func load(file string, data []byte, lines, builtin bool) (*Manifest, error) {
	if len(data) > maxManifestBytes {
		return nil, Problems{{File: file, Path: "(file)", Got: fmt.Sprintf("%d bytes", len(data)), Want: fmt.Sprintf("at most %d", maxManifestBytes)}}
	}
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		return nil, Problems{{File: file, Path: "(file)", Got: strings.TrimPrefix(err.Error(), "yaml: "), Want: "one YAML document"}}
	}
	if len(root.Content) != 1 {
		return nil, Problems{{File: file, Path: "(file)", Got: "an empty file", Want: "one Connector document"}}
	}
	d := &document{file: file, lines: lines}
	top := node{doc: d}.child(root.Content[0], "")
	if !top.object("apiVersion", "kind", "metadata", "spec") && len(d.problems) == 0 {
		top.problem(top.kind(), "a Connector document", "")
	}
	top.need("apiVersion", "seatkeeper.dev/v1alpha1").enum("seatkeeper.dev/v1alpha1")
	top.need("kind", "Connector").enum("Connector")
	name := top.get("metadata").need("name", "the connector's name").text()
	m := loadSpec(top.need("spec", "the manifest"), name, builtin)
	if len(d.problems) > 0 {
		return nil, d.problems
	}
	return m, nil
}

var (
	namePattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)
	idPattern   = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]{0,62}$`)
)

// natives are the connectors whose reading is Go. One explicit map, so that no
// manifest can name code that is not meant for it.
var natives = map[string]func(*Session) (source, error){
	"csv":      openCSV,
	NativePush: openPush,
}

func loadSpec(n node, name string, builtin bool) *Manifest {
	n.object("title", "category", "verified", "multiAccount", "domains", "description", "version", "docsURL", "native", "config", "auth", "http",
		"account", "streams", "actions", "webhooks")
	if name != "" && !namePattern.MatchString(name) {
		n.problem(fmt.Sprintf("%q", name), "a name of lower-case letters, digits and dashes", "")
	}
	m := &Manifest{
		name:         name,
		title:        n.need("title", "the name for people").text(),
		category:     n.need("category", "idp, hris, app, expense or file").enum("idp", "hris", "app", "expense", "file"),
		verified:     n.need("verified", "against what it was checked: Spec, Docs, Live or No").enum("Spec", "Docs", "Live", "No"),
		multiAccount: n.get("multiAccount").boolean(),
		domains:      n.get("domains").texts(),
		native:       n.get("native").text(),
		docsURL:      n.get("docsURL").text(),
	}
	if docs := n.get("docsURL"); docs.exists() && !webPage(m.docsURL) {
		docs.problem(fmt.Sprintf("%q", m.docsURL), "the address of a page that starts with https:// or http://", "")
	}
	if m.docsURL == "" && builtin {
		m.docsURL = fmt.Sprintf(builtinDocs, name)
	}
	if nat := n.get("native"); nat.exists() {
		if _, ok := natives[m.native]; !ok || !builtin {
			nat.problem(nat.kind(), "nothing: only built-in connectors name a Go implementation", "")
		}
	}
	l := loader{manifest: m, builtin: builtin}
	if !l.environments(n) {
		return nil
	}
	l.config(n.get("config"))
	l.auth(n.get("auth"))
	if m.native == "" {
		l.http(n.need("http", "where the API is and how it speaks"))
		l.crossHosts()
	}
	if acc := n.get("account"); acc.exists() {
		l.account(acc)
	}
	n.get("streams").entries(l.stream)
	n.get("actions").entries(l.action)
	n.get("webhooks").entries(l.webhook)
	l.cross(n)
	return m
}

// webPage says whether people can be sent to a URL.
func webPage(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil
}

// loader holds what compiling a manifest needs.
type loader struct {
	manifest    *Manifest
	builtin     bool
	env         *expr.Env // expressions without secrets
	pageEnv     *expr.Env // the same, for what is evaluated once per answer
	secretEnv   *expr.Env // auth and token
	bucketEnv   *expr.Env
	withSecrets []node // templates of the auth method at work
	hostNames   []node // references to http.hosts made before it was read
}

func (l *loader) environments(n node) bool {
	var errs [3]error
	l.env, errs[0] = expr.Connector()
	l.secretEnv, errs[1] = expr.ConnectorSecrets()
	l.bucketEnv, errs[2] = expr.Bucket()
	for _, err := range errs {
		if err != nil {
			n.problem(err.Error(), "a working expression environment", "this is a defect of the program")
			return false
		}
	}
	l.pageEnv = l.env.WithCost(expr.CostPage)
	return true
}

var configTypes = []string{"string", "hostname", "url", "integer", "boolean", "object"}

func (l *loader) config(n node) {
	n.entries(func(name string, v node) {
		v.object("type", "required", "default", "title", "description", "example", "enum", "minimum", "maximum", "pattern")
		if !idPattern.MatchString(name) {
			v.problem(fmt.Sprintf("the name %q", name), "letters, digits and underscores", "")
		}
		f := configField{
			InputField: InputField{
				Name: name, Type: v.need("type", strings.Join(configTypes, ", ")).enum(configTypes...),
				Title: v.get("title").text(), Required: v.get("required").boolean(),
			},
			enum: v.get("enum").texts(), pattern: v.get("pattern").text(), example: v.get("example").text(),
		}
		for key, at := range map[string]**int{"minimum": &f.minimum, "maximum": &f.maximum} {
			if b := v.get(key); b.exists() {
				i := b.integer(-1<<31, 1<<31-1)
				*at = &i
			}
		}
		if f.pattern != "" {
			if _, err := regexp.Compile(f.pattern); err != nil {
				v.get("pattern").problem(err.Error(), "a regular expression (RE2)", "")
				f.pattern = ""
			}
		}
		if def := v.get("default"); def.exists() {
			var raw any
			if err := def.yaml.Decode(&raw); err != nil {
				def.problem(def.kind(), "a value", "")
			} else if value, p := f.check(raw); p != nil {
				def.problem(p.Got, p.Want, "")
			} else {
				f.Default = value
			}
		}
		l.manifest.config = append(l.manifest.config, f)
	})
}

func (l *loader) template(n node) *expr.Template { return n.template(l.env) }

// httpsTemplate wants a literal https:// in front, so that no config value can
// choose the scheme.
func (l *loader) httpsTemplate(n node) *expr.Template {
	t := n.template(l.env)
	if t != nil && !strings.HasPrefix(t.Source(), "https://") {
		n.problem(n.kind(), "a URL that begins with https://", "")
		return nil
	}
	return t
}

func (l *loader) pairs(n node, compile func(node) *expr.Template) []pair {
	var out []pair
	n.entries(func(name string, v node) {
		if t := compile(v); t != nil {
			out = append(out, pair{name, t})
		}
	})
	return out
}

func (l *loader) http(n node) {
	h := &l.manifest.http
	n.object("baseURL", "hosts", "headers", "timeout", "concurrency", "rateLimit", "errors")
	h.baseURL = l.httpsTemplate(n.need("baseURL", "an https URL"))
	h.hosts = l.pairs(n.get("hosts"), l.httpsTemplate)
	h.headers = l.pairs(n.get("headers"), l.template)
	h.timeout = n.get("timeout").duration()
	h.concurrency = n.get("concurrency").integer(1, 16)
	l.rateLimit(n.get("rateLimit"))
	n.get("errors").items(func(_ int, v node) { l.errorRule(v) })
}

func (l *loader) errorRule(v node) {
	v.object("when", "class", "message", "retryAfter", "fix", "refresh")
	rule := errorRule{
		when:       v.need("when", "a CEL condition").program(l.pageEnv, expr.Bool),
		class:      ErrorClass(v.need("class", "an error class").enum(manifestClasses...)),
		message:    v.get("message").program(l.env, expr.String),
		retryAfter: v.get("retryAfter").duration(),
		fix:        v.get("fix").text(),
		refresh:    v.get("refresh").boolean(),
	}
	if rule.refresh && rule.class != ClassAuth {
		v.get("refresh").problem("true with class "+string(rule.class), "class auth", "a new token mends nothing else")
	}
	if rule.when != nil {
		l.manifest.http.errors = append(l.manifest.http.errors, rule)
	}
}

var manifestClasses = []string{string(ClassAuth), string(ClassPermission), string(ClassPlan), string(ClassNotFound),
	string(ClassConflict), string(ClassRateLimit), string(ClassTransient), string(ClassInvalid), string(ClassReset)}

var limitKeyPattern = regexp.MustCompile(`^(method|host|path|path\[0:[1-9]\])$`)

func (l *loader) rateLimit(n node) {
	s := &l.manifest.http.limits
	n.object("key", "limit", "remaining", "reset", "retryAfter", "reservePercent", "buckets", "usage")
	s.limit, s.remaining, s.retryAfter = n.get("limit").text(), n.get("remaining").text(), n.get("retryAfter").text()
	s.reservePercent = n.get("reservePercent").integer(0, 99)
	n.get("key").items(func(_ int, v node) {
		if !limitKeyPattern.MatchString(v.text()) {
			v.problem(v.kind(), "method, host, path or path[0:n]", "")
		}
		s.key = append(s.key, v.text())
	})
	if r := n.get("reset"); r.exists() {
		r.object("header", "format")
		s.reset = r.need("header", "the header's name").text()
		s.resetFormat = r.need("format", "the unit of the header, which is declared and never guessed").
			enum("epoch_s", "epoch_ms", "seconds", "http_date")
	}
	l.usage(n.get("usage"))
	n.get("buckets").items(func(_ int, v node) {
		v.object("match", "rate", "burst", "key")
		b := bucketSpec{
			match: v.need("match", "a CEL condition over method, host, path and body").program(l.bucketEnv, expr.Bool),
			key:   v.get("key").program(l.bucketEnv, expr.String),
		}
		rate := v.need("rate", "a rate such as 18/m")
		if rate.exists() {
			r, err := parseRate(rate.text())
			if err != nil {
				rate.problem(rate.kind(), "a rate such as 18/m", "")
			}
			b.rate = r
			b.rate.Burst = v.get("burst").integer(0, 1_000_000)
		}
		if b.match != nil {
			s.buckets = append(s.buckets, b)
		}
	})
}

// defaultUsagePause is how long nothing is sent once an allowance is used up
// whose return the vendor does not tell.
const defaultUsagePause = time.Hour

func (l *loader) usage(n node) {
	if !n.exists() {
		return
	}
	n.object("header", "regex", "retryAfter")
	u := &usageSpec{header: n.need("header", "the header's name").text(), pause: cmp.Or(n.get("retryAfter").duration(), defaultUsagePause)}
	re := n.need("regex", "a regular expression with the groups used and limit")
	var err error
	u.regex, err = regexp.Compile(re.text())
	switch {
	case !re.exists():
	case err != nil:
		re.problem(err.Error(), "a regular expression (RE2)", "")
	case u.regex.SubexpIndex("used") < 0 || u.regex.SubexpIndex("limit") < 0:
		re.problem(re.kind(), "the groups (?P<used>…) and (?P<limit>…)", "")
	default:
		l.manifest.http.limits.usage = u
	}
}
