// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// OpKind is what an operation of a PATCH does.
type OpKind string

// The operations of RFC 7644 section 3.5.2.
const (
	OpAdd     OpKind = "add"
	OpRemove  OpKind = "remove"
	OpReplace OpKind = "replace"
)

// Operation is one operation of a PATCH.
type Operation struct {
	Op OpKind
	// Path is nil where Value says which attributes are meant.
	Path *Path
	// Value is the JSON value as ParseJSON gives it; nil where there is none.
	Value any
}

// Patch is a request to change a resource.
type Patch struct {
	Operations []Operation
	rt         *ResourceType
	dialect    Dialect
}

// PatchResult is what a PATCH leads to.
type PatchResult struct {
	// Resource is the changed copy.
	Resource *Resource
	// Changed names the attributes that differ, as Diff does. Without any, and
	// without an effective change of members, lastModified stays.
	Changed []string
	// Members is what becomes of the members of a Group; nil where the
	// operations leave them alone.
	Members *MemberDelta
}

// ParsePatch reads the body of a PATCH. What can be refused without the
// resource is refused here.
func ParsePatch(rt *ResourceType, doc map[string]any, dialect Dialect) (*Patch, error) {
	if err := checkSchemas(doc, PatchOpURN, dialect); err != nil {
		return nil, err
	}
	raw, err := member(doc, "Operations")
	if err != nil {
		return nil, err
	}
	list, ok := raw.([]any)
	switch {
	case raw == nil && dialect.EmptyOperations:
	case !ok:
		return nil, badRequest(InvalidSyntax, "Operations is a list of operations.")
	case len(list) == 0 && !dialect.EmptyOperations:
		return nil, badRequest(InvalidSyntax, "Operations is empty.")
	case len(list) > MaxOperations:
		return nil, tooLarge("A PATCH has at most %d operations: send the rest in another.", MaxOperations)
	}
	p := &Patch{rt: rt, dialect: dialect, Operations: make([]Operation, 0, len(list))}
	terms := 0
	for i, v := range list {
		op, err := p.operation(v)
		if err != nil {
			return nil, inOperation(i, err)
		}
		if op.Path != nil {
			terms += op.Path.terms
		}
		p.Operations = append(p.Operations, op)
	}
	if terms > MaxPatchTerms {
		return nil, badRequest(InvalidFilter, "The paths of a PATCH have at most %d comparisons.", MaxPatchTerms)
	}
	return p, nil
}

// member finds a member of an object by its name in any case.
func member(doc map[string]any, name string) (any, error) {
	var out any
	found := false
	for key, v := range doc {
		if !strings.EqualFold(key, name) {
			continue
		}
		if found {
			return nil, badRequest(InvalidSyntax, "%s stands twice, in different spelling.", name)
		}
		out, found = v, true
	}
	return out, nil
}

// inOperation says which operation a refusal is about.
func inOperation(i int, err error) error {
	e, ok := AsError(err)
	if !ok {
		return err
	}
	located := badRequest(e.Type, "Operations[%d]: %s", i, e.Detail)
	located.Status = e.Status
	return located
}

func (p *Patch) operation(raw any) (Operation, error) {
	doc, ok := raw.(map[string]any)
	if !ok {
		return Operation{}, badRequest(InvalidSyntax, "An operation is an object.")
	}
	var parts [3]any
	for i, name := range []string{"op", "path", "value"} {
		var err error
		if parts[i], err = member(doc, name); err != nil {
			return Operation{}, err
		}
	}
	name, _ := parts[0].(string)
	op := Operation{Op: OpKind(strings.ToLower(name)), Value: parts[2]}
	switch op.Op {
	case OpAdd, OpRemove, OpReplace:
	default:
		return op, badRequest(InvalidSyntax, "op is add, remove or replace.")
	}
	if parts[1] != nil {
		text, ok := parts[1].(string)
		if !ok {
			return op, badRequest(InvalidPath, "path is a string.")
		}
		var err error
		if op.Path, err = ParsePath(p.rt, text, p.dialect); err != nil {
			return op, err
		}
	}
	return op, p.checkOperation(op, doc)
}

