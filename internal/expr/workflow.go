// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expr

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
)

// The variables that only workflows have.
const (
	VarEvent = "event"
	VarInput = "input"
	VarSteps = "steps"
	VarVars  = "vars"

	VarContract = "contract"
)

// MaxValue bounds what an expression of a Workflow may give, in bytes: as much as a
// call's input may be.
const MaxValue = 1 << 20

// subjectVars are the variables of runs by their subject, and their types.
var subjectVars = map[string]map[string]string{
	"Person":      {VarPerson: "Person"},
	"Application": {VarApplication: "Application"},
	"Contract":    {VarContract: "Contract", VarApplication: "Application"},
	"License":     {VarLicense: "License", VarPerson: "Person", VarApplication: "ApplicationSummary"},
}

// workflowTypes are what a workflow's variables hold. A person is merged from
// every source, so the ids of sources are with the accounts.
var workflowTypes = func() map[string]map[string]*cel.Type {
	person := maps.Clone(policyTypes["Person"])
	for _, name := range []string{"externalId", "aliases", "managerExternalId"} {
		delete(person, name)
	}
	person["accounts"] = cel.ListType(cel.ObjectType("PersonAccount"))
	person["groups"] = cel.ListType(cel.StringType)
	person["manager"] = cel.ObjectType("PersonManager")
	summary := map[string]*cel.Type{
		"name": cel.StringType, "displayName": cel.StringType, "declared": cel.BoolType, "category": cel.StringType, "state": cel.StringType,
		"url": cel.StringType, "tags": cel.ListType(cel.StringType), "owners": cel.ListType(cel.StringType), "connected": cel.BoolType, "inIdP": cel.BoolType,
		"users": cel.IntType, "spend": cel.IntType, "currency": cel.StringType, "sources": cel.ListType(cel.StringType),
	}
	application := maps.Clone(summary)
	application["contracts"] = cel.ListType(cel.ObjectType("Contract"))
	application["accounts"], application["moreAccounts"] = cel.ListType(cel.ObjectType("ApplicationAccount")), cel.IntType
	return map[string]map[string]*cel.Type{
		"Person": person,
		"PersonAccount": {
			"integration": cel.StringType, "externalId": cel.StringType, "username": cel.StringType, "displayName": cel.StringType,
			"status": cel.StringType, "kind": cel.StringType, "role": cel.StringType, "isAdmin": cel.BoolType,
		},
		"PersonManager": {
			"email": cel.StringType, "displayName": cel.StringType, "title": cel.StringType, "department": cel.StringType,
			"employeeId": cel.StringType, "timeZone": cel.StringType, "lifecycle": cel.StringType,
		},
		"Application": application, "ApplicationSummary": summary,
		"ApplicationAccount": {
			"integration": cel.StringType, "externalId": cel.StringType, "username": cel.StringType, "displayName": cel.StringType, "email": cel.StringType,
			"status": cel.StringType, "kind": cel.StringType, "role": cel.StringType, "isAdmin": cel.BoolType,
		},
		"Contract": {
			"name": cel.StringType, "displayName": cel.StringType, "source": cel.StringType, "application": cel.StringType, "vendor": cel.StringType,
			"state": cel.StringType, "start": cel.StringType, "end": cel.StringType, "cancellationDeadline": cel.StringType,
			"renewal": cel.StringType, "autoRenew": cel.BoolType, "noticeDays": cel.IntType, "owner": cel.StringType, "url": cel.StringType,
			"value": cel.IntType, "annual": cel.IntType, "currency": cel.StringType, "lines": cel.ListType(cel.ObjectType("ContractLine")),
		},
		"ContractLine": {
			"plan": cel.StringType, "quantity": cel.IntType, "period": cel.StringType, "unitCostMinor": cel.IntType, "currency": cel.StringType,
		},
		"License": {
			"integration": cel.StringType, "externalId": cel.StringType, "username": cel.StringType, "planKey": cel.StringType, "planName": cel.StringType,
			"policy": cel.StringType, "reason": cel.StringType, "since": cel.StringType, "daysUnused": cel.IntType, "lastUsed": cel.StringType,
			"signal": cel.StringType, "cost": cel.IntType, "currency": cel.StringType,
		},
		"Event": {"kind": cel.StringType, "data": cel.DynType},
		"Org":   policyTypes["Org"],
	}
}()

// WorkflowTypes returns the fields of the typed variables of a workflow, sorted.
func WorkflowTypes() map[string][]string {
	out := map[string][]string{}
	for name, fields := range workflowTypes {
		out[name] = slices.Sorted(maps.Keys(fields))
	}
	return out
}

// Workflow compiles the expressions of Workflows (decision 25). It is stateless.
type Workflow struct{}

var workflowBase = sync.OnceValues(func() (*cel.Env, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, err
	}
	return base(
		cel.CustomTypeProvider(mapProvider{registry, workflowTypes}), cel.CustomTypeAdapter(lazyAdapter{registry}),
		cel.Variable(VarEvent, cel.ObjectType("Event")),
		cel.Variable(VarInput, cel.DynType),
		cel.Variable(VarSteps, Map),
		cel.Variable(VarVars, Map),
		cel.Variable(VarOrg, cel.ObjectType("Org")),
		cel.Variable(VarNow, cel.TimestampType),
	)
})

