// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"encoding/json"
	"errors"
	"fmt"
)

// MaxValueBytes is the largest Value, as compact JSON, that a controller acts on.
const MaxValueBytes = 16 << 10

// A schema cannot bound the size of a free value, so controllers check it and
// answer with reason ValueTooLarge. Decoding accepts more: one refused object
// must not stop the informer that lists the rest.

// Value is any JSON value of at most 16 KiB.
//
// +kubebuilder:validation:Type=""
// +kubebuilder:pruning:PreserveUnknownFields
type Value struct {
	// Raw is the JSON text. Empty means null.
	Raw []byte `json:"-"`
}

// NewValue encodes v.
func NewValue(v any) (Value, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return Value{}, fmt.Errorf("encode value: %w", err)
	}
	return Value{Raw: raw}, nil
}

// MarshalJSON returns the raw JSON text.
func (v Value) MarshalJSON() ([]byte, error) {
	if len(v.Raw) == 0 {
		return []byte("null"), nil
	}
	return v.Raw, nil
}

// UnmarshalJSON keeps a copy of data.
func (v *Value) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		v.Raw = nil
		return nil
	}
	v.Raw = append(v.Raw[:0:0], data...)
	return nil
}

// Decode parses the value into out, which must be a pointer. Numbers that land
// in an interface become float64, as in encoding/json.
func (v Value) Decode(out any) error {
	if len(v.Raw) == 0 {
		return json.Unmarshal([]byte("null"), out)
	}
	return json.Unmarshal(v.Raw, out)
}

// ErrValueTooLarge reports a Value over MaxValueBytes.
var ErrValueTooLarge = errors.New("value is larger than 16 KiB")

// Validate checks the size.
func (v Value) Validate() error {
	if len(v.Raw) > MaxValueBytes {
		return fmt.Errorf("%w: %d bytes", ErrValueTooLarge, len(v.Raw))
	}
	return nil
}
