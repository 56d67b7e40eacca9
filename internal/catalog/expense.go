// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// statement is a line of a card statement, taken apart.
type statement struct {
	words
	// start is the first word of the merchant's name.
	start int
	shop  bool // paid through a processor of shops
	soft  bool // through a reseller of software
	sites []string
}

// expense recognises the vendor of a transaction.
func (c *Catalog) expense(text string) model.AppMatch {
	st := takeApart(text)
	var site entry
	where := ""
	for _, h := range st.sites {
		e := c.site(h)
		if !e.known() && strings.HasSuffix(h, ".co") { // cut off at the width of the column
			e = c.site(h + "m")
		}
		switch {
		case !e.known() || e == site:
		case !site.known() || site.vendor() == e.vendor() && site.umbrella():
			site, where = e, h
		case site.vendor() != e.vendor():
			return model.AppMatch{Among: sorted(site.among(), e.among()), Rule: "domain " + where + " and domain " + h}
		}
	}
	name := c.member(c.merchant(st), st.list, true)
	if name.known() && name.app != nil && !c.proves(st, name) && !(site.app != nil && site.app == name.app) {
		name = phrase{}
	}
	return answer(site, name, where)
}

func sorted(lists ...[]string) []string {
	out := slices.Concat(lists...)
	slices.Sort(out)
	return slices.Compact(out)
}

// takeApart finds where the merchant's name begins, and the sites named.
func takeApart(text string) statement {
	st := statement{words: split(text, "*")}
	for _, run := range st.runs {
		if site := siteIn(run); site != "" {
			st.sites = append(st.sites, site)
		}
	}
	list := st.list
	for st.start < len(list) && (preambles[list[st.start].text] || allDigits(list[st.start].text) || reference(list[st.start].text) && len(list[st.start].text) > 9) {
		st.start++
	}
	if st.start == len(list) {
		st.start = 0
		return st
	}
	first := list[st.start]
	switch {
	case shopProcessors[first.text] && (st.next(first) || len(first.text) == 2):
		st.shop = true
		st.start++
	case (processors[first.text] || resellers[first.text]) && st.next(first):
		st.soft = resellers[first.text]
		for st.start < len(list) && list[st.start].segment == first.segment {
			st.start++
		}
	}
	return st
}

// next reports that another segment follows that of a word.
func (st statement) next(w word) bool {
	return slices.ContainsFunc(st.list, func(o word) bool { return o.segment > w.segment })
}

// merchant is the name that the statement begins with, or that stands after the
// first asterisk or after "dba".
func (c *Catalog) merchant(st statement) phrase {
	if p := c.longest(st.list, st.start, true); p.known() {
		return p
	}
	for i := st.start + 1; i < len(st.list); i++ {
		afterStar := st.list[i].segment > st.list[i-1].segment
		if afterStar || st.list[i-1].text == "dba" {
			if p := c.longest(st.list, i, true); p.known() && !p.ordinary() {
				return p
			}
		}
	}
	return phrase{}
}

// proves decides whether a name on a statement is the app's. Behind a name that
// only the app has, no word of another trade may stand; a name that is a word
// must be all there is, with a sign that it is a subscription's.
func (c *Catalog) proves(st statement, p phrase) bool {
	if !p.ordinary() {
		for _, w := range st.list[p.to:] {
			if legalForms[w.text] {
				break
			}
			if trades[w.text] {
				return false
			}
		}
		return true
	}
	if st.shop {
		return false
	}
	sign := st.soft
	for i := p.to; i < len(st.list); i++ {
		w := st.list[i]
		switch {
		case legalForms[w.text] && !sign && i == p.to:
			return true // the name ends here
		case legalForms[w.text] && sign:
			return true
		case billing[w.text]:
			sign = true
		case reference(w.text) || phone(st.runs[w.raw]):
			return true
		case w.segment > st.list[p.to-1].segment && hasDigit(w.text):
			return true
		case places[w.text] || hasDigit(w.text):
		default:
			return false
		}
	}
	return sign
}

// reference reports the id of a payment or a customer: letters and digits mixed,
// or a long number. The short number of a branch is none.
func reference(s string) bool {
	if allDigits(s) {
		return len(s) >= 9
	}
	return hasDigit(s) && len(s) >= 6
}

// phone reports a phone number, which stands where nobody came to a shop.
func phone(run string) bool {
	digits := 0
	for _, r := range run {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case strings.ContainsRune("+-().", r):
		default:
			return false
		}
	}
	return digits >= 9
}
