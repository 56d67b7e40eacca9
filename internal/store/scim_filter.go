// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/scim"
)

// scimField is where an attribute is in SQL. Text of the client is never part
// of a statement: names come from the closed tables of scim_index.go, values are
// parameters.
type scimField struct {
	// expr is a column; NULL where the attribute has no value.
	expr string
	leaf *scim.Attribute
	// constant is the value of an attribute that is the same for all.
	constant string
}

// scimFilter compiles one filter. Every condition that it makes is true or
// false, never NULL, so that "not" means the same as in scim.Match.
type scimFilter struct {
	rt    *scim.ResourceType
	strFn string // finds a string in another: instr or strpos
	args  []any
	// alias of the resource's table.
	alias string
}

func (f *scimFilter) arg(v any) string {
	f.args = append(f.args, v)
	return fmt.Sprintf("$%d", len(f.args))
}

// unfiltered refuses an attribute that has no column.
func unfiltered(ref scim.Ref) error {
	return &scim.Error{Status: http.StatusBadRequest, Type: scim.InvalidFilter, Detail: fmt.Sprintf("%s cannot be filtered by here.", ref)}
}

func unsorted(ref scim.Ref) error {
	return &scim.Error{Status: http.StatusBadRequest, Type: scim.InvalidValue, Detail: fmt.Sprintf("sortBy: %s cannot be sorted by here.", ref)}
}

// where compiles a filter over the resource.
func (f *scimFilter) where(e scim.Expr) (string, error) {
	switch e := e.(type) {
	case *scim.And:
		return f.junction(e.Terms, " AND ", f.where)
	case *scim.Or:
		return f.junction(e.Terms, " OR ", f.where)
	case *scim.Not:
		return negate(f.where(e.Term))
	case *scim.ValuePath:
		return f.anyElement(e.Attr.Attr, e.Filter)
	case *scim.Compare:
		switch {
		case e.Attr.Attr.Name == "schemas":
			return f.schemas(e)
		case e.Attr.Attr.MultiValued && e.Attr.Extension == nil:
			return f.compareMany(e)
		}
		field, err := f.field(e.Attr)
		if err != nil {
			return "", err
		}
		return f.compare(field, e.Op, e.Value)
	case *scim.Present:
		return f.present(e)
	}
	return "", fmt.Errorf("a filter of %T cannot be compiled", e)
}

func (f *scimFilter) junction(terms []scim.Expr, glue string, compile func(scim.Expr) (string, error)) (string, error) {
	out := make([]string, len(terms))
	for i, t := range terms {
		var err error
		if out[i], err = compile(t); err != nil {
			return "", err
		}
	}
	return "(" + strings.Join(out, glue) + ")", nil
}

func negate(condition string, err error) (string, error) { return "NOT (" + condition + ")", err }

// compareMany is a comparison that any one element satisfies; its negative
// holds where none does.
func (f *scimFilter) compareMany(e *scim.Compare) (string, error) {
	if e.Attr.Sub == nil {
		return "", unfiltered(e.Attr)
	}
	inner := scim.Ref{Attr: e.Attr.Sub}
	switch {
	case e.Value.Kind == scim.LiteralNull:
		condition, err := f.anyElement(e.Attr.Attr, &scim.Present{Attr: inner})
		if e.Op == scim.OpEq {
			return negate(condition, err)
		}
		return condition, err
	case e.Op == scim.OpNe:
		return negate(f.anyElement(e.Attr.Attr, &scim.Compare{Attr: inner, Op: scim.OpEq, Value: e.Value}))
	}
	return f.anyElement(e.Attr.Attr, &scim.Compare{Attr: inner, Op: e.Op, Value: e.Value})
}

// schemas compares the URNs of a resource, of which that of an extension is one
// where it has a value.
func (f *scimFilter) schemas(e *scim.Compare) (string, error) {
	switch {
	case e.Value.Kind == scim.LiteralNull && e.Op == scim.OpEq:
		return "1=0", nil
	case e.Value.Kind == scim.LiteralNull:
		return "1=1", nil
	case e.Op == scim.OpNe:
		return negate(f.schemas(&scim.Compare{Attr: e.Attr, Op: scim.OpEq, Value: e.Value}))
	}
	out, err := f.compare(scimField{constant: f.rt.Schema.ID, leaf: e.Attr.Attr}, e.Op, e.Value)
	if err != nil {
		return "", err
	}
	for _, extension := range f.rt.Extensions {
		condition, err := f.compare(scimField{constant: extension.ID, leaf: e.Attr.Attr}, e.Op, e.Value)
		if err != nil {
			return "", err
		}
		var some []string
		for _, c := range scimSingles {
			if strings.HasPrefix(c.path, extension.ID) {
				some = append(some, f.alias+"."+c.column+" IS NOT NULL")
			}
		}
		out += " OR " + condition + " AND (" + strings.Join(some, " OR ") + ")"
	}
	return "(" + out + ")", nil
}

