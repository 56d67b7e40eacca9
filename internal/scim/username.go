// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"net/mail"
	"slices"
	"strings"
	"unicode"
)

// UserNameRule says which userNames are accepted. The zero value wants an e-mail
// address. Nothing is looked up: a resolver that is away must not turn every
// request of an identity provider into a failure.
type UserNameRule struct {
	// AnyText accepts any userName that is not empty.
	AnyText bool
	// Domains, where given, are the only domains that are accepted.
	Domains []string
}

// Check refuses a userName with 400 invalidValue.
func (r UserNameRule) Check(name string) error {
	if strings.TrimSpace(name) == "" {
		return badRequest(InvalidValue, "userName is required.")
	}
	if r.AnyText {
		return nil
	}
	addr, err := mail.ParseAddress(name)
	if err != nil || addr.Name != "" || addr.Address != name || len(name) > 254 {
		return badRequest(InvalidValue, "userName is an e-mail address, such as ada@example.com, and nothing around it.")
	}
	domain := name[strings.LastIndexByte(name, '@')+1:]
	if !isDomain(domain) {
		return badRequest(InvalidValue, "The domain of userName is no domain name such as example.com.")
	}
	if len(r.Domains) > 0 && !slices.ContainsFunc(r.Domains, func(d string) bool { return Fold(d) == Fold(domain) }) {
		return badRequest(InvalidValue, "The domain of userName is none of those that are allowed here.")
	}
	return nil
}

// isDomain accepts a domain name of two labels or more that is no IP address.
func isDomain(s string) bool {
	labels := strings.Split(s, ".")
	if len(labels) < 2 {
		return false
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
			return false
		}
		for _, c := range l {
			if c != '-' && !unicode.IsLetter(c) && !unicode.IsDigit(c) && !unicode.IsMark(c) {
				return false
			}
		}
	}
	return strings.ContainsFunc(labels[len(labels)-1], unicode.IsLetter)
}
