// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import "reflect"

// values carries add or replace out on a multi-valued attribute as a whole. One
// value may stand without a list around it.
func (a *applier) values(op OpKind, ref Ref, value any) error {
	raw, ok := value.([]any)
	if !ok {
		raw = []any{value}
	}
	list, err := a.decoder.elements("", ref.Attr, raw)
	if err != nil {
		return err
	}
	if op == OpReplace {
		return a.settle(ref, list, all(len(list)))
	}
	have, _ := a.get(ref).([]any)
	list, written := appendNew(have, list)
	return a.settle(ref, list, written)
}

func all(n int) map[int]bool {
	out := make(map[int]bool, n)
	for i := range n {
		out[i] = true
	}
	return out
}

// sameness is what makes two values of a multi-valued attribute the same to add:
// the value and its type. A postal address has no value; it is the same only as
// a whole.
type sameness struct{ value, kind string }

// appendNew appends what have does not hold yet. What is there with the same
// value and type takes over what else is given. It says which were written.
func appendNew(have, more []any) ([]any, map[int]bool) {
	at := make(map[sameness]int, len(have)+len(more))
	out, written := make([]any, 0, len(have)+len(more)), map[int]bool{}
	key := func(v any) (sameness, bool) {
		o, _ := v.(Object)
		value, ok := o["value"].(string)
		kind, _ := o["type"].(string)
		return sameness{value, Fold(kind)}, ok
	}
	for i, v := range have {
		out = append(out, v)
		if k, ok := key(v); ok {
			at[k] = i
		}
	}
	for _, v := range more {
		k, ok := key(v)
		i, found := at[k]
		if !ok || !found {
			if ok {
				at[k] = len(out)
			}
			written[len(out)] = true
			out = append(out, v)
			continue
		}
		merged := cloneObject(out[i].(Object))
		for name, e := range v.(Object) {
			merged[name] = e
		}
		merged["type"] = out[i].(Object)["type"]
		if merged["type"] == nil {
			delete(merged, "type")
		}
		out[i] = merged
		written[i] = true
	}
	return out, written
}

// settle stores the values of a multi-valued attribute after some were written:
// a value that was made primary takes that from the others.
func (a *applier) settle(ref Ref, list []any, written map[int]bool) error {
	primaries := 0
	for i, v := range list {
		if o, _ := v.(Object); written[i] && o["primary"] == true {
			primaries++
		}
	}
	if primaries > 1 {
		return badRequest(InvalidValue, "%s has more than one primary value.", ref.Attr.Name)
	}
	kept := make([]any, 0, len(list))
	for i, v := range list {
		o, ok := v.(Object)
		if primaries == 1 && ok && !written[i] && o["primary"] == true {
			o = cloneObject(o)
			o["primary"] = false
			v = o
		}
		if !isEmpty(v) {
			kept = append(kept, v)
		}
	}
	kept = distinct(ref.Attr, kept)
	if len(kept) > MaxValues {
		return badRequest(InvalidValue, "%s has more than %d values.", ref.Attr.Name, MaxValues)
	}
	whole := ref
	whole.Sub = nil
	a.out.assign(whole, kept)
	return nil
}

// elements carries an operation out on the elements that a filter selects, or on
// one sub-attribute of all elements.
func (a *applier) elements(op Operation) error {
	ref := op.Path.Attr
	whole := ref
	whole.Sub = nil
	have, _ := a.get(whole).([]any)
	list := cloneValue(have).([]any)
	selected := map[int]bool{}
	for i, v := range list {
		o, _ := v.(Object)
		if op.Path.Filter == nil || (scope{at: o, folds: a.folds}).match(op.Path.Filter) {
			selected[i] = true
		}
	}
	if op.Op == OpRemove {
		return a.removeSelected(op, list, selected)
	}
	if op.Value == nil && op.Op == OpAdd {
		return nil
	}
	if len(selected) == 0 {
		doc, ok := template(op.Path.Filter)
		if !ok || !a.patch.dialect.CreateUnmatched {
			return badRequest(NoTarget, "No value of %s is selected by the path.", ref.Attr.Name)
		}
		made, err := a.decoder.single("", ref.Attr, doc)
		if err != nil {
			return err
		}
		selected[len(list)] = true
		list = append(list, made)
	}
	for i := range list {
		if !selected[i] {
			continue
		}
		o, _ := list[i].(Object)
		v, err := a.element(op, ref, o)
		if err != nil {
			return err
		}
		list[i] = v
	}
	return a.settle(ref, list, selected)
}

