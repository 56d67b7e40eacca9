// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
)

// InNamespace maps any object to every object of one kind in its namespace, of
// which empty returns a list.
func InNamespace(c client.Reader, empty func() client.ObjectList) handler.MapFunc {
	return func(ctx context.Context, obj client.Object) []ctrl.Request {
		list := empty()
		var out []ctrl.Request
		err := c.List(ctx, list, client.InNamespace(obj.GetNamespace()), client.UnsafeDisableDeepCopy)
		if err == nil {
			err = meta.EachListItem(list, func(item runtime.Object) error {
				m, err := meta.Accessor(item)
				if err == nil {
					out = append(out, ctrl.Request{NamespacedName: client.ObjectKey{Namespace: m.GetNamespace(), Name: m.GetName()}})
				}
				return err
			})
		}
		if err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "Could not list what a change concerns", "namespace", obj.GetNamespace())
			return nil
		}
		return out
	}
}
