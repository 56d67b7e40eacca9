// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package flowtest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	k8sjson "sigs.k8s.io/json"
	k8syaml "sigs.k8s.io/yaml"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/connectors"
	workflowctl "github.com/seatkeeper/seatkeeper/controllers/workflow"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// Workflow is one that can be carried out.
type Workflow struct {
	Path string
	Name string
	Spec v1alpha1.WorkflowSpec
	workflowctl.Compiled
	doc   yaml.Node
	calls []*Workflow // that its steps run, and those of these
}

// ReadWorkflow reads a Workflow's file and checks it as far as that goes
// without a cluster. Of given it takes what the names of Integrations and
// Workflows stand for.
func ReadWorkflow(path string, given Given) (*Workflow, error) {
	w, err := readWorkflow(path, given.Integrations)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{w.Name: true}
	for open := []*Workflow{w}; len(open) > 0; open = open[1:] {
		for _, name := range calls(open[0].Definition.Steps, calls(open[0].Definition.OnFailure, nil)) {
			if known[name] {
				continue
			}
			known[name] = true
			file, ok := given.Workflows[name]
			if !ok {
				return nil, fmt.Errorf("%s: a step runs Workflow %q, whose file is not named: add it to given.workflows of the test", open[0].Path, name)
			}
			called, err := readWorkflow(file, given.Integrations)
			if err != nil {
				return nil, err
			}
			if called.Name != name {
				return nil, fmt.Errorf("%s: is Workflow %q, and given.workflows calls it %q", file, called.Name, name)
			}
			w.calls, open = append(w.calls, called), append(open, called)
		}
	}
	return w, nil
}

// calls lists the Workflows that steps run.
func calls(steps []workflow.Step, out []string) []string {
	for _, s := range steps {
		switch {
		case s.Workflow != nil:
			out = append(out, s.Workflow.Name)
		case s.ForEach != nil:
			out = calls(s.ForEach.Steps, out)
		case s.Switch != nil:
			for _, c := range s.Switch.When {
				out = calls(c.Steps, out)
			}
			out = calls(s.Switch.Otherwise, out)
		}
	}
	return out
}

func readWorkflow(path string, integrations map[string]Integration) (*Workflow, error) {
	raw, err := read(path)
	if err != nil {
		return nil, err
	}
	w := &Workflow{Path: path}
	if err := yaml.Unmarshal(raw, &w.doc); err != nil {
		return nil, located(path, err)
	}
	asJSON, err := k8syaml.YAMLToJSONStrict(raw)
	if err != nil {
		return nil, located(path, err)
	}
	var obj v1alpha1.Workflow
	strict, err := k8sjson.UnmarshalStrict(asJSON, &obj)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(strict) > 0 {
		return nil, w.at(unknownField(strict[0]))
	}
	if obj.Kind != v1alpha1.KindWorkflow || obj.APIVersion != v1alpha1.GroupVersion.String() {
		return nil, fmt.Errorf("%s:1: is %s %s, want %s %s", path, obj.APIVersion, obj.Kind, v1alpha1.GroupVersion, v1alpha1.KindWorkflow)
	}
	w.Name, w.Spec = obj.Name, obj.Spec
	if w.Name == "" {
		return nil, fmt.Errorf("%s:1: metadata.name is missing", path)
	}
	w.Compiled, err = workflowctl.Compile(obj.Spec, expr.Workflow{}, func(integration, name string) (workflowctl.Action, bool, bool) {
		info, known, ok := describe(integrations, integration, name)
		a := workflowctl.Action{Acts: info.Mode == connector.ModeAct, Destructive: info.Destructive, Grants: info.Effect == connector.EffectGrants, Removes: info.Effect == connector.EffectRemoves}
		for _, in := range info.Input {
			a.Inputs = append(a.Inputs, workflowctl.Input{Name: in.Name, Required: in.Required})
		}
		return a, known, ok
	})
	if err != nil {
		return nil, w.at(err.Error())
	}
	return w, nil
}

// describe finds an action of the connector that an Integration has.
func describe(integrations map[string]Integration, integration, name string) (info connector.ActionInfo, known, ok bool) {
	of := integrations[integration].Connector
	if of == "" {
		of = integration
	}
	m, err := connectors.Builtin(of)
	if err != nil {
		return info, false, false
	}
	for _, a := range m.Actions() {
		if a.Name == name {
			return a, true, true
		}
	}
	return info, true, false
}

var unknown = regexp.MustCompile(`^(unknown|duplicate) field "([^"]+)"`)

func unknownField(err error) string {
	if m := unknown.FindStringSubmatch(err.Error()); m != nil {
		return m[2] + ": there is no such field, or it is there twice"
	}
	return err.Error()
}

// at says in which line of the file the field stands that a message begins with.
func (w *Workflow) at(message string) error {
	field, _, _ := strings.Cut(message, ": ")
	return fmt.Errorf("%s:%d: %s", w.Path, lineOf(&w.doc, field), message)
}

var segment = regexp.MustCompile(`[^.\[\]]+|\[[^\]]*\]`)

// lineOf finds a field such as spec.steps[signOut].when in a document: the line
// of the last part that is there.
func lineOf(doc *yaml.Node, field string) int {
	at := doc
	if at.Kind == yaml.DocumentNode && len(at.Content) > 0 {
		at = at.Content[0]
	}
	line := max(at.Line, 1)
	for _, part := range segment.FindAllString(field, -1) {
		next, on := child(at, strings.Trim(part, "[]"))
		if next == nil {
			break
		}
		at, line = next, on
	}
	return line
}

// child is what a mapping or a sequence has under a key, a name or an index.
func child(n *yaml.Node, key string) (*yaml.Node, int) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				return n.Content[i+1], n.Content[i].Line
			}
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			if name, _ := child(item, "name"); name != nil && name.Value == key {
				return item, item.Line
			}
		}
		if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i], n.Content[i].Line
		}
	case yaml.AliasNode:
		return child(n.Alias, key)
	case yaml.DocumentNode, yaml.ScalarNode:
	}
	return nil, 0
}
