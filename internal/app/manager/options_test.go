// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"bytes"
	"strings"
	"testing"
)

func TestParseFlags(t *testing.T) {
	var out bytes.Buffer
	o, err := ParseFlags([]string{"--store", "sqlite:/tmp/x", "--gateway", "--connector-endpoint", "zoom.us=http://127.0.0.1:9",
		"--connector-endpoint", "slack.com=http://127.0.0.1:8", "--allowed-network", "10.0.0.0/8", "--watch-namespace", "acme",
		"--service-account", "sys:mgr", "--log-format", "text"}, &out)
	if err != nil {
		t.Fatal(err)
	}
	if o.LeaderElect {
		t.Error("SQLite is one process: there is nobody to elect a leader with")
	}
	if len(o.ConnectorEndpoints) != 2 || len(o.AllowedNetworks) != 1 || o.ServiceAccount.Name != "mgr" || !o.Gateway {
		t.Errorf("options %+v", o)
	}
	if o, err = ParseFlags([]string{"--store", "postgres://db/x"}, &out); err != nil || !o.LeaderElect {
		t.Errorf("PostgreSQL elects a leader: %v, %v", o.LeaderElect, err)
	}
	for _, bad := range [][]string{
		{}, {"--store", "sqlite:/x", "extra"}, {"--store", "sqlite:/x", "--connector-endpoint", "zoom.us"},
		{"--store", "sqlite:/x", "--allowed-network", "10.0.0.0"}, {"--store", "sqlite:/x", "--service-account", "x"},
		{"--store", "sqlite:/x", "--log-level", "loud"}, {"--store", "sqlite:/x", "--log-format", "xml"},
		{"--store", "sqlite:/x", "--gateway-cert-file", "a"}, {"--store", "sqlite:/x", "--status-interval", "1ms"},
		{"--store", "sqlite:/x", "--pprof-bind-address", ":6060"},
	} {
		if _, err := ParseFlags(bad, &out); err == nil {
			t.Errorf("%s was accepted", strings.Join(bad, " "))
		}
	}
}

func TestKeyring(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := loadKeyring(Options{Store: "postgres://db/x"}); err == nil {
		t.Error("PostgreSQL without a keyring must be refused: replicas would seal with different keys")
	}
	_, path, err := loadKeyring(Options{Store: "sqlite:" + dir})
	if err != nil {
		t.Fatal(err)
	}
	first, err := promptKey(path)
	if err != nil || len(first) != 32 {
		t.Fatalf("prompt key of %d bytes: %v", len(first), err)
	}
	if _, _, err := loadKeyring(Options{Store: "sqlite:" + dir}); err != nil {
		t.Fatal(err)
	}
	again, err := promptKey(path)
	if err != nil || !bytes.Equal(first, again) {
		t.Error("a second start voids the questions that are out")
	}
}
