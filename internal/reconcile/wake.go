// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
)

// InNamespace maps any object to the objects of one kind in its namespace, of
// which empty returns a list: to all, or to those that every one of concerns says
// it concerns.
func InNamespace(c client.Reader, empty func() client.ObjectList, concerns ...func(changed, woken client.Object) bool) handler.MapFunc {
	return func(ctx context.Context, obj client.Object) []ctrl.Request {
		list := empty()
		var out []ctrl.Request
		err := c.List(ctx, list, client.InNamespace(obj.GetNamespace()), client.UnsafeDisableDeepCopy)
		if err == nil {
			err = meta.EachListItem(list, func(item runtime.Object) error {
				woken, ok := item.(client.Object)
				if !ok {
					return fmt.Errorf("%T is no object", item)
				}
				for _, concern := range concerns {
					if !concern(obj, woken) {
						return nil
					}
				}
				out = append(out, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(woken)})
				return nil
			})
		}
		if err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "Could not list what a change concerns", "namespace", obj.GetNamespace())
			return nil
		}
		return out
	}
}