// present is "pr" of whatever may be named.
func (f *scimFilter) present(e *scim.Present) (string, error) {
	ref := e.Attr
	switch {
	case ref.Attr.Name == "schemas":
		return "1=1", nil
	case ref.Attr.MultiValued && ref.Extension == nil:
		if ref.Sub != nil {
			return f.anyElement(ref.Attr, &scim.Present{Attr: scim.Ref{Attr: ref.Sub}})
		}
		source, err := f.elements(ref.Attr)
		if err != nil {
			return "", err
		}
		var some []string
		for _, s := range ref.Attr.SubAttributes {
			if field, ok := source.fields[s.Name]; ok {
				some = append(some, presentField(field))
			}
		}
		return f.in(source, "("+strings.Join(some, " OR ")+")"), nil
	case ref.Attr.Type == scim.TypeComplex && ref.Sub == nil:
		var some []string
		for _, s := range ref.Attr.SubAttributes {
			inner := ref
			inner.Sub = s
			if field, err := f.field(inner); err == nil {
				some = append(some, presentField(field))
			}
		}
		if len(some) == 0 {
			return "", unfiltered(ref)
		}
		return "(" + strings.Join(some, " OR ") + ")", nil
	}
	field, err := f.field(ref)
	if err != nil {
		return "", err
	}
	return presentField(field), nil
}

func presentField(field scimField) string {
	switch {
	case field.constant != "":
		return "1=1"
	case field.leaf.Type == scim.TypeBoolean || field.leaf.Type == scim.TypeDateTime:
		return field.expr + " IS NOT NULL"
	}
	return "(" + field.expr + " IS NOT NULL AND " + field.expr + " <> '')"
}

// field finds the column of a single value of the resource.
func (f *scimFilter) field(ref scim.Ref) (scimField, error) {
	leaf := ref.Leaf()
	switch path := ref.String(); path {
	case "id":
		return scimField{expr: f.alias + ".id", leaf: leaf}, nil
	case "meta.created":
		return scimField{expr: f.alias + ".created_at", leaf: leaf}, nil
	case "meta.lastModified":
		return scimField{expr: f.alias + ".modified_at", leaf: leaf}, nil
	case "meta.resourceType":
		return scimField{constant: f.rt.Name, leaf: leaf}, nil
	case "active":
		return scimField{expr: f.alias + ".active", leaf: leaf}, nil
	default:
		for _, c := range scimSingles {
			if c.path == path && (f.rt == scim.User || path == "displayName" || path == "externalId") {
				return scimField{expr: f.alias + "." + c.column, leaf: leaf}, nil
			}
		}
	}
	return scimField{}, unfiltered(ref)
}

// elementSource is where the elements of a multi-valued attribute are.
type elementSource struct {
	owner, from string
	fields      map[string]scimField // by sub-attribute
}

func (f *scimFilter) elements(attr *scim.Attribute) (elementSource, error) {
	out := elementSource{fields: map[string]scimField{}}
	add := func(sub, expr string) {
		out.fields[sub] = scimField{expr: expr, leaf: attr.Sub(sub)}
	}
	switch {
	case attr.Name == "groups" && f.rt == scim.User:
		out.owner, out.from = "em.member_id", "scim_member em JOIN scim_group eg ON eg.tenant=em.tenant AND eg.id=em.group_id WHERE em.tenant=$1"
		add("value", "em.group_id")
		add("display", "eg.display_name")
		out.fields["type"] = scimField{constant: "direct", leaf: attr.Sub("type")}
	case attr.Name == "members" && f.rt == scim.Group:
		out.owner, out.from = "em.group_id", "scim_member em WHERE em.tenant=$1"
		add("value", "em.member_id")
		add("type", "lower(em.member_type)")
	case slices.Contains(scimElements, attr.Name) && f.rt == scim.User:
		out.owner, out.from = "e.user_id", "scim_element e WHERE e.tenant=$1 AND e.attribute="+f.arg(attr.Name)
		for _, c := range scimElementColumns {
			if attr.Sub(c.sub) != nil {
				add(c.sub, "e."+c.column)
			}
		}
	default:
		return out, unfiltered(scim.Ref{Attr: attr})
	}
	return out, nil
}

// in is a set that does not depend on the row looked at, so that an index finds
// it once.
func (f *scimFilter) in(s elementSource, condition string) string {
	return f.alias + ".id IN (SELECT " + s.owner + " FROM " + s.from + " AND " + condition + ")"
}

// anyElement holds where one and the same element satisfies the filter.
func (f *scimFilter) anyElement(attr *scim.Attribute, filter scim.Expr) (string, error) {
	source, err := f.elements(attr)
	if err != nil {
		return "", err
	}
	condition, err := f.element(source, filter)
	return f.in(source, condition), err
}

