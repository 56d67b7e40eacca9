// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/interpreter"
)

// MaxSource bounds the length of one expression or template in bytes.
const MaxSource = 16 << 10

// Cost limits, in CEL cost units (about one per visited node or 10 bytes).
const (
	// CostRecord bounds what is evaluated once per record.
	CostRecord uint64 = 200_000
	// CostPage bounds what is evaluated once per answer of up to 64 MiB.
	CostPage uint64 = 50_000_000
)

// Type is what an expression must yield. Dyn passes every check at compile
// time; its value is checked when it is there.
type Type = cel.Type

// The types that callers ask for.
var (
	Dyn       = cel.DynType
	Bool      = cel.BoolType
	String    = cel.StringType
	Int       = cel.IntType
	Timestamp = cel.TimestampType
	Map       = cel.MapType(cel.StringType, cel.DynType)
	List      = cel.ListType(cel.DynType)
)

// Error says where and why an expression is wrong.
type Error struct {
	Source  string
	Line    int // 1-based within Source
	Column  int // 1-based
	Message string
	cause   error
}

// ErrTooLarge is what an error wraps that says that an expression gives, makes or
// costs more than its limit.
var ErrTooLarge = errors.New("larger than its limit")

// Unwrap returns ErrTooLarge or nothing.
func (e *Error) Unwrap() error { return e.cause }

// Error implements error.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Message
	}
	if !strings.Contains(e.Source, "\n") {
		return fmt.Sprintf("column %d: %s", e.Column, e.Message)
	}
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
}

// Env is a set of variables and functions that expressions may use.
type Env struct {
	cel  *cel.Env
	cost uint64
	pure bool // refuses functions whose result differs from time to time
	most int  // that a value may weigh, about its length as JSON; 0: no matter
}

// Program is a compiled expression. It is safe for concurrent use.
type Program struct {
	source string
	out    *cel.Type
	prg    cel.Program
	// linear programs end within the length of their source, so their steps need no
	// accounting; see isLinear.
	linear bool
	// weighed programs make something, and may make so much; 0: they make nothing.
	weighed int64
	most    int // see Env
}

// base is what every environment shares.
func base(opts ...cel.EnvOption) (*cel.Env, error) {
	texts, err := boundedTexts()
	if err != nil {
		return nil, err
	}
	common := []cel.EnvOption{
		cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserExpressionSizeLimit(MaxSource),
		cel.ParserRecursionLimit(64),
		texts,
		helpers(),
	}
	return cel.NewCustomEnv(append([]cel.EnvOption{cel.StdLib()}, append(common, opts...)...)...)
}

var connectorVars = []cel.EnvOption{
	cel.Variable("r", cel.DynType),
	cel.Variable("p", cel.DynType),
	cel.Variable("resp", cel.DynType),
	cel.Variable("status", cel.IntType),
	cel.Variable("headers", cel.MapType(cel.StringType, cel.StringType)),
	cel.Variable("config", Map),
	cel.Variable("state", Map),
	cel.Variable("window", Map),
	cel.Variable("input", Map),
	cel.Variable("vars", Map),
	cel.Variable("records", List),
	cel.Variable("secretNames", cel.MapType(cel.StringType, cel.BoolType)),
	cel.Variable("idempotencyKey", cel.StringType),
	cel.Variable("now", cel.TimestampType),
}

var connectorBase = sync.OnceValues(func() (*cel.Env, error) { return base(connectorVars...) })

// Connector returns the environment of a manifest's expressions, with further
// variables of any type, such as the name that emit.as gives to an element.
func Connector(extra ...string) (*Env, error) {
	env, err := connectorBase()
	if err != nil {
		return nil, err
	}
	opts := make([]cel.EnvOption, 0, len(extra))
	for _, name := range extra {
		opts = append(opts, cel.Variable(name, cel.DynType))
	}
	if len(opts) > 0 {
		if env, err = env.Extend(opts...); err != nil {
			return nil, err
		}
	}
	return &Env{cel: env, cost: CostRecord}, nil
}

