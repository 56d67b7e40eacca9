// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package docs proves that the documentation says what is: its manifests are
// accepted, its commands exist, its links lead somewhere, and every error code
// has its place.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/cli"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Start(m) }

func repoPath(t testing.TB, elements ...string) string {
	t.Helper()
	root, err := testenv.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(append([]string{root}, elements...)...)
}

// block is a fenced block of a page.
type block struct {
	at   string // page and line
	lang string // the info string: "sh", "yaml", …
	text string
}

// page is a file of the documentation.
type page struct {
	path   string // from the root
	text   string
	blocks []block
}

// pages reads every page that users are sent to.
func pages(t testing.TB) []page {
	t.Helper()
	var out []page
	for _, pattern := range []string{"*.md", "docs/*.md", "connectors/*/README.md", "connectors/*.md"} {
		paths, err := filepath.Glob(repoPath(t, filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			name, err := filepath.Rel(repoPath(t), path)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, page{path: name, text: string(raw), blocks: blocksOf(t, name, string(raw))})
		}
	}
	if len(out) < 10 {
		t.Fatalf("found %d pages; the search lost some", len(out))
	}
	return out
}

func blocksOf(t testing.TB, name, text string) []block {
	t.Helper()
	var (
		out  []block
		open *block
	)
	for i, line := range strings.Split(text, "\n") {
		switch {
		case !strings.HasPrefix(line, "```"):
			if open != nil {
				open.text += line + "\n"
			}
		case open == nil:
			open = &block{at: position(name, i+1), lang: strings.TrimSpace(strings.TrimPrefix(line, "```"))}
			if open.lang == "" {
				t.Errorf("%s: the block says no language", open.at)
			}
		default:
			out, open = append(out, *open), nil
		}
	}
	if open != nil {
		t.Errorf("%s: the block does not end", open.at)
	}
	return out
}

func TestEveryReasonHasItsPlace(t *testing.T) {
	raw, err := os.ReadFile(repoPath(t, "docs", "errors.md"))
	if err != nil {
		t.Fatal(err)
	}
	entries := strings.Split(string(raw), "<a id=\"")
	byID := map[string]string{}
	for _, e := range entries[1:] {
		id, text, _ := strings.Cut(e, "\"")
		if byID[id] != "" {
			t.Errorf("anchor %s is there twice", id)
		}
		byID[id] = text
	}
	for _, info := range v1alpha1.Reasons {
		entry, ok := byID[strings.ToLower(info.Code)]
		if !ok {
			t.Errorf("%s %s has no entry in docs/errors.md; run make generate", info.Code, info.Reason)
			continue
		}
		for _, want := range []string{"### " + info.Code + " " + info.Reason + "\n", "- What: " + info.Title, "- Where: ", "- Mend: " + info.Mend} {
			if !strings.Contains(entry, want) {
				t.Errorf("the entry of %s lacks %q", info.Code, want)
			}
		}
		delete(byID, strings.ToLower(info.Code))
	}
	for _, c := range cli.ErrorCodes {
		if entry := byID[strings.ToLower(c.Code)]; !strings.Contains(entry, "- What: "+c.Title) || !strings.Contains(entry, "- Mend: "+c.Mend) {
			t.Errorf("%s of the command line has no entry in docs/errors.md; run make generate", c.Code)
		}
		delete(byID, strings.ToLower(c.Code))
	}
	for id := range byID {
		t.Errorf("docs/errors.md has %s, which nothing gives", id)
	}
}

var (
	links    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	headings = regexp.MustCompile(`(?m)^#{1,6} (.+)$`)
	ids      = regexp.MustCompile(`<a id="([^"]+)">`)
	fenced   = regexp.MustCompile("(?ms)^```.*?^```$")
	notSlug  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are what a link to the page may name, as GitHub makes them.
func anchors(text string) map[string]bool {
	out := map[string]bool{}
	text = fenced.ReplaceAllString(text, "")
	for _, m := range headings.FindAllStringSubmatch(text, -1) {
		out[strings.ReplaceAll(notSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	for _, m := range ids.FindAllStringSubmatch(text, -1) {
		out[m[1]] = true
	}
	return out
}

func TestLinksLeadSomewhere(t *testing.T) {
	checked := 0
	for _, p := range pages(t) {
		for _, m := range links.FindAllStringSubmatch(fenced.ReplaceAllString(p.text, ""), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			checked++
			text := p.text
			if target != "" {
				path := repoPath(t, filepath.Dir(p.path), filepath.FromSlash(target))
				info, err := os.Stat(path)
				if err != nil {
					t.Errorf("%s links to %s, which is not there", p.path, m[1])
					continue
				}
				if info.IsDir() || anchor == "" {
					continue
				}
				raw, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				text = string(raw)
			}
			if anchor != "" && !anchors(text)[anchor] {
				t.Errorf("%s links to %s, and there is no such heading", p.path, m[1])
			}
		}
	}
	if checked < 20 {
		t.Errorf("checked %d links; the search lost some", checked)
	}
}
