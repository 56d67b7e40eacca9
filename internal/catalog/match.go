// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// maxPhrase is of how many words a name may be.
const maxPhrase = 8

// index finds apps by what is written of them.
type index struct {
	names       map[string]entry // words joined by spaces
	descriptors map[string]entry
	domains     map[string]entry
	hints       map[string]entry // domains as identity providers' catalogues write them: zoomus
	hosting     map[string]bool
}

// entry is what a name or a domain is of.
type entry struct {
	app    *App
	family *family
	joined bool // several words written as one
}

func (e entry) known() bool { return e.app != nil || e.family != nil }

func (e entry) label() string {
	if e.app != nil {
		return e.app.Slug
	}
	return e.family.Vendor
}

func (e entry) vendor() string {
	if e.app != nil {
		return e.app.Vendor
	}
	return e.family.Vendor
}

// among are the slugs of what an entry may be.
func (e entry) among() []string {
	if e.app != nil {
		return []string{e.app.Slug}
	}
	return e.family.among
}

// umbrella is an entry for everything of a vendor: a product of it says more.
func (e entry) umbrella() bool { return e.app == nil || e.app.Name == e.app.Vendor }

// phrase is a name found in a text.
type phrase struct {
	entry
	text       string
	from, to   int
	descriptor bool
}

// ordinary: the name alone does not prove the app, because it is a word.
func (p phrase) ordinary() bool {
	return p.app != nil && !p.descriptor && p.to-p.from == 1 && !p.joined && (p.app.Word && p.text == p.app.first || len(p.text) <= 3 && !hasDigit(p.text))
}

// Recognise tells which known app a signal is of.
func (c *Catalog) Recognise(s model.AppSignal) model.AppMatch {
	switch s.Kind {
	case model.SignalExpense:
		return c.expense(s.Text)
	case model.SignalDomain:
		h := host(s.Text)
		return answer(c.site(h), phrase{}, h)
	}
	return c.client(s)
}

// site is what a host belongs to.
func (c *Catalog) site(h string) entry {
	for first := true; h != ""; first = false {
		if c.hosting[h] && !first {
			return entry{}
		}
		if e, ok := c.domains[h]; ok {
			return e
		}
		_, h, _ = strings.Cut(h, ".")
	}
	return entry{}
}

// longest is the longest name that begins at a word.
func (c *Catalog) longest(list []word, from int, descriptors bool) (out phrase) {
	text := ""
	for to := from + 1; to <= len(list) && to-from <= maxPhrase; to++ {
		if text != "" {
			text += " "
		}
		text += list[to-1].text
		if e, ok := c.names[text]; ok {
			out = phrase{entry: e, text: text, from: from, to: to}
		} else if e, ok := c.descriptors[text]; ok && descriptors {
			out = phrase{entry: e, text: text, from: from, to: to, descriptor: true}
		}
	}
	return out
}

// member replaces a vendor by the one app of it that the rest of the text names.
func (c *Catalog) member(p phrase, list []word, descriptors bool) phrase {
	if p.family == nil {
		return p
	}
	var found phrase
	for i := p.to; i < len(list); i++ {
		m := c.longest(list, i, descriptors)
		if m.app == nil || m.app.Vendor != p.family.Vendor {
			continue
		}
		if found.app != nil && found.app != m.app {
			return p
		}
		found = m
	}
	if found.app == nil {
		return p
	}
	return found
}

// answer weighs what a domain and a name say.
func answer(site entry, name phrase, h string) model.AppMatch {
	byDomain := func() model.AppMatch { return matched(site, "domain "+h) }
	byName := func() model.AppMatch {
		kind := "name"
		if name.descriptor {
			kind = "descriptor"
		}
		return matched(name.entry, kind+" "+name.text)
	}
	switch {
	case !site.known() && !name.known():
		return model.AppMatch{}
	case !name.known():
		return byDomain()
	case !site.known():
		return byName()
	case site.app != nil && site.app == name.app:
		return byDomain()
	case site.vendor() == name.vendor() && site.umbrella():
		return byName() // the product says more than its vendor
	case site.vendor() == name.vendor() && name.umbrella():
		return byDomain()
	case site.vendor() == name.vendor():
		return byName()
	case name.ordinary() && site.app != nil:
		return byDomain()
	}
	among := slices.Concat(site.among(), name.among())
	slices.Sort(among)
	return model.AppMatch{Among: slices.Compact(among), Rule: "domain " + h + " and name " + name.text}
}

func matched(e entry, rule string) model.AppMatch {
	if e.app != nil {
		return model.AppMatch{App: e.app.Slug, Rule: rule}
	}
	return model.AppMatch{Among: slices.Clone(e.family.among), Rule: rule}
}

// client recognises a name at an identity provider, or an OAuth client's.
func (c *Catalog) client(s model.AppSignal) model.AppMatch {
	h := host(s.URL)
	site := c.site(h)
	name := c.named(s.Text, s.URL != "" && !site.known())
	if site.app != nil && site.app.Category == identityCategory && site.app != name.app {
		site = entry{} // the identity provider's own link to the app
	}
	if !site.known() && !name.known() && s.Hint != "" {
		name = c.hinted(s.Hint)
	}
	return answer(site, name, h)
}

// identityCategory is that of identity providers: a URL at one is its link to
// an app.
const identityCategory = "identity-access"

// hinted is the app that the catalogue of a source names: slack, zoomus.
func (c *Catalog) hinted(hint string) phrase {
	key := joined(hint)
	e := c.names[key]
	if e.app == nil {
		e = c.hints[key]
	}
	if e.app == nil {
		return phrase{}
	}
	return phrase{entry: e, text: key, to: strings.Count(key, " ") + 1}
}

// named is the one app that a name names. elsewhere: its URL is at a site that
// no known app has, so that only what is named exactly counts.
func (c *Catalog) named(text string, elsewhere bool) phrase {
	w := split(text, "|:(/–—")
	list := w.list
	for i, one := range list { // "X for Y" is of X
		if i > 0 && one.text == "for" && c.longest(list, 0, false).to <= i {
			if cut := c.longest(list[:i], 0, false); cut.known() {
				list = list[:i]
			}
			break
		}
	}
	var found, doubt phrase
	for i := 0; i < len(list); {
		p := c.longest(list, i, false)
		if !p.known() {
			i++
			continue
		}
		i = p.to
		switch {
		case p.ordinary() && !onlyNoise(list, p):
			if p.from == 0 {
				doubt = p
			}
		case !found.known():
			found = p
		case found.app != nil && found.app == p.app:
		case p.app != nil && environments[p.text]:
		case found.vendor() == p.vendor() && p.umbrella():
		case found.vendor() == p.vendor() && found.umbrella():
			found = p
		default:
			return phrase{} // it names two
		}
	}
	if !found.known() || doubt.known() && doubt.vendor() != found.vendor() {
		return phrase{}
	}
	before, after := strangers(list[:found.from]), strangers(list[found.to:])
	switch {
	case found.from > 0 && towards[list[found.from-1].text]:
		return phrase{}
	case elsewhere && before+after > 0:
		return phrase{}
	case before > 2 || after > 3:
		return phrase{}
	}
	return found
}

// strangers counts the words that may be of something else.
func strangers(list []word) (n int) {
	for _, w := range list {
		if !environments[w.text] && !allDigits(w.text) {
			n++
		}
	}
	return n
}

// onlyNoise reports that nothing but the name says what it is.
func onlyNoise(list []word, p phrase) bool {
	return strangers(list[:p.from])+strangers(list[p.to:]) == 0
}
