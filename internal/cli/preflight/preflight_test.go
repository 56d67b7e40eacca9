// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBusyPortNamesItsOwner(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	port := Port{Number: l.Addr().(*net.TCPAddr).Port, For: "the gateway"}

	problems := Check(Needs{Ports: []Port{port}})
	if len(problems) != 1 {
		t.Fatalf("got %v, want one problem", problems)
	}
	if got := problems[0].String(); !strings.Contains(got, "the gateway") || !strings.Contains(got, "preflight.test") {
		t.Errorf("problem %q names neither the purpose nor the owner", got)
	}
	if got := Check(Needs{Ports: []Port{port}, OwnPIDs: []int{os.Getpid()}}); len(got) != 0 {
		t.Errorf("a port of our own earlier start is a problem: %v", got)
	}
}

func TestGoVersions(t *testing.T) {
	for version, ok := range map[string]bool{
		"go1.26.8": true, "go1.26rc1": true, "go1.27": true, "go2.0": true, "go1.25.9": false, "devel": false,
		"go1.26.1 X:nocoverageredesign": true,
	} {
		if got := checkGo(version, Needs{GoMajor: 1, GoMinor: 26}) == nil; got != ok {
			t.Errorf("%s accepted: %v, want %v", version, got, ok)
		}
	}
}

func TestDiskAndMemory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	if p := checkDisk(Needs{Dir: dir, DiskMiB: 1}); p != nil {
		t.Errorf("1 MiB: %v", p)
	}
	if p := checkDisk(Needs{Dir: dir, DiskMiB: 1 << 40}); p == nil {
		t.Error("an exabyte is available")
	}
	meminfo := filepath.Join(t.TempDir(), "meminfo")
	if err := os.WriteFile(meminfo, []byte("MemTotal: 9999999 kB\nMemAvailable:    2048000 kB\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if p := checkMemory(Needs{MemoryMiB: 2000}, meminfo); p != nil {
		t.Errorf("2000 of 2000 MiB: %v", p)
	}
	if p := checkMemory(Needs{MemoryMiB: 2001}, meminfo); p == nil {
		t.Error("2001 of 2000 MiB accepted")
	}
}
