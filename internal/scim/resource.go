// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"time"
)

// Object is a complex value in canonical form: canonical names to string, bool,
// json.Number, Object, or []any of these. It holds no nil, no empty Object and
// no empty list: what is unassigned is not there. A dateTime and a binary are
// the strings that were sent.
type Object map[string]any

// Resource is a resource in canonical form. "schemas" is not in it: it follows
// from what is.
type Resource struct {
	Type *ResourceType
	// Attributes holds the common and core attributes by canonical name, and
	// each extension as an Object under its URN.
	Attributes Object
}

// NewResource is a resource without a value.
func NewResource(rt *ResourceType) *Resource {
	return &Resource{Type: rt, Attributes: Object{}}
}

// Meta is the metadata that the service provider keeps of a resource.
type Meta struct {
	Created      time.Time
	LastModified time.Time
	// Location is the URI of the resource.
	Location string
	// Version is the entity tag.
	Version string
}

// SetMeta writes meta.
func (r *Resource) SetMeta(m Meta) {
	meta := Object{"resourceType": r.Type.Name}
	for name, at := range map[string]time.Time{"created": m.Created, "lastModified": m.LastModified} {
		if !at.IsZero() {
			meta[name] = FormatTime(at)
		}
	}
	for name, text := range map[string]string{"location": m.Location, "version": m.Version} {
		if text != "" {
			meta[name] = text
		}
	}
	r.Attributes["meta"] = meta
}

// FormatTime is a dateTime as the service provider writes it: RFC 3339, UTC,
// with milliseconds.
func FormatTime(t time.Time) string {
	return t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

// ID is the identifier that the service provider gave.
func (r *Resource) ID() string { return r.Text("id") }

// Text is the string that name refers to; empty where it has no value.
func (r *Resource) Text(name string) string {
	s, _ := r.Get(name).(string)
	return s
}

// Bool is the boolean that name refers to, and whether it has a value.
func (r *Resource) Bool(name string) (value, ok bool) {
	value, ok = r.Get(name).(bool)
	return value, ok
}

// Get is the value that name refers to, such as userName, name.givenName or
// emails; nil where it has none, and where one of many values would be meant.
func (r *Resource) Get(name string) any {
	ref, ok := r.Type.Resolve(name)
	if !ok {
		return nil
	}
	at := r.Attributes
	if ref.Extension != nil {
		at, _ = at[ref.Extension.ID].(Object)
		if ref.Attr == nil {
			return valueOrNil(at)
		}
	}
	if ref.Sub == nil {
		return at[ref.Attr.Name]
	}
	parent, _ := at[ref.Attr.Name].(Object)
	return parent[ref.Sub.Name]
}

// valueOrNil keeps an absent Object from becoming an interface that is not nil.
func valueOrNil(o Object) any {
	if len(o) == 0 {
		return nil
	}
	return o
}

// Set writes the value that name refers to, for what the service provider itself
// knows. The value is canonical, or nil to unassign. It is an error where name
// refers to nothing, or to one of many values.
func (r *Resource) Set(name string, value any) error {
	ref, ok := r.Type.Resolve(name)
	if !ok || ref.Attr == nil || ref.Sub != nil && ref.Attr.MultiValued {
		return fmt.Errorf("scim: %s has no attribute %q that can be set", r.Type.Name, name)
	}
	r.assign(ref, value)
	return nil
}

// assign writes one value, making and dropping what is around it.
func (r *Resource) assign(ref Ref, value any) {
	at := r.Attributes
	if ref.Extension != nil {
		at = child(at, ref.Extension.ID)
		defer prune(r.Attributes, ref.Extension.ID)
	}
	name := ref.Attr.Name
	if ref.Sub != nil {
		outer := at
		at = child(outer, ref.Attr.Name)
		defer prune(outer, ref.Attr.Name)
		name = ref.Sub.Name
	}
	if isEmpty(value) {
		delete(at, name)
		return
	}
	at[name] = value
}

// child is the Object called name, made if it is not there.
func child(o Object, name string) Object {
	c, ok := o[name].(Object)
	if !ok {
		c = Object{}
		o[name] = c
	}
	return c
}

// prune drops what has become empty.
func prune(o Object, name string) {
	if isEmpty(o[name]) {
		delete(o, name)
	}
}

// isEmpty reports whether a value is the same as none (RFC 7643 section 2.5).
func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case Object:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}

// Members are the members of a Group.
func (r *Resource) Members() []Member {
	list, _ := r.Attributes["members"].([]any)
	return toMembers(list)
}

func toMembers(list []any) []Member {
	out := make([]Member, 0, len(list))
	for _, v := range list {
		o, _ := v.(Object)
		m := Member{}
		m.Value, _ = o["value"].(string)
		m.Type, _ = o["type"].(string)
		out = append(out, m)
	}
	return out
}

// TakeMembers removes the members from the resource and returns them: they are
// stored apart from it.
func (r *Resource) TakeMembers() []Member {
	out := r.Members()
	delete(r.Attributes, "members")
	return out
}

// Schemas are the URNs of the resource's schema and of the extensions that it
// has a value of.
func (r *Resource) Schemas() []string {
	out := []string{r.Type.Schema.ID}
	for _, s := range r.Type.Extensions {
		if !isEmpty(r.Attributes[s.ID]) {
			out = append(out, s.ID)
		}
	}
	return out
}

// Clone is a copy that shares nothing that can change.
func (r *Resource) Clone() *Resource {
	return &Resource{Type: r.Type, Attributes: cloneObject(r.Attributes)}
}