// checkOperation refuses what no resource would make right.
func (p *Patch) checkOperation(op Operation, doc map[string]any) error {
	if op.Op == OpRemove {
		switch {
		case op.Path == nil:
			return badRequest(NoTarget, "remove needs a path.")
		case op.Value != nil && !p.dialect.RemoveListed:
			return badRequest(InvalidValue, "remove takes no value: select what to remove with a filter in the path.")
		}
	} else if !slices.ContainsFunc(slices.Collect(maps.Keys(doc)), func(k string) bool { return strings.EqualFold(k, "value") }) {
		return badRequest(InvalidValue, "%s needs a value.", op.Op)
	}
	values := op.Value
	if op.Path == nil {
		doc, ok := op.Value.(map[string]any)
		if !ok {
			return badRequest(InvalidValue, "Without a path, value is an object of attributes.")
		}
		values = nil
		for name, v := range doc {
			if a := p.rt.Attribute(name); a != nil && a.External {
				values = v
			}
		}
	} else if a := op.Path.Attr.Attr; a == nil || !a.External {
		return nil
	}
	most := MaxMembersPerOperation
	if op.Op == OpReplace {
		most = MaxMembersReplaced
	}
	if list, ok := values.([]any); ok && len(list) > most {
		return tooLarge("An operation names at most %d members: send the rest in another.", most)
	}
	return nil
}

// Apply carries the operations out, in order, on a copy of stored: an error
// leaves nothing changed. Members are answered as a delta; read may be nil where
// the resource has none, and is asked only as MemberReader says.
func (p *Patch) Apply(stored *Resource, read MemberReader) (*PatchResult, error) {
	a := &applier{
		out: stored.Clone(), patch: p, read: read,
		decoder: decoder{dialect: p.dialect}, folds: folds{},
	}
	for i, op := range p.Operations {
		if err := a.apply(op); err != nil {
			return nil, inOperation(i, err)
		}
	}
	if err := a.check(stored); err != nil {
		return nil, err
	}
	return &PatchResult{Resource: a.out, Changed: Diff(stored, a.out), Members: a.members.delta()}, nil
}

// applier carries out the operations of one PATCH.
type applier struct {
	patch   *Patch
	decoder decoder
	out     *Resource
	members memberSet
	read    MemberReader
	folds   folds
}

// check wants the end of all operations to be a resource that could be created.
func (a *applier) check(stored *Resource) error {
	if err := checkRequired(a.out); err != nil {
		return err
	}
	text, err := a.out.MarshalJSON()
	if err != nil {
		return err
	}
	if len(text) > MaxResourceSize {
		return tooLarge("A %s is at most %d bytes of JSON.", stored.Type.Name, MaxResourceSize)
	}
	for _, name := range Diff(stored, a.out) {
		ref, _ := a.out.Type.Resolve(name)
		if ref.Attr == nil || !ref.Attr.MultiValued {
			continue
		}
		list, _ := a.out.Get(name).([]any)
		if err := a.decoder.checkValues("", ref.Attr, list); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) apply(op Operation) error {
	if op.Path == nil {
		return a.merge(op)
	}
	ref := op.Path.Attr
	switch {
	case ref.Attr == nil:
		return a.extension(op, ref.Extension, op.Value)
	case ref.Attr.Mutability == ReadOnly || ref.Sub != nil && ref.Sub.Mutability == ReadOnly:
		return badRequest(Mutability, "%s is read only.", ref)
	case ref.Attr.External:
		return a.external(op)
	case op.Path.Filter != nil || ref.Sub != nil && ref.Attr.MultiValued:
		return a.elements(op)
	case ref.Sub != nil:
		return a.subAttribute(op)
	}
	return a.attribute(op.Op, ref, op.Value)
}

// merge carries out an operation without a path: its value has the attributes.
func (a *applier) merge(op Operation) error {
	doc, _ := op.Value.(map[string]any)
	return a.each(doc, func(name string, value any) error {
		if ext := a.out.Type.Extension(name); ext != nil {
			return a.extension(op, ext, value)
		}
		attr := a.out.Type.Attribute(name)
		switch {
		case attr == nil, attr.Name == "schemas":
			return nil
		case attr.Mutability == ReadOnly:
			return badRequest(Mutability, "%s is read only.", attr.Name)
		case attr.External:
			return a.external(Operation{Op: op.Op, Path: &Path{Attr: Ref{Attr: attr}}, Value: value})
		}
		return a.attribute(op.Op, Ref{Attr: attr}, value)
	})
}

// extension carries an operation out on a whole extension.
func (a *applier) extension(op Operation, ext *Schema, value any) error {
	if op.Op == OpRemove || op.Op == OpReplace && value == nil {
		delete(a.out.Attributes, ext.ID)
		return nil
	}
	if value == nil {
		return nil
	}
	doc, ok := value.(map[string]any)
	if !ok {
		return badRequest(InvalidValue, "%s is an object.", ext.ID)
	}
	return a.each(doc, func(name string, value any) error {
		attr := ext.Attribute(name)
		if attr == nil {
			return nil
		}
		return a.attribute(op.Op, Ref{Extension: ext, Attr: attr}, value)
	})
}

// each visits the members of an object in the order of their names, and refuses
// one name in two spellings.
func (a *applier) each(doc map[string]any, visit func(string, any) error) error {
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(doc)) {
		if seen[Fold(name)] {
			return badRequest(InvalidSyntax, "A name stands twice, in different spelling.")
		}
		seen[Fold(name)] = true
		if err := visit(name, doc[name]); err != nil {
			return err
		}
	}
	return nil
}