// workflowOf are the environments by subject.
var workflowOf = func() map[string]func() (*cel.Env, error) {
	out := map[string]func() (*cel.Env, error){}
	for subject, vars := range subjectVars {
		out[subject] = sync.OnceValues(func() (*cel.Env, error) {
			env, err := workflowBase()
			if err != nil {
				return nil, err
			}
			var opts []cel.EnvOption
			for name, of := range vars {
				opts = append(opts, cel.Variable(name, cel.ObjectType(of)))
			}
			return env.Extend(opts...)
		})
	}
	return out
}()

var workflowOutput = sync.OnceValues(func() (*cel.Env, error) {
	return base(
		cel.Variable("resp", cel.DynType),
		cel.Variable("status", cel.IntType),
		cel.Variable("headers", cel.MapType(cel.StringType, cel.StringType)),
	)
})

func workflowEnv(subject string, locals []string) (*Env, error) {
	environment := workflowBase
	if of := workflowOf[subject]; of != nil {
		environment = of
	}
	env, err := environment()
	if err == nil && len(locals) > 0 {
		opts := make([]cel.EnvOption, 0, len(locals))
		for _, name := range locals {
			opts = append(opts, cel.Variable(name, cel.DynType))
		}
		env, err = env.Extend(opts...)
	}
	return &Env{cel: env, cost: CostRecord, pure: true, most: MaxValue}, err
}

// Condition compiles a condition for runs about the subject.
func (Workflow) Condition(subject, source string, locals ...string) (func(map[string]any) (bool, error), error) {
	env, err := workflowEnv(subject, locals)
	if err != nil {
		return nil, err
	}
	p, err := env.Compile(source, Bool)
	if err != nil {
		return nil, err
	}
	return func(vars map[string]any) (bool, error) { return p.EvalBool(context.Background(), vars) }, nil
}

// Value compiles an expression for runs about the subject.
func (Workflow) Value(subject, source string, locals ...string) (func(map[string]any) (any, error), error) {
	env, err := workflowEnv(subject, locals)
	if err != nil {
		return nil, err
	}
	return evaluator(env.Compile(source, Dyn))
}

// List compiles an expression that gives a list, for runs about the subject.
func (Workflow) List(subject, source string, locals ...string) (func(map[string]any) (any, error), error) {
	env, err := workflowEnv(subject, locals)
	if err != nil {
		return nil, err
	}
	return evaluator(env.Compile(source, cel.ListType(cel.DynType)))
}

// Template compiles a text with ${CEL} holes for runs about the subject.
func (Workflow) Template(subject, source string, locals ...string) (func(map[string]any) (any, error), error) {
	env, err := workflowEnv(subject, locals)
	if err != nil {
		return nil, err
	}
	t, err := env.Template(source)
	if err != nil {
		return nil, err
	}
	return func(vars map[string]any) (any, error) { return t.Eval(context.Background(), vars) }, nil
}

// taken are the names that a local may not have: the variables of this and of
// later versions, those of answers, and the words and types of CEL.
var taken = func() map[string]bool {
	m := map[string]bool{}
	for _, name := range strings.Fields(`person application license contract event input steps vars org now resp status headers
		as break const continue else false for function if import in let loop namespace null package return true var void while
		bool bytes double duration dyn int list map null_type optional_type string timestamp type uint`) {
		m[name] = true
	}
	return m
}()

// Local refuses the name of a local variable that would hide another, or that
// no expression could read.
func (Workflow) Local(name string, locals ...string) error {
	switch {
	case slices.Contains(locals, name):
		return fmt.Errorf("%q is the name of an item of the loop around it; take another", name)
	case taken[name]:
		return fmt.Errorf("%q has a meaning of its own in expressions; take another name", name)
	case !localName.MatchString(name):
		return fmt.Errorf("%q is no name: want letters and digits, a lower-case letter first", name)
	}
	return nil
}

var localName = regexp.MustCompile(`^[a-z][a-zA-Z0-9]{0,62}$`)

// Output compiles an expression over what a call answered.
func (Workflow) Output(source string) (func(map[string]any) (any, error), error) {
	env, err := workflowOutput()
	if err != nil {
		return nil, err
	}
	return evaluator((&Env{cel: env, cost: CostRecord, pure: true, most: MaxValue}).Compile(source, Dyn))
}

func evaluator(p *Program, err error) (func(map[string]any) (any, error), error) {
	if err != nil {
		return nil, err
	}
	return func(vars map[string]any) (any, error) { return p.Eval(context.Background(), vars) }, nil
}

// impure names a function in the expression whose result differs from one
// evaluation to the next.
func impure(root ast.Expr) (name string) {
	ast.PreOrderVisit(root, ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.CallKind && e.AsCall().FunctionName() == "randomPassword" {
			name = e.AsCall().FunctionName()
		}
	}))
	return name
}

func impureError(source, name string) error {
	return &Error{Source: source, Line: 1, Column: 1,
		Message: fmt.Sprintf("%s() gives another value each time, and a call that is repeated must be the same call", name)}
}
