// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// helpers are the functions of spec/connectors.md section 2. They take dyn
// values, treat null as "not there", and never put a value into an error:
// errors reach logs and statuses.
func helpers() cel.EnvOption {
	dyn := cel.DynType
	unary := func(name string, out *cel.Type, f func(ref.Val) ref.Val) cel.EnvOption {
		return cel.Function(name, cel.Overload(name+"_dyn", []*cel.Type{dyn}, out, cel.UnaryBinding(f)))
	}
	opts := []cel.EnvOption{
		cel.Function("get", cel.Overload("get_dyn_string", []*cel.Type{dyn, cel.StringType}, dyn, cel.BinaryBinding(get))),
		unary("coalesce", dyn, coalesce),
		unary("list", cel.ListType(dyn), list),
		unary("lower", dyn, lower),
		unary("words", dyn, words),
		unary("ts", dyn, ts),
		unary("rfc3339", dyn, rfc3339),
		cel.Function("omit", cel.Overload("omit_dyn_list", []*cel.Type{dyn, cel.ListType(dyn)}, dyn, cel.BinaryBinding(omit))),
		cel.Function("lookup", cel.Overload("lookup_dyn", []*cel.Type{dyn, dyn, dyn}, dyn, cel.FunctionBinding(lookup))),
		unary("soql", dyn, soql),
		cel.Function("randomPassword", cel.Overload("random_password", nil, cel.StringType, cel.FunctionBinding(randomPassword))),
	}
	return func(e *cel.Env) (*cel.Env, error) {
		for _, o := range opts {
			var err error
			if e, err = o(e); err != nil {
				return nil, err
			}
		}
		return e, nil
	}
}

func isNull(v ref.Val) bool { return v == nil || v.Type() == types.NullType }

// get walks a dotted path; a missing step, a null or a step into a scalar
// yields null. Digits index lists.
func get(x, path ref.Val) ref.Val {
	p, ok := path.(types.String)
	if !ok {
		return types.NewErr("get: the path is no string")
	}
	cur := x.Value()
	rest := string(p)
	for rest != "" {
		step, tail, _ := strings.Cut(rest, ".")
		switch c := cur.(type) {
		case map[string]any:
			v, ok := c[step]
			if !ok {
				return types.NullValue
			}
			cur = v
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(c) {
				return types.NullValue
			}
			cur = c[i]
		case map[string]bool:
			v, ok := c[step]
			if !ok {
				return types.NullValue
			}
			cur = v
		case map[string]string:
			v, ok := c[step]
			if !ok {
				return types.NullValue
			}
			cur = v
		case map[ref.Val]ref.Val:
			v, ok := c[types.String(step)]
			if !ok {
				return types.NullValue
			}
			cur = v.Value()
			if isNull(v) {
				return types.NullValue
			}
		case []ref.Val:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(c) {
				return types.NullValue
			}
			cur = c[i].Value()
			if isNull(c[i]) {
				return types.NullValue
			}
		default:
			return types.NullValue
		}
		rest = tail
	}
	return types.DefaultTypeAdapter.NativeToValue(cur)
}

// coalesce returns the first element that is neither null nor "".
func coalesce(v ref.Val) ref.Val {
	l, ok := v.(traits.Lister)
	if !ok {
		return types.NewErr("coalesce: want a list")
	}
	for it := l.Iterator(); it.HasNext() == types.True; {
		e := it.Next()
		if isNull(e) || e == types.String("") {
			continue
		}
		return e
	}
	return types.NullValue
}

// list makes null the empty list and a single value a list of one.
func list(v ref.Val) ref.Val {
	if isNull(v) {
		return types.DefaultTypeAdapter.NativeToValue([]any{})
	}
	if _, ok := v.(traits.Lister); ok {
		return v
	}
	return types.DefaultTypeAdapter.NativeToValue([]ref.Val{v})
}

func lower(v ref.Val) ref.Val {
	if isNull(v) {
		return types.NullValue
	}
	s, ok := v.(types.String)
	if !ok {
		return types.NewErr("lower: got %s, want a string", v.Type().TypeName())
	}
	return types.String(strings.ToLower(strings.TrimSpace(string(s))))
}