// attribute carries an operation out on an attribute as a whole.
func (a *applier) attribute(op OpKind, ref Ref, value any) error {
	attr := ref.Attr
	switch {
	case op == OpRemove && value != nil:
		return a.removeListed(ref, value)
	case op == OpRemove && attr.Required:
		return badRequest(Mutability, "%s is required and cannot be removed.", ref)
	case op == OpRemove || op == OpReplace && value == nil:
		return a.set(ref, nil)
	case value == nil:
		return nil
	case attr.MultiValued:
		return a.values(op, ref, value)
	case attr.Type == TypeComplex:
		return a.complex(ref, value)
	}
	v, err := a.decoder.single("", attr, value)
	if err != nil || !attr.Stored() {
		return err
	}
	return a.set(ref, v)
}

// set assigns a value, but not another to an immutable attribute.
func (a *applier) set(ref Ref, value any) error {
	if ref.Leaf().Mutability == Immutable {
		if old := a.get(ref); old != nil && !reflect.DeepEqual(old, value) {
			return badRequest(Mutability, "%s cannot be changed.", ref)
		}
	}
	a.out.assign(ref, value)
	return nil
}

func (a *applier) get(ref Ref) any { return a.out.Get(ref.String()) }

// complex merges an object into a complex attribute. replace does the same: the
// sub-attributes that are not named stay (RFC 7644 section 3.5.2.3).
func (a *applier) complex(ref Ref, value any) error {
	doc, ok := value.(map[string]any)
	if !ok {
		return badRequest(InvalidValue, "%s is an object.", ref)
	}
	have, _ := a.get(ref).(Object)
	merged, err := a.mergeInto(ref.Attr, have, doc)
	if err != nil {
		return err
	}
	return a.set(ref, merged)
}

// mergeInto is have with the sub-attributes of doc; null unassigns one.
func (a *applier) mergeInto(attr *Attribute, have Object, doc map[string]any) (Object, error) {
	add, err := a.decoder.object(attr.Name+".", attr.Sub, doc)
	if err != nil {
		return nil, err
	}
	out := cloneObject(have)
	for name, v := range doc {
		if sub := attr.Sub(name); sub != nil && v == nil && sub.Mutability != ReadOnly {
			delete(out, sub.Name)
		}
	}
	maps.Copy(out, add)
	for _, sub := range attr.SubAttributes {
		if old := have[sub.Name]; sub.Mutability == Immutable && old != nil && !reflect.DeepEqual(old, out[sub.Name]) {
			return nil, badRequest(Mutability, "%s.%s cannot be changed.", attr.Name, sub.Name)
		}
	}
	return out, nil
}

// subAttribute carries an operation out on one sub-attribute of a complex attribute.
func (a *applier) subAttribute(op Operation) error {
	ref := op.Path.Attr
	if op.Op == OpAdd && op.Value == nil {
		return nil
	}
	if op.Op == OpRemove && op.Value != nil {
		return badRequest(InvalidValue, "%s has one value: remove it without naming it.", ref)
	}
	v, err := a.decoder.single(ref.Attr.Name+".", ref.Sub, op.Value)
	if err != nil {
		return err
	}
	return a.set(ref, v)
}
