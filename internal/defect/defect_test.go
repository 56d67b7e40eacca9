// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package defect_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/defect"
)

func TestGuard(t *testing.T) {
	plain := errors.New("plain")
	if err := defect.Guard(func() error { return plain }); !errors.Is(err, plain) || defect.Is(err) || len(defect.Attrs(err)) != 2 {
		t.Errorf("an error comes back as %v", err)
	}
	var none []string
	for what, c := range map[string]struct {
		fn   func() error
		want string
	}{
		"the runtime":      {func() error { return errors.New(none[3]) }, "index out of range [3]"},
		"text of somebody": {func() error { panic("ada@acme.example is odd") }, "string"},
		"a wrapped error":  {func() error { panic(fmt.Errorf("ada@acme.example: %w", plain)) }, "*fmt.wrapError"},
	} {
		err := fmt.Errorf("tenant 4: %w", defect.Guard(c.fn))
		logged := fmt.Sprint(defect.Attrs(err)...)
		if !defect.Is(err) || !strings.Contains(logged, c.want) || !strings.Contains(logged, "defect_test.go") || strings.Contains(logged, "ada@") {
			t.Errorf("%s: logged as %s", what, logged)
		}
	}
}