// words joins what is there with single spaces; nothing there is null.
func words(v ref.Val) ref.Val {
	l, ok := v.(traits.Lister)
	if !ok {
		return types.NewErr("words: want a list")
	}
	var parts []string
	for it := l.Iterator(); it.HasNext() == types.True; {
		e := it.Next()
		if isNull(e) {
			continue
		}
		s, ok := e.(types.String)
		if !ok {
			return types.NewErr("words: an element is %s, want strings", e.Type().TypeName())
		}
		if t := strings.TrimSpace(string(s)); t != "" {
			parts = append(parts, t)
		}
	}
	if len(parts) == 0 {
		return types.NullValue
	}
	return types.String(strings.Join(parts, " "))
}

// timeLayouts are the textual forms that vendors use for moments and dates.
var timeLayouts = []string{
	time.RFC3339Nano,
	"2006-01-02T15:04:05.999999999Z0700",
	"2006-01-02T15:04:05.999999999",
	"2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02 15:04:05.999999999",
	"2006-01-02",
	time.RFC1123,
	time.RFC1123Z,
}

// ts reads RFC 3339, dates, RFC 1123 and epoch seconds or milliseconds. Epoch
// numbers from 100,000,000,000 (year 5138 in seconds, March 1973 in
// milliseconds) on are milliseconds. Null, "" and 0 are null: vendors write
// them for "never".
func ts(v ref.Val) ref.Val {
	switch t := v.(type) {
	case types.Null, nil:
		return types.NullValue
	case types.Timestamp:
		return t
	case types.Int:
		return epoch(int64(t), 0)
	case types.Uint:
		return epoch(int64(t), 0)
	case types.Double:
		return epoch(int64(t), float64(t)-float64(int64(t)))
	case types.String:
		s := strings.TrimSpace(string(t))
		if s == "" {
			return types.NullValue
		}
		for _, layout := range timeLayouts {
			if m, err := time.Parse(layout, s); err == nil {
				return types.Timestamp{Time: m.UTC()}
			}
		}
		if f, err := strconv.ParseFloat(s, 64); err == nil && f >= 0 && f < 1e15 {
			return epoch(int64(f), f-float64(int64(f)))
		}
		return types.NewErr("ts: the text is neither RFC 3339, a date, RFC 1123 nor epoch seconds or milliseconds")
	}
	return types.NewErr("ts: got %s, want a string or a number", v.Type().TypeName())
}

func epoch(n int64, fraction float64) ref.Val {
	const firstMillis = 100_000_000_000
	switch {
	case n == 0:
		return types.NullValue
	case n < 0 || n >= 253_402_300_800_000: // year 10000 in milliseconds
		return types.NewErr("ts: the number is outside the years 1970 to 9999")
	case n >= firstMillis:
		return types.Timestamp{Time: time.UnixMilli(n).UTC()}
	}
	return types.Timestamp{Time: time.Unix(n, int64(fraction*1e9)).UTC()}
}

func rfc3339(v ref.Val) ref.Val {
	if isNull(v) {
		return types.NullValue
	}
	t := ts(v)
	m, ok := t.(types.Timestamp)
	if !ok {
		return t
	}
	return types.String(m.Time.UTC().Format("2006-01-02T15:04:05.000Z"))
}

// omit returns the map without the named keys and without nulls.
func omit(v, keys ref.Val) ref.Val {
	if isNull(v) {
		return types.DefaultTypeAdapter.NativeToValue(map[string]any{})
	}
	m, ok := v.Value().(map[string]any)
	if !ok {
		return types.NewErr("omit: got %s, want a map of JSON", v.Type().TypeName())
	}
	drop, ok := keys.(traits.Lister)
	if !ok {
		return types.NewErr("omit: want a list of keys")
	}
	skip := map[string]bool{}
	for it := drop.Iterator(); it.HasNext() == types.True; {
		if s, ok := it.Next().(types.String); ok {
			skip[string(s)] = true
		}
	}
	out := make(map[string]any, len(m))
	for k, e := range m {
		if e != nil && !skip[k] {
			out[k] = e
		}
	}
	return types.DefaultTypeAdapter.NativeToValue(out)
}

// lookup returns m[key], or the default where key is absent or null.
func lookup(args ...ref.Val) ref.Val {
	m, ok := args[0].(traits.Mapper)
	if !ok {
		return types.NewErr("lookup: got %s, want a map", args[0].Type().TypeName())
	}
	if isNull(args[1]) {
		return args[2]
	}
	if v, found := m.Find(args[1]); found && !isNull(v) {
		return v
	}
	return args[2]
}