// element is what add or replace makes of one selected element.
func (a *applier) element(op Operation, ref Ref, have Object) (Object, error) {
	prefix := ref.Attr.Name + "."
	if ref.Sub != nil {
		v, err := a.decoder.single(prefix, ref.Sub, op.Value)
		if err != nil {
			return nil, err
		}
		if isEmpty(v) {
			delete(have, ref.Sub.Name)
		} else {
			have[ref.Sub.Name] = v
		}
		return have, nil
	}
	if op.Value == nil {
		return Object{}, nil
	}
	doc, ok := op.Value.(map[string]any)
	if !ok {
		return nil, badRequest(InvalidValue, "One value of %s is an object.", ref.Attr.Name)
	}
	if op.Op == OpAdd {
		return a.mergeInto(ref.Attr, have, doc)
	}
	return a.decoder.object(prefix, ref.Attr.Sub, doc)
}

// removeSelected removes elements, or one sub-attribute of each.
func (a *applier) removeSelected(op Operation, list []any, selected map[int]bool) error {
	ref := op.Path.Attr
	if op.Value != nil {
		return badRequest(InvalidValue, "The path says which values of %s to remove: send no value beside it.", ref.Attr.Name)
	}
	if len(selected) == 0 {
		return nil
	}
	for i, v := range list {
		switch o, _ := v.(Object); {
		case !selected[i]:
		case ref.Sub != nil:
			delete(o, ref.Sub.Name)
		default:
			list[i] = Object{}
		}
	}
	whole := ref
	whole.Sub = nil
	if left := nonEmpty(list); len(left) > 0 || !ref.Attr.Required {
		return a.settle(ref, left, nil)
	}
	return badRequest(Mutability, "%s is required and cannot be removed.", whole)
}

func nonEmpty(list []any) []any {
	out := make([]any, 0, len(list))
	for _, v := range list {
		if !isEmpty(v) {
			out = append(out, v)
		}
	}
	return out
}

// removeListed removes the values that a remove names in its value. An entry
// means each value that has all that the entry says; one that says nothing means
// none.
func (a *applier) removeListed(ref Ref, value any) error {
	if !ref.Attr.MultiValued {
		return badRequest(InvalidValue, "%s has one value: remove it without naming it.", ref)
	}
	entries, err := listed(ref.Attr, value)
	if err != nil {
		return err
	}
	have, _ := a.get(ref).([]any)
	left := make([]any, 0, len(have))
	for _, v := range have {
		if o, _ := v.(Object); !named(ref.Attr, entries, o) {
			left = append(left, v)
		}
	}
	if len(left) == 0 && ref.Attr.Required {
		return badRequest(Mutability, "%s is required and cannot be removed.", ref)
	}
	return a.settle(ref, left, nil)
}

// listed reads the entries of a remove; one may stand without a list around it.
func listed(attr *Attribute, value any) ([]Object, error) {
	raw, ok := value.([]any)
	if !ok {
		raw = []any{value}
	}
	if len(raw) > MaxValues {
		return nil, tooLarge("An operation names at most %d values: send the rest in another.", MaxValues)
	}
	var out []Object
	for _, e := range raw {
		doc, ok := e.(map[string]any)
		if !ok {
			return nil, badRequest(InvalidValue, "What to remove from %s is a list of objects.", attr.Name)
		}
		entry := Object{}
		for name, v := range doc {
			if sub := attr.Sub(name); sub != nil && v != nil && sub.Mutability != ReadOnly {
				entry[sub.Name] = v
			}
		}
		if len(entry) > 0 {
			out = append(out, entry)
		}
	}
	return out, nil
}

// named reports whether one of the entries means the element.
func named(attr *Attribute, entries []Object, o Object) bool {
	for _, entry := range entries {
		means := true
		for name, want := range entry {
			have := o[name]
			a, okA := have.(string)
			b, okB := want.(string)
			same := reflect.DeepEqual(have, want) || okA && okB && !attr.Sub(name).CaseExact && Fold(a) == Fold(b)
			means = means && same
		}
		if means {
			return true
		}
	}
	return false
}

// template is the element that a filter describes, where it is nothing but
// equalities: type eq "home" is {"type": "home"}.
func template(filter Expr) (map[string]any, bool) {
	terms := []Expr{filter}
	if and, ok := filter.(*And); ok {
		terms = and.Terms
	}
	out := map[string]any{}
	for _, t := range terms {
		c, ok := t.(*Compare)
		if !ok || c.Op != OpEq || c.Attr.Attr.Mutability == ReadOnly {
			return nil, false
		}
		name := c.Attr.Attr.Name
		if _, twice := out[name]; twice {
			return nil, false
		}
		switch c.Value.Kind {
		case LiteralString, LiteralTime:
			out[name] = c.Value.Text
		case LiteralBool:
			out[name] = c.Value.Bool
		case LiteralNumber:
			out[name] = c.Value.Number
		default:
			return nil, false
		}
	}
	return out, true
}
