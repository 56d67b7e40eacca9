// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package connectors holds the built-in connectors: one folder of data each.
package connectors

import (
	"embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/seatkeeper/seatkeeper/internal/connector"
)

//go:embed */connector.yaml
var files embed.FS

var load = sync.OnceValues(func() (map[string]*connector.Manifest, error) {
	all := map[string]*connector.Manifest{}
	for _, name := range Names() {
		file := name + "/connector.yaml"
		data, err := files.ReadFile(file)
		if err != nil {
			return nil, err
		}
		m, err := connector.LoadBuiltin("connectors/"+file, data)
		if err != nil {
			return nil, err
		}
		if m.Name() != name {
			return nil, fmt.Errorf("connectors/%s: metadata.name is %q, want the folder's name", file, m.Name())
		}
		all[name] = m
	}
	return all, nil
})

// Names returns the names of the built-in connectors, sorted.
func Names() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil // the embedded root always exists
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names
}

// Builtin returns the built-in connector of that name.
func Builtin(name string) (*connector.Manifest, error) {
	all, err := load()
	if err != nil {
		return nil, err
	}
	m, ok := all[name]
	if !ok {
		return nil, fmt.Errorf("connector %q is not built in; the built-in ones are %s", name, strings.Join(Names(), ", "))
	}
	return m, nil
}