// ConnectorSecrets is Connector plus `secret`, for the places where a
// manifest may put a credential: auth and token.
func ConnectorSecrets() (*Env, error) {
	env, err := connectorBase()
	if err != nil {
		return nil, err
	}
	if env, err = env.Extend(cel.Variable("secret", cel.MapType(cel.StringType, cel.StringType))); err != nil {
		return nil, err
	}
	return &Env{cel: env, cost: CostRecord}, nil
}

// Bucket is the environment of rate-limit buckets: the request about to be sent.
func Bucket() (*Env, error) {
	env, err := base(
		cel.Variable("method", cel.StringType),
		cel.Variable("host", cel.StringType),
		cel.Variable("path", cel.StringType),
		cel.Variable("body", cel.DynType),
	)
	return &Env{cel: env, cost: CostRecord}, err
}

// WithCost returns the same environment with another cost limit.
func (e *Env) WithCost(limit uint64) *Env {
	return &Env{cel: e.cel, cost: limit, pure: e.pure, most: e.most}
}

// Compile checks source against the environment and the wanted type.
func (e *Env) Compile(source string, want *Type) (*Program, error) {
	if len(source) > MaxSource {
		return nil, &Error{Message: fmt.Sprintf("the expression has %d bytes; at most %d are allowed", len(source), MaxSource)}
	}
	checked, issues := e.cel.Compile(source)
	if issues.Err() != nil {
		return nil, issueError(source, issues)
	}
	out := checked.OutputType()
	if want != nil && !assignable(want, out) {
		return nil, &Error{Source: source, Line: 1, Column: 1,
			Message: fmt.Sprintf("the expression yields %s, want %s", out, want)}
	}
	if name := impure(checked.NativeRep().Expr()); e.pure && name != "" {
		return nil, impureError(source, name)
	}
	if err := checkPatterns(checked.NativeRep().Expr()); err != nil {
		return nil, &Error{Source: source, Line: 1, Column: 1, Message: err.Error()}
	}
	p := &Program{source: source, out: out, most: e.most, linear: isLinear(checked.NativeRep().Expr())}
	makes := false
	opts := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize), cel.CustomDecoratorV2(weighed(p.linear, &makes))}
	if !p.linear {
		opts = append(opts, cel.CostTracking(costs{}), cel.CostLimit(e.cost), cel.InterruptCheckFrequency(128))
	}
	prg, err := e.cel.Program(checked, opts...)
	if err != nil {
		return nil, &Error{Source: source, Line: 1, Column: 1, Message: err.Error()}
	}
	if p.prg = prg; makes {
		p.weighed = int64(min(e.cost*bytesPerCost, mostMade))
	}
	return p, nil
}

// assignable lets null and dyn pass: both are checked as values.
func assignable(want, got *cel.Type) bool {
	switch got.Kind() {
	case types.DynKind, types.NullTypeKind:
		return true
	}
	if want.Kind() == types.DynKind || want.IsAssignableType(got) {
		return true
	}
	// A list or map literal has a more precise type than dyn elements.
	return want.Kind() == got.Kind() && (want.Kind() == types.ListKind || want.Kind() == types.MapKind)
}

func issueError(source string, issues *cel.Issues) error {
	errs := issues.Errors()
	if len(errs) == 0 {
		return &Error{Source: source, Line: 1, Column: 1, Message: issues.Err().Error()}
	}
	first := errs[0]
	msg := strings.ReplaceAll(first.Message, "(in container '')", "")
	if len(errs) > 1 {
		msg = fmt.Sprintf("%s (and %d more)", strings.TrimSpace(msg), len(errs)-1)
	}
	return &Error{Source: source, Line: max(1, first.Location.Line()), Column: first.Location.Column() + 1,
		Message: strings.TrimSpace(msg)}
}

