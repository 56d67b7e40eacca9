// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package catalog holds the apps that Seatkeeper knows, and recognises them in
// what sources discover: names at identity providers, OAuth clients, lines of
// card statements and domains. What cannot be told apart is nobody's.
package catalog

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// rulesRevision is raised when the rules change: what was recognised by earlier
// ones is looked at again.
const rulesRevision = "1"

//go:embed apps.yaml
var builtin []byte

// App is a known app.
type App struct {
	Slug        string   `yaml:"slug" json:"slug"`
	Name        string   `yaml:"name" json:"name"`
	Vendor      string   `yaml:"vendor" json:"vendor"`
	Category    string   `yaml:"category" json:"category"`
	Domains     []string `yaml:"domains" json:"domains,omitempty"`
	Aliases     []string `yaml:"aliases" json:"aliases,omitempty"`
	Descriptors []string `yaml:"descriptors" json:"descriptors,omitempty"`
	// Word: the word that its name begins with means other things too.
	Word bool `yaml:"word" json:"word,omitempty"`
	// Connector is the built-in connector that reads it.
	Connector string `yaml:"connector" json:"connector,omitempty"`

	first string // the word that its name begins with
}

// Category is a job that apps do.
type Category struct {
	Name       string `yaml:"name" json:"name"`
	Title      string `yaml:"title" json:"title"`
	Definition string `yaml:"definition" json:"definition"`
}

// family is what a vendor calls several of its apps at once.
type family struct {
	Vendor  string   `yaml:"vendor"`
	Names   []string `yaml:"names"`
	Domains []string `yaml:"domains"`
	among   []string // slugs of its apps
}

// Catalog is a set of known apps. It does not change once loaded.
type Catalog struct {
	apps       []App
	categories []Category
	version    string
	bySlug     map[string]*App
	readers    map[string]string // slugs by connector
	index
}

// Default is the catalogue that comes with Seatkeeper.
var Default = sync.OnceValue(func() *Catalog {
	c, err := Load(builtin)
	if err != nil {
		panic(err) // a test proves that it loads
	}
	return c
})

