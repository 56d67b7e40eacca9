// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package up

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// stop wraps an error that waiting cannot mend.
type stop struct{ error }

func (s stop) Unwrap() error { return s.error }

// poll asks until the answer is yes, the error is final or time is up; the
// last error is then the reason.
func poll(ctx context.Context, timeout time.Duration, ask func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var last error
	for {
		done, err := ask(ctx)
		if done && err == nil {
			return nil
		}
		var final stop
		if errors.As(err, &final) {
			return final.error
		}
		if err != nil && ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			if last == nil {
				last = ctx.Err()
			}
			return fmt.Errorf("waited %s: %w", timeout, last)
		case <-tick.C:
		}
	}
}

// condition returns a condition of status.conditions, or nil.
func condition(obj *unstructured.Unstructured, kind string) map[string]any {
	list, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	for _, c := range list {
		if m, ok := c.(map[string]any); ok && m["type"] == kind {
			return m
		}
	}
	return nil
}

func conditionStatus(obj *unstructured.Unstructured, kind string) string {
	s, _ := condition(obj, kind)["status"].(string)
	return s
}

// ready is true when Ready is True for the current generation.
func ready(obj *unstructured.Unstructured) bool {
	seen, _, _ := unstructured.NestedInt64(obj.Object, "status", "observedGeneration")
	return conditionStatus(obj, "Ready") == "True" && seen == obj.GetGeneration()
}

func conditionMessage(obj *unstructured.Unstructured) string {
	c := condition(obj, "Ready")
	if c == nil {
		return "not looked at yet"
	}
	return fmt.Sprintf("%v: %v", c["reason"], c["message"])
}
