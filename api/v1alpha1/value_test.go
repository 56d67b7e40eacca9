// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestValueKeepsItsText(t *testing.T) {
	for _, text := range []string{`"a"`, `12345678901234567890`, `1.50`, `true`, `[1,{"a":null}]`, `{"b":{},"a":[]}`} {
		var v Value
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		copied := *v.DeepCopy()
		v.Raw[0] = '!'
		out, err := json.Marshal(copied)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if string(out) != text {
			t.Errorf("%s became %s", text, out)
		}
	}
}

func TestValueNull(t *testing.T) {
	var holder struct {
		Values map[string]Value `json:"values"`
	}
	if err := json.Unmarshal([]byte(`{"values":{"a":null}}`), &holder); err != nil {
		t.Fatal(err)
	}
	if v, ok := holder.Values["a"]; !ok || len(v.Raw) != 0 {
		t.Errorf("null was decoded to %q, present %t; want an empty value that is present", v.Raw, ok)
	}
	var out any = "untouched"
	if err := holder.Values["a"].Decode(&out); err != nil || out != nil {
		t.Errorf("null decodes to %v, %v; want nil", out, err)
	}
	if raw, err := json.Marshal(Value{}); err != nil || string(raw) != "null" {
		t.Errorf("the zero value is written as %s, %v; want null", raw, err)
	}
}

func TestValueSize(t *testing.T) {
	fits, err := NewValue(strings.Repeat("a", MaxValueBytes-2))
	if err != nil {
		t.Fatal(err)
	}
	if err := fits.Validate(); err != nil {
		t.Errorf("a value of %d bytes: %v", len(fits.Raw), err)
	}
	large, err := NewValue(strings.Repeat("a", MaxValueBytes-1))
	if err != nil {
		t.Fatal(err)
	}
	if err := large.Validate(); !errors.Is(err, ErrValueTooLarge) {
		t.Errorf("a value of %d bytes: error %v; want %v", len(large.Raw), err, ErrValueTooLarge)
	}
	if _, err := NewValue(make(chan int)); err == nil {
		t.Error("a channel was encoded")
	}
}