var (
	slugPattern   = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	domainPattern = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)+$`)
)

// Load reads a catalogue and refuses one that contradicts itself.
func Load(data []byte) (*Catalog, error) {
	var file struct {
		Categories []Category `yaml:"categories"`
		Families   []*family  `yaml:"families"`
		Hosting    []string   `yaml:"hosting"`
		Apps       []App      `yaml:"apps"`
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil {
		return nil, fmt.Errorf("read the catalogue of apps: %w", err)
	}
	sum := sha256.Sum256(append([]byte(rulesRevision+"\n"), data...))
	c := &Catalog{
		apps: file.Apps, categories: file.Categories, version: hex.EncodeToString(sum[:8]), bySlug: make(map[string]*App, len(file.Apps)), readers: map[string]string{},
		index: index{names: map[string]entry{}, descriptors: map[string]entry{}, domains: map[string]entry{}, hints: map[string]entry{}, hosting: map[string]bool{}},
	}
	for _, d := range file.Hosting {
		c.hosting[d] = true
	}
	slices.SortFunc(c.apps, func(a, b App) int { return strings.Compare(a.Slug, b.Slug) })
	var wrong []error
	for i := range c.apps {
		if err := c.add(&c.apps[i]); err != nil {
			wrong = append(wrong, fmt.Errorf("app %q: %w", c.apps[i].Slug, err))
		}
	}
	for _, f := range file.Families {
		if err := c.addFamily(f); err != nil {
			wrong = append(wrong, fmt.Errorf("family %q: %w", f.Vendor, err))
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("read the catalogue of apps: %w", err)
	}
	c.joinWords()
	return c, nil
}

func (c *Catalog) add(a *App) error {
	switch {
	case !slugPattern.MatchString(a.Slug):
		return errors.New("slug: want lower-case words joined by -")
	case c.bySlug[a.Slug] != nil:
		return errors.New("slug: two apps have it")
	case a.Name == "" || a.Vendor == "":
		return errors.New("name and vendor must be set")
	case !slices.ContainsFunc(c.categories, func(k Category) bool { return k.Name == a.Category }):
		return fmt.Errorf("category %q is none of the list", a.Category)
	}
	c.bySlug[a.Slug] = a
	a.first, _, _ = strings.Cut(joined(a.Name), " ")
	if a.Connector != "" {
		if other, ok := c.readers[a.Connector]; ok {
			return fmt.Errorf("connector %q reads %q as well", a.Connector, other)
		}
		c.readers[a.Connector] = a.Slug
	}
	for _, n := range append([]string{a.Name}, a.Aliases...) {
		if err := c.own(c.names, n, entry{app: a}); err != nil {
			return err
		}
	}
	for _, n := range a.Descriptors {
		if _, ok := c.names[joined(n)]; ok {
			return fmt.Errorf("descriptor %q is a name as well", n)
		}
		if err := c.own(c.descriptors, n, entry{app: a}); err != nil {
			return err
		}
	}
	for _, d := range a.Domains {
		if !domainPattern.MatchString(d) || c.hosting[d] {
			return fmt.Errorf("domain %q: want a lower-case domain that is not one of hosting", d)
		}
		if other, ok := c.domains[d]; ok {
			return fmt.Errorf("domain %q is of %q as well", d, other.app.Slug)
		}
		c.domains[d] = entry{app: a}
		c.hints[strings.ReplaceAll(d, ".", "")] = entry{app: a}
	}
	return nil
}

func (c *Catalog) own(in map[string]entry, name string, e entry) error {
	key := joined(name)
	if key == "" || strings.Count(key, " ") >= maxPhrase {
		return fmt.Errorf("name %q has no word, or more than %d", name, maxPhrase)
	}
	if other, ok := in[key]; ok && (other.app != e.app || other.family != e.family) {
		return fmt.Errorf("name %q is of %q as well", name, other.label())
	}
	in[key] = e
	return nil
}

func (c *Catalog) addFamily(f *family) error {
	for _, a := range c.apps {
		if a.Vendor == f.Vendor {
			f.among = append(f.among, a.Slug)
		}
	}
	if len(f.among) < 2 {
		return errors.New("fewer than two apps are of this vendor")
	}
	for _, n := range f.Names {
		if err := c.own(c.names, n, entry{family: f}); err != nil {
			return err
		}
	}
	for _, d := range f.Domains {
		if other, ok := c.domains[d]; ok {
			return fmt.Errorf("domain %q is of %q as well", d, other.label())
		}
		c.domains[d] = entry{family: f}
	}
	return nil
}

// joinWords lets a name of several words be found where it is written as one.
func (c *Catalog) joinWords() {
	once, taken := map[string]entry{}, map[string]bool{}
	for key, e := range c.names {
		one := strings.ReplaceAll(key, " ", "")
		if one == key || len(one) < minJoined {
			continue
		}
		if other, ok := once[one]; ok && other != e {
			taken[one] = true
		}
		once[one] = e
	}
	for one, e := range once {
		if _, ok := c.names[one]; !ok && !taken[one] {
			e.joined = true
			c.names[one] = e
		}
	}
}

// minJoined is how long a name of several words must be to be found where it is
// written as one.
const minJoined = 6

// Apps are all known apps, by slug.
func (c *Catalog) Apps() []App { return slices.Clone(c.apps) }

// Categories are the jobs that apps do.
func (c *Catalog) Categories() []Category { return slices.Clone(c.categories) }

// App returns a known app by its slug.
func (c *Catalog) App(slug string) (App, bool) {
	a := c.bySlug[slug]
	if a == nil {
		return App{}, false
	}
	return *a, true
}

// ReadBy is the slug of the app that a built-in connector reads; empty: none.
func (c *Catalog) ReadBy(connector string) string {
	if connector == "" {
		return ""
	}
	return c.readers[connector]
}

// Version tells this catalogue and these rules from others.
func (c *Catalog) Version() string { return c.version }
