// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/scim"
)

func invalidValue(format string, args ...any) error {
	return &scim.Error{Status: http.StatusBadRequest, Type: scim.InvalidValue, Detail: fmt.Sprintf(format, args...)}
}

func invalidSyntax(format string, args ...any) error {
	return &scim.Error{Status: http.StatusBadRequest, Type: scim.InvalidSyntax, Detail: fmt.Sprintf(format, args...)}
}

// member finds a member of a message by its name in any case.
func member(doc map[string]any, name string) any {
	for key, v := range doc {
		if strings.EqualFold(key, name) {
			return v
		}
	}
	return nil
}

// hasSchema reports whether a message says that it is what is wanted.
func hasSchema(doc map[string]any, urn string) bool {
	list, _ := member(doc, "schemas").([]any)
	return slices.ContainsFunc(list, func(v any) bool {
		s, ok := v.(string)
		return ok && strings.EqualFold(s, urn)
	})
}

// fromBody reads the criteria of a search (RFC 7644 section 3.4.3).
func (c *call) fromBody() (criteria, error) {
	out := criteria{start: 1, count: defaultResults}
	doc, err := c.body()
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		// Nothing else in a search is that long. A client that is still sending
		// would not read the answer, so some more is taken and thrown away.
		_, _ = io.CopyN(io.Discard, c.request.Body, 16*maxBody)
		return out, &scim.Error{Status: http.StatusBadRequest, Type: scim.InvalidFilter, Detail: fmt.Sprintf("The search is longer than %d bytes, and a filter may have %d.", maxBody, scim.MaxFilterLength)}
	}
	if err != nil {
		return out, err
	}
	if !hasSchema(doc, scim.SearchRequestURN) {
		return out, invalidValue("schemas lacks %s.", scim.SearchRequestURN)
	}
	for _, p := range []struct {
		name string
		into *string
	}{{"filter", &out.filter}, {"sortBy", &out.sortBy}, {"sortOrder", &out.sortOrder}} {
		v := member(doc, p.name)
		s, ok := v.(string)
		if v != nil && !ok {
			return out, invalidValue("%s is a string.", p.name)
		}
		*p.into = s
	}
	for _, p := range []struct {
		name string
		into *int
	}{{"startIndex", &out.start}, {"count", &out.count}} {
		v := member(doc, p.name)
		if v == nil {
			continue
		}
		n, _ := v.(json.Number)
		i, err := strconv.Atoi(n.String())
		if err != nil {
			return out, invalidValue("%s is an integer.", p.name)
		}
		*p.into = i
	}
	for _, p := range []struct {
		name string
		into *[]string
	}{{"attributes", &out.attributes}, {"excludedAttributes", &out.excluded}} {
		v := member(doc, p.name)
		list, ok := v.([]any)
		if v != nil && !ok {
			return out, invalidValue("%s is a list of names.", p.name)
		}
		for _, e := range list {
			s, ok := e.(string)
			if !ok {
				return out, invalidValue("%s is a list of names.", p.name)
			}
			*p.into = append(*p.into, s)
		}
	}
	return out, nil
}
