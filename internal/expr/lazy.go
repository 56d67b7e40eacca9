// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// Lazy is a value of a variable that is had only when an expression asks for
// it, such as one that is sealed.
type Lazy interface {
	Open() (any, error)
}

// lazyAdapter opens lazy values wherever an expression comes to one.
type lazyAdapter struct{ types.Adapter }

// NativeToValue implements types.Adapter.
func (a lazyAdapter) NativeToValue(v any) ref.Val {
	switch x := v.(type) {
	case Lazy:
		opened, err := x.Open()
		if err != nil {
			return types.WrapErr(err)
		}
		return a.NativeToValue(opened)
	case map[string]any: // else its members would be adapted by the registry alone
		return types.NewStringInterfaceMap(a, x)
	case []any:
		return types.NewDynamicList(a, x)
	}
	return a.Adapter.NativeToValue(v)
}