// linearCalls are the functions whose result is no longer than their input.
var linearCalls = func() map[string]bool {
	m := map[string]bool{}
	for _, f := range []string{
		operators.Conditional, operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot,
		operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater,
		operators.GreaterEquals, operators.Add, operators.Subtract, operators.Multiply, operators.Divide,
		operators.Modulo, operators.Negate, operators.Index, operators.In,
		"get", "coalesce", "list", "lower", "words", "ts", "rfc3339", "omit", "lookup",
		"string", "int", "double", "size", "duration", "timestamp", "startsWith", "endsWith", "contains",
	} {
		m[f] = true
	}
	return m
}()

// isLinear reports whether a program has neither a comprehension nor a call
// that can grow its input. Such a program visits each node of its source once,
// so counting its cost, which doubles the time of a mapping, would prove
// nothing that the length of the source does not.
func isLinear(root ast.Expr) bool {
	linear := true
	ast.PreOrderVisit(root, ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.ComprehensionKind:
			linear = false
		case ast.CallKind:
			if !linearCalls[e.AsCall().FunctionName()] {
				linear = false
			}
		}
	}))
	return linear
}

// checkPatterns refuses regular expressions that are written out and too long:
// they are compiled with the program.
func checkPatterns(root ast.Expr) (err error) {
	ast.PreOrderVisit(root, ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != overloads.Matches {
			return
		}
		for _, a := range e.AsCall().Args() {
			if a.Kind() == ast.LiteralKind {
				if s, ok := a.AsLiteral().(types.String); ok && len(s) > maxPattern {
					err = errPattern(len(s))
				}
			}
		}
	}))
	return err
}

// Source returns the text of the expression.
func (p *Program) Source() string { return p.source }

// Eval evaluates the program and returns a plain Go value: nil, bool, int64,
// float64, string, time.Time, time.Duration, []any or map[string]any.
func (p *Program) Eval(ctx context.Context, vars map[string]any) (any, error) {
	var act any = vars
	if p.weighed > 0 {
		act = &metered{vars: vars, meter: meter{p.weighed, p.weighed}}
	}
	var (
		out interface{ Value() any }
		err error
	)
	if p.linear {
		out, _, err = p.prg.Eval(act)
	} else {
		out, _, err = p.prg.ContextEval(ctx, act)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		out := &Error{Source: p.source, Message: runtimeMessage(err)}
		if cancelled(err) {
			out.cause = ErrTooLarge
		}
		return nil, out
	}
	v, err := Native(out)
	if err == nil && p.most > 0 {
		if _, ok := Weigh(v, p.most); !ok {
			return nil, &Error{Source: p.source, Message: tooLarge(p.most), cause: ErrTooLarge}
		}
	}
	return v, err
}

func tooLarge(most int) string {
	return fmt.Sprintf("it yields more than %d bytes, which is as much as an expression may give", most)
}

// EvalBool evaluates a condition. Null is an error, not false.
func (p *Program) EvalBool(ctx context.Context, vars map[string]any) (bool, error) {
	v, err := p.Eval(ctx, vars)
	if err != nil {
		return false, err
	}
	b, ok := v.(bool)
	if !ok {
		return false, &Error{Source: p.source, Message: fmt.Sprintf("the condition yields %s, want a bool", TypeName(v))}
	}
	return b, nil
}

// EvalString evaluates to a string; numbers and bools are formatted, null is "".
func (p *Program) EvalString(ctx context.Context, vars map[string]any) (string, error) {
	v, err := p.Eval(ctx, vars)
	if err != nil {
		return "", err
	}
	s, err := Format(v)
	if err != nil {
		return "", &Error{Source: p.source, Message: err.Error()}
	}
	return s, nil
}

// cancelled reports that an evaluation was ended at one of its limits.
func cancelled(err error) bool {
	var c interpreter.EvalCancelledError
	return errors.As(err, &c) && c.Cause == interpreter.CostLimitExceeded
}

func runtimeMessage(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Message
	}
	msg := err.Error()
	if strings.Contains(msg, "cost limit") {
		return "the expression costs more than its limit allows"
	}
	return msg
}
