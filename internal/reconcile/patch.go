// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
)

const patchAttempts = 3

// patchStatus writes what the pass changed in the status, in one patch that
// fails if somebody else wrote meanwhile; then it lays our conditions over
// theirs and tries again. held > 0 says that the write is due only later.
func (l *Loop[T]) patchStatus(ctx context.Context, before, after T) (held time.Duration, err error) {
	owned := ownedSet(l.Owned)
	conditions := mergeConditions(before.GetCommonStatus().Conditions, after.GetCommonStatus().Conditions, owned)
	after.GetCommonStatus().Conditions = conditions

	changes, err := statusChanges(before, after)
	if err != nil || changes == nil {
		return 0, err
	}
	urgent := urgentChange(before.GetCommonStatus(), after.GetCommonStatus(), l.Calm)
	key := client.ObjectKeyFromObject(after)
	if held = l.Env.Writes.hold(l.Kind, key, l.Env.Time().Now(), urgent); held > 0 {
		return held, nil
	}
	if err := l.Env.Writes.wait(ctx); err != nil {
		return 0, err
	}
	if err := l.sendStatus(ctx, before, after, changes, owned); err != nil {
		return 0, err
	}
	l.Env.Writes.wrote(l.Kind, key, l.Env.Time().Now())
	return 0, nil
}

func (l *Loop[T]) sendStatus(ctx context.Context, before, after T, changes map[string]any, owned map[string]bool) error {
	version, conditions := before.GetResourceVersion(), after.GetCommonStatus().Conditions
	_, conditionsChanged := changes["conditions"]
	for attempt := 1; ; attempt++ {
		if conditionsChanged {
			changes["conditions"] = conditions
		}
		body, err := json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": version}, "status": changes})
		if err != nil {
			return fmt.Errorf("encode status patch: %w", err)
		}
		target := after.DeepCopyObject().(T) // the answer must not overwrite what events compare
		err = l.Env.Client.Status().Patch(ctx, target, client.RawPatch(types.MergePatchType, body))
		if err == nil {
			after.SetResourceVersion(target.GetResourceVersion())
			return nil
		}
		if !apierrors.IsConflict(err) || attempt == patchAttempts {
			return fmt.Errorf("patch status of %s %s: %w", l.Kind, client.ObjectKeyFromObject(after), err)
		}
		latest := l.New()
		if err := l.Env.Client.Get(ctx, client.ObjectKeyFromObject(after), latest); err != nil {
			return fmt.Errorf("read %s again: %w", l.Kind, err)
		}
		if latest.GetGeneration() != after.GetGeneration() || latest.GetResourceVersion() == version {
			return err // what we computed is of an older spec, or the cache is behind: come again
		}
		version = latest.GetResourceVersion()
		conditions = mergeConditions(latest.GetCommonStatus().Conditions, after.GetCommonStatus().Conditions, owned)
	}
}

// statusChanges is the JSON merge patch between the two statuses, nil if they
// say the same.
func statusChanges(before, after client.Object) (map[string]any, error) {
	data, err := client.MergeFrom(before).Data(after)
	if err != nil {
		return nil, fmt.Errorf("compare status: %w", err)
	}
	var patch struct {
		Status map[string]any `json:"status"`
	}
	if err := json.Unmarshal(data, &patch); err != nil {
		return nil, fmt.Errorf("compare status: %w", err)
	}
	if len(patch.Status) == 0 {
		return nil, nil
	}
	return patch.Status, nil
}

// conditionsDiffer compares what a person would notice at once.
func conditionsDiffer(a, b []metav1.Condition, calm []string) bool {
	type view struct{ Status, Reason string }
	views := func(list []metav1.Condition) map[string]view {
		m := map[string]view{}
		for _, c := range list {
			switch {
			case slices.Contains(calm, c.Type):
			case len(calm) > 0 && c.Type == v1alpha1.ConditionReady && c.Status == metav1.ConditionTrue:
				m[c.Type] = view{Status: string(c.Status)}
			default:
				m[c.Type] = view{string(c.Status), c.Reason}
			}
		}
		return m
	}
	return !equality.Semantic.DeepEqual(views(a), views(b))
}
