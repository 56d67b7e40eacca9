// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"k8s.io/utils/ptr"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

// Defaults of an Integration's times; the API documents them.
const (
	defaultInterval      = time.Hour
	defaultRetryInterval = 5 * time.Minute
	defaultTimeout       = 6 * time.Hour
	defaultRetainFor     = 30 * 24 * time.Hour
)

// specOf turns the resource into what is handed over, with defaults applied.
func specOf(obj *v1alpha1.Integration) (handover.Spec, error) {
	s := obj.Spec
	out := handover.Spec{
		Namespace: obj.Namespace, Connector: s.Connector, DisplayName: s.DisplayName,
		Permission: string(cmp.Or(s.Permission, v1alpha1.PermissionRead)), AcceptPartial: s.AcceptPartial,
		ShrinkMinItems: model.DefaultShrinkGuard.MinItems, ShrinkMaxPercent: model.DefaultShrinkGuard.MaxPercent,
		AcceptAccount: obj.Annotations[v1alpha1.AcceptAccountAnnotation], Suspended: s.Suspend,
	}
	if s.ConnectorRef != nil {
		out.ConnectorRef = string(s.ConnectorRef.Name)
	}
	if s.CredentialsRef != nil {
		out.SecretName = string(s.CredentialsRef.Name)
	}
	for _, a := range s.DestructiveActions {
		out.DestructiveActions = append(out.DestructiveActions, string(a))
	}
	for _, t := range s.DataTypes {
		out.DataTypes = append(out.DataTypes, model.DataType(t))
	}
	slices.Sort(out.DestructiveActions)
	slices.Sort(out.DataTypes)
	if g := s.ShrinkGuard; g != nil {
		out.ShrinkMinItems = int(ptr.Deref(g.MinItems, int32(out.ShrinkMinItems)))
		out.ShrinkMaxPercent = int(ptr.Deref(g.MaxPercent, int32(out.ShrinkMaxPercent)))
	}
	if s.ReservePercent != nil {
		out.ReservePercent = ptr.To(int(*s.ReservePercent))
	}
	if err := setTimes(&out, s); err != nil {
		return out, err
	}
	return out, setConfig(&out, s.Config)
}

func setTimes(out *handover.Spec, s v1alpha1.IntegrationSpec) error {
	for _, f := range []struct {
		path    string
		value   v1alpha1.Duration
		unset   time.Duration
		setting *time.Duration
	}{
		{"spec.interval", s.Interval, defaultInterval, &out.Interval},
		{"spec.retryInterval", s.RetryInterval, defaultRetryInterval, &out.RetryInterval},
		{"spec.timeout", s.Timeout, defaultTimeout, &out.Timeout},
	} {
		*f.setting = f.unset
		if f.value == "" {
			continue
		}
		d, err := f.value.Parse()
		if err != nil {
			return reconcile.Stalling(v1alpha1.ReasonInvalidSpec, "%s: %v", f.path, err)
		}
		*f.setting = d
	}
	retain, err := days(s.RetainFor)
	if err != nil {
		return err
	}
	out.RetainFor = retain
	return nil
}

// days reads retainFor.
func days(v v1alpha1.DaysOrNone) (time.Duration, error) {
	if v == "" {
		return defaultRetainFor, nil
	}
	n, err := v.Count()
	if err != nil {
		return 0, reconcile.Stalling(v1alpha1.ReasonInvalidSpec, "spec.retainFor: %v", err)
	}
	return time.Duration(n) * 24 * time.Hour, nil
}

func setConfig(out *handover.Spec, config map[string]v1alpha1.Value) error {
	if len(config) == 0 {
		return nil
	}
	out.Config = make(map[string]any, len(config))
	for k, v := range config {
		if err := v.Validate(); err != nil {
			return reconcile.Stalling(v1alpha1.ReasonValueTooLarge, "spec.config.%s: %v", k, err)
		}
		var decoded any
		if err := v.Decode(&decoded); err != nil {
			return reconcile.Stalling(v1alpha1.ReasonInvalidConfig, "spec.config.%s: %v", k, err)
		}
		out.Config[k] = decoded
	}
	return nil
}

// checkAgainst compares what the spec names with what the connector has.
func checkAgainst(obj *v1alpha1.Integration, c Connector) *handover.Problem {
	for _, t := range obj.Spec.DataTypes {
		if !slices.Contains(c.DataTypes, model.DataType(t)) {
			return &handover.Problem{Reason: v1alpha1.ReasonDataTypeUnsupported, Message: fmt.Sprintf(
				"spec.dataTypes: connector %s has no %q; it has %s", c.Name, t, reconcile.List(texts(c.DataTypes), 16))}
		}
	}
	for _, a := range obj.Spec.DestructiveActions {
		if !slices.Contains(c.Actions, string(a)) {
			return &handover.Problem{Reason: v1alpha1.ReasonActionUnsupported, Message: fmt.Sprintf(
				"spec.destructiveActions: connector %s has no action %q; it has %s", c.Name, a, reconcile.List(c.Actions, 32))}
		}
	}
	return nil
}

// checkSiblings finds an older Integration that has the connector's one
// account, or the very account that this one reaches.
func checkSiblings(obj *v1alpha1.Integration, c Connector, all []v1alpha1.Integration) *handover.Problem {
	for i := range all {
		o := &all[i]
		if o.Name == obj.Name || connectorOf(o) != connectorOf(obj) || !older(o, obj) {
			continue
		}
		if !c.MultiAccount {
			return &handover.Problem{Reason: v1alpha1.ReasonSingleAccountConnector, Message: fmt.Sprintf(
				"connector %s connects one account only, and the older Integration %q has it; delete one of the two", c.Name, o.Name)}
		}
		if obj.Status.Account != nil && o.Status.Account != nil && obj.Status.Account.ID == o.Status.Account.ID {
			return &handover.Problem{Reason: v1alpha1.ReasonAccountAlreadyConnected, Message: fmt.Sprintf(
				"the older Integration %q is connected to the same remote account %s; delete one of the two", o.Name, o.Status.Account.ID)}
		}
	}
	return nil
}

func connectorOf(i *v1alpha1.Integration) string {
	if i.Spec.ConnectorRef != nil {
		return "ref/" + string(i.Spec.ConnectorRef.Name)
	}
	return i.Spec.Connector
}

func older(a, b *v1alpha1.Integration) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.Name < b.Name
}

func texts[T ~string](in []T) []string {
	out := make([]string, len(in))
	for i, v := range in {
		out[i] = string(v)
	}
	return out
}
