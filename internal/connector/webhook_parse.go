// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"bytes"
	"errors"
	"mime"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Parse reads a delivery that Receive has taken as its expressions would see it.
func (w *Webhook) Parse(in WebhookRequest) (any, error) { return w.parsed(in) }

// parsed reads the body in the declared form.
func (w *Webhook) parsed(in WebhookRequest) (any, error) {
	if !utf8.Valid(in.Body) {
		return nil, w.wrong(ClassInvalid, "the delivery is no text")
	}
	switch w.parse {
	case "text":
		return cleaned(string(in.Body)), nil
	case "form", "field":
		form, err := url.ParseQuery(string(in.Body))
		if err != nil {
			return nil, w.wrong(ClassInvalid, "the delivery is no form")
		}
		if w.parse == "form" {
			m := make(map[string]any, len(form))
			for k := range form {
				m[cleaned(k)] = cleaned(form.Get(k))
			}
			return m, nil
		}
		if !form.Has(w.field) {
			return nil, w.wrong(ClassInvalid, "the form has no field "+w.field)
		}
		return w.json([]byte(form.Get(w.field)))
	case "any":
		return w.parsedAny(in)
	}
	return w.json(in.Body)
}

// parsedAny reads what a user's own sender sends: JSON, a form, or a bare text.
func (w *Webhook) parsedAny(in WebhookRequest) (any, error) {
	mediaType, _, _ := mime.ParseMediaType(in.Header.Get("Content-Type"))
	if len(bytes.TrimSpace(in.Body)) == 0 {
		return nil, w.wrong(ClassInvalid, "the delivery is empty")
	}
	if mediaType == "application/x-www-form-urlencoded" {
		form, err := url.ParseQuery(string(in.Body))
		if err != nil {
			return nil, w.wrong(ClassInvalid, "the delivery is no form")
		}
		if v, ok := soleJSON(form); ok { // JSON in the one field of a form
			return v, nil
		}
		m, err := nested(form)
		if err != nil {
			return nil, w.wrong(ClassInvalid, "the form cannot be read: "+err.Error())
		}
		return m, nil
	}
	v, err := decodeStrict(in.Body)
	switch {
	case err == nil:
		return v, nil
	case errors.Is(err, errDuplicateKey), errors.Is(err, errTooDeep):
		return nil, w.wrong(ClassInvalid, "the delivery is refused: "+err.Error())
	case strings.HasSuffix(mediaType, "json"), bytes.IndexByte([]byte("{["), bytes.TrimSpace(in.Body)[0]) >= 0:
		return nil, w.wrong(ClassInvalid, "the delivery is no JSON")
	}
	return cleaned(string(in.Body)), nil
}

// soleJSON is the object in the field payload of a form that has no other.
func soleJSON(form url.Values) (any, bool) {
	if len(form) != 1 || len(form["payload"]) != 1 {
		return nil, false
	}
	v, err := decodeStrict([]byte(form.Get("payload")))
	_, object := v.(map[string]any)
	return v, err == nil && object
}

func (w *Webhook) json(raw []byte) (any, error) {
	v, err := decodeStrict(raw)
	switch {
	case errors.Is(err, errDuplicateKey), errors.Is(err, errTooDeep):
		return nil, w.wrong(ClassInvalid, "the delivery is refused: "+err.Error())
	case err != nil:
		return nil, w.wrong(ClassInvalid, "the delivery is no JSON")
	}
	return v, nil
}

// Bounds of a form.
const (
	maxFormFields = 1000
	maxFormDepth  = 8
)

// nested reads names such as data[changedFields][0], as some vendors flatten
// what they would send as JSON. Numbered elements stay keyed by their number.
func nested(form url.Values) (map[string]any, error) {
	if len(form) > maxFormFields {
		return nil, errors.New("it has more than 1000 fields")
	}
	root := map[string]any{}
	for name, values := range form {
		path := fieldPath(cleaned(name))
		if len(path) > maxFormDepth {
			return nil, errors.New("a field's name nests deeper than 8 levels")
		}
		at := root
		for _, key := range path[:len(path)-1] {
			next, ok := at[key].(map[string]any)
			if !ok {
				if _, taken := at[key]; taken {
					return nil, errors.New("a field is both a value and an object")
				}
				next = map[string]any{}
				at[key] = next
			}
			at = next
		}
		last := path[len(path)-1]
		if _, taken := at[last]; taken {
			return nil, errors.New("a field is there twice")
		}
		if len(values) == 1 {
			at[last] = cleaned(values[0])
			continue
		}
		list := make([]any, len(values))
		for i, v := range values {
			list[i] = cleaned(v)
		}
		at[last] = list
	}
	return root, nil
}

// fieldPath is a[b][c] as a, b, c; any other name is itself.
func fieldPath(name string) []string {
	head, rest, ok := strings.Cut(name, "[")
	if !ok || head == "" || !strings.HasSuffix(rest, "]") {
		return []string{name}
	}
	path := append([]string{head}, strings.Split(strings.TrimSuffix(rest, "]"), "][")...)
	for _, p := range path[1:] {
		if p == "" || strings.ContainsAny(p, "[]") {
			return []string{name}
		}
	}
	return path
}