func cloneObject(o Object) Object {
	out := make(Object, len(o))
	for k, v := range o {
		out[k] = cloneValue(v)
	}
	return out
}

func cloneValue(v any) any {
	switch v := v.(type) {
	case Object:
		return cloneObject(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = cloneValue(e)
		}
		return out
	}
	return v
}

// Diff names what differs between two resources of one type, in canonical
// spelling and the order of the schemas. Only what a client can write counts,
// and not what is kept apart from the resource.
func Diff(a, b *Resource) []string {
	var out []string
	walk := func(prefix string, attrs []*Attribute, a, b Object) {
		for _, attr := range attrs {
			if attr.Mutability == ReadOnly || attr.External {
				continue
			}
			va, vb := writable(attr, a[attr.Name]), writable(attr, b[attr.Name])
			if reflect.DeepEqual(va, vb) {
				continue
			}
			if attr.MultiValued || attr.Type != TypeComplex {
				out = append(out, prefix+attr.Name)
				continue
			}
			oa, _ := va.(Object)
			ob, _ := vb.(Object)
			for _, sub := range attr.SubAttributes {
				if !reflect.DeepEqual(oa[sub.Name], ob[sub.Name]) {
					out = append(out, prefix+attr.Name+"."+sub.Name)
				}
			}
		}
	}
	walk("", commonAttributes, a.Attributes, b.Attributes)
	walk("", a.Type.Schema.Attributes, a.Attributes, b.Attributes)
	for _, s := range a.Type.Extensions {
		oa, _ := a.Attributes[s.ID].(Object)
		ob, _ := b.Attributes[s.ID].(Object)
		walk(s.ID+":", s.Attributes, oa, ob)
	}
	return out
}

// writable is a value without the sub-attributes that a client cannot write.
func writable(attr *Attribute, v any) any {
	switch v := v.(type) {
	case Object:
		out := Object{}
		for _, sub := range attr.SubAttributes {
			if e, ok := v[sub.Name]; ok && sub.Mutability != ReadOnly {
				out[sub.Name] = e
			}
		}
		return valueOrNil(out)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = writable(attr, e)
		}
		return out
	}
	return v
}

// Replace is what a PUT makes of a stored resource: all of sent, with the
// stored values of what a client cannot write. It names what differs. Giving an
// immutable attribute another value is refused.
func Replace(stored, sent *Resource) (*Resource, []string, error) {
	out := sent.Clone()
	for _, attrs := range [][]*Attribute{commonAttributes, stored.Type.Schema.Attributes} {
		for _, a := range attrs {
			old, had := stored.Attributes[a.Name]
			switch {
			case a.Mutability == ReadOnly && had:
				out.Attributes[a.Name] = cloneValue(old)
			case a.Mutability == ReadOnly:
				delete(out.Attributes, a.Name)
			case a.Mutability == Immutable && had && !reflect.DeepEqual(old, out.Attributes[a.Name]):
				return nil, nil, badRequest(Mutability, "%s cannot be changed.", a.Name)
			}
		}
	}
	return out, Diff(stored, out), nil
}

// MarshalJSON writes the resource in the order of the schemas, without nulls.
func (r *Resource) MarshalJSON() ([]byte, error) {
	w := writer{}
	r.render(&w)
	return w.buf.Bytes(), w.err
}

func (r *Resource) render(w *writer) {
	w.buf.WriteByte('{')
	w.member("schemas", r.Schemas())
	for _, a := range commonAttributes {
		if a.Name != "meta" {
			w.attribute(a, r.Attributes)
		}
	}
	for _, a := range r.Type.Schema.Attributes {
		w.attribute(a, r.Attributes)
	}
	for _, s := range r.Type.Extensions {
		if ext, ok := r.Attributes[s.ID].(Object); ok && len(ext) > 0 {
			w.name(s.ID)
			w.object(s.Attributes, ext)
		}
	}
	w.attribute(find(commonAttributes, "meta"), r.Attributes)
	w.buf.WriteByte('}')
}

// writer renders canonical values.
type writer struct {
	buf bytes.Buffer
	to  io.Writer // nil: all of it stays in buf
	err error
}

func (w *writer) scalar(v any) {
	text, err := json.Marshal(v)
	w.fail(err)
	w.buf.Write(text)
}

func (w *writer) name(name string) {
	if last := w.buf.Len() - 1; last >= 0 && w.buf.Bytes()[last] != '{' {
		w.buf.WriteByte(',')
	}
	w.scalar(name)
	w.buf.WriteByte(':')
}

func (w *writer) member(name string, v any) {
	w.name(name)
	w.scalar(v)
}

func (w *writer) attribute(a *Attribute, in Object) {
	v, ok := in[a.Name]
	if !ok || isEmpty(v) || a.Name == "schemas" {
		return
	}
	w.name(a.Name)
	w.value(a, v)
}

func (w *writer) value(a *Attribute, v any) {
	switch v := v.(type) {
	case Object:
		w.object(a.SubAttributes, v)
	case encoded:
		w.buf.Write(v)
	case streamed:
		w.stream(v)
	case []any:
		w.buf.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				w.buf.WriteByte(',')
			}
			w.value(a, e)
		}
		w.buf.WriteByte(']')
	default:
		w.scalar(v)
	}
}

func (w *writer) object(attrs []*Attribute, o Object) {
	w.buf.WriteByte('{')
	for _, a := range attrs {
		w.attribute(a, o)
	}
	w.buf.WriteByte('}')
}