// maxSOQL bounds what soql escapes, in bytes: Salesforce takes no longer query
// in an address, and nested calls cannot grow without end.
const maxSOQL = 16 << 10

// soqlEscapes are SOQL's escape sequences within quotation marks. There are
// others for LIKE (\_ and \%) that mean nothing elsewhere.
var soqlEscapes = strings.NewReplacer(`\`, `\\`, `'`, `\'`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\b", `\b`, "\f", `\f`)

// soql escapes text for the inside of a quoted string of SOQL, which it can
// then not end. Null is the empty text.
func soql(v ref.Val) ref.Val {
	if isNull(v) {
		return types.String("")
	}
	s, ok := v.(types.String)
	switch {
	case !ok:
		return types.NewErr("soql: got %s, want a string", v.Type().TypeName())
	case len(s) > maxSOQL:
		return types.NewErr("soql: the text has %d bytes; at most %d are allowed", len(s), maxSOQL)
	}
	return types.String(soqlEscapes.Replace(string(s)))
}

// randomPassword is a password that nobody knows, for vendors that create no
// account without one: 160 random bits, and a character of every class that
// password rules ask for.
func randomPassword(...ref.Val) ref.Val { return types.String("aA1-" + rand.Text() + rand.Text()[:6]) }

// unfinished reports whether an element of a list is one of CEL's own values:
// a concatenation has them where a literal was on either side.
func unfinished(v any) bool {
	switch v.(type) {
	case nil, bool, string, int64, float64, map[string]any, []any:
		return false
	}
	return true
}

// Native turns the result of a program into plain Go values.
func Native(v any) (any, error) {
	switch t := v.(type) {
	case nil, types.Null:
		return nil, nil
	case types.Bool:
		return bool(t), nil
	case types.String:
		return string(t), nil
	case types.Int:
		return int64(t), nil
	case types.Uint:
		if t > 1<<63-1 {
			return nil, fmt.Errorf("an unsigned number is out of range")
		}
		return int64(t), nil
	case types.Double:
		return float64(t), nil
	case types.Bytes:
		return string(t), nil
	case types.Timestamp:
		return t.Time.UTC(), nil
	case types.Duration:
		return t.Duration, nil
	case *types.Err:
		return nil, t
	case traits.Lister:
		if raw, ok := t.Value().([]any); ok && !slices.ContainsFunc(raw, unfinished) {
			return raw, nil
		}
		out := make([]any, 0, 8)
		for it := t.Iterator(); it.HasNext() == types.True; {
			e, err := Native(it.Next())
			if err != nil {
				return nil, err
			}
			out = append(out, e)
		}
		return out, nil
	case traits.Mapper:
		if raw, ok := t.Value().(map[string]any); ok {
			return raw, nil
		}
		out := map[string]any{}
		for it := t.Iterator(); it.HasNext() == types.True; {
			k := it.Next()
			key, ok := k.(types.String)
			if !ok {
				return nil, fmt.Errorf("a map key is %s, want strings", k.Type().TypeName())
			}
			e, err := Native(t.Get(k))
			if err != nil {
				return nil, err
			}
			out[string(key)] = e
		}
		return out, nil
	case ref.Val:
		return nil, fmt.Errorf("the expression yields %s, which is no value to keep", t.Type().TypeName())
	}
	return nil, fmt.Errorf("the expression yields %T, which is no value to keep", v)
}

// Format renders a scalar as text; null is "".
func Format(v any) (string, error) {
	switch t := v.(type) {
	case nil:
		return "", nil
	case string:
		return t, nil
	case bool:
		return strconv.FormatBool(t), nil
	case int64:
		return strconv.FormatInt(t, 10), nil
	case float64:
		return strconv.FormatFloat(t, 'f', -1, 64), nil
	case time.Time:
		return t.UTC().Format("2006-01-02T15:04:05.000Z"), nil
	}
	return "", fmt.Errorf("got %s, want text, a number or a bool", TypeName(v))
}

// TypeName names the type of a plain value as CEL does.
func TypeName(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "string"
	case bool:
		return "bool"
	case int64, int:
		return "int"
	case float64:
		return "double"
	case time.Time:
		return "timestamp"
	case time.Duration:
		return "duration"
	case []any:
		return "list"
	case map[string]any:
		return "map"
	}
	return fmt.Sprintf("%T", v)
}