// element compiles a filter over one element.
func (f *scimFilter) element(source elementSource, e scim.Expr) (string, error) {
	inner := func(e scim.Expr) (string, error) { return f.element(source, e) }
	field := func(ref scim.Ref) (scimField, error) {
		got, ok := source.fields[ref.Attr.Name]
		if !ok {
			return got, unfiltered(ref)
		}
		return got, nil
	}
	switch e := e.(type) {
	case *scim.And:
		return f.junction(e.Terms, " AND ", inner)
	case *scim.Or:
		return f.junction(e.Terms, " OR ", inner)
	case *scim.Not:
		return negate(inner(e.Term))
	case *scim.Compare:
		got, err := field(e.Attr)
		if err != nil {
			return "", err
		}
		return f.compare(got, e.Op, e.Value)
	case *scim.Present:
		got, err := field(e.Attr)
		if err != nil {
			return "", err
		}
		return presentField(got), nil
	}
	return "", fmt.Errorf("an element's filter of %T cannot be compiled", e)
}

var sqlOps = map[scim.Op]string{scim.OpEq: "=", scim.OpGt: ">", scim.OpGe: ">=", scim.OpLt: "<", scim.OpLe: "<="}

// compare compiles a comparison of one value.
func (f *scimFilter) compare(field scimField, op scim.Op, v scim.Literal) (string, error) {
	switch {
	case v.Kind == scim.LiteralNull && op == scim.OpEq:
		return negate(presentField(field), nil)
	case v.Kind == scim.LiteralNull:
		return presentField(field), nil
	case op == scim.OpNe:
		return negate(f.compare(field, scim.OpEq, v))
	case field.constant != "":
		field.expr = "CAST(" + f.arg(scimText(field.leaf, field.constant)) + " AS TEXT)"
	}
	has := "(" + field.expr + " IS NOT NULL AND "
	switch v.Kind {
	case scim.LiteralBool:
		return has + field.expr + " = " + f.arg(v.Bool) + ")", nil
	case scim.LiteralTime:
		return has + f.instant(field.expr, op, v) + ")", nil
	case scim.LiteralString:
	default:
		return "", fmt.Errorf("a literal of kind %d cannot be compiled", v.Kind)
	}
	text := scimText(field.leaf, v.Text)
	switch op {
	case scim.OpCo, scim.OpSw, scim.OpEw:
		if text == "" {
			return field.expr + " IS NOT NULL", nil
		}
		p := "CAST(" + f.arg(text) + " AS TEXT)"
		switch op {
		case scim.OpSw:
			return has + "substr(" + field.expr + ", 1, length(" + p + ")) = " + p + ")", nil
		case scim.OpEw:
			return has + "length(" + field.expr + ") >= length(" + p + ") AND substr(" + field.expr + ", length(" + field.expr + ") - length(" + p + ") + 1) = " + p + ")", nil
		}
		return has + f.strFn + "(" + field.expr + ", " + p + ") > 0)", nil
	}
	if op == scim.OpEq && field.expr == "e.value" && len(text) <= maxIndexed {
		has += "length(e.value) <= 1024 AND " // so that the index, which has no longer ones, can be used
	}
	return has + field.expr + " " + sqlOps[op] + " " + f.arg(text) + ")", nil
}

// instant compares a column of milliseconds with a time that may be finer.
func (f *scimFilter) instant(column string, op scim.Op, v scim.Literal) string {
	ms := v.Time.UnixMilli()
	if exact := v.Time.Nanosecond()%1_000_000 == 0; !exact {
		switch op {
		case scim.OpEq:
			return "1=0"
		case scim.OpGe:
			op = scim.OpGt
		case scim.OpLt:
			op = scim.OpLe
		}
	}
	return column + " " + sqlOps[op] + " " + f.arg(ms)
}

// order compiles what a list is sorted by: missing values come last ascending
// and first descending, and the id decides between equals.
func (f *scimFilter) order(sort *scim.Sort) (string, error) {
	if sort == nil {
		return f.alias + ".id", nil
	}
	by := &sort.By
	expr := ""
	switch {
	case by.Attr.MultiValued && by.Extension == nil:
		source, err := f.elements(by.Attr)
		if err != nil {
			return "", unsorted(*by)
		}
		sub := by.Sub
		if sub == nil {
			sub = by.Attr.Sub("value")
		}
		if sub == nil || !slices.Contains(scimElements, by.Attr.Name) {
			return "", unsorted(*by)
		}
		expr = "(SELECT " + source.fields[sub.Name].expr + " FROM " + source.from + " AND " + source.owner + "=" + f.alias +
			".id ORDER BY coalesce(e.primary_one, FALSE) DESC, e.n LIMIT 1)"
	default:
		field, err := f.field(*by)
		if err != nil {
			return "", unsorted(*by)
		}
		if field.constant != "" {
			return f.alias + ".id", nil
		}
		expr = field.expr
	}
	if sort.Descending {
		return "(" + expr + " IS NULL) DESC, " + expr + " DESC, " + f.alias + ".id", nil
	}
	return "(" + expr + " IS NULL), " + expr + ", " + f.alias + ".id", nil
}
