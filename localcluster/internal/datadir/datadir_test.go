// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package datadir

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func open(t *testing.T, path string) *Dir {
	t.Helper()
	dir, err := Open(path, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() })
	return dir
}

func listenOn(t *testing.T, dir *Dir, port int) (net.Listener, int) {
	t.Helper()
	listener, err := dir.Listen("127.0.0.1", port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener, listener.Addr().(*net.TCPAddr).Port
}

func TestOneOwnerAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	first := open(t, path)
	var locked *LockedError
	if _, err := Open(path, false); !errors.As(err, &locked) || locked.PID != os.Getpid() {
		t.Fatalf("second opener: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, path)
}

func TestPortIsKeptIfItIsFree(t *testing.T) {
	dir := open(t, t.TempDir())
	listener, chosen := listenOn(t, dir, 0)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	again, kept := listenOn(t, dir, 0)
	if kept != chosen {
		t.Errorf("second start chose %d, first chose %d", kept, chosen)
	}
	// It is taken now.
	_, other := listenOn(t, dir, 0)
	if other == chosen {
		t.Error("two listeners on one port")
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if _, latest := listenOn(t, dir, chosen); latest != chosen {
		t.Errorf("asked for %d, got %d", chosen, latest)
	}
}

func TestBusyPortIsNamed(t *testing.T) {
	dir := open(t, t.TempDir())
	_, port := listenOn(t, dir, 0)
	_, err := dir.Listen("127.0.0.1", port)
	if err == nil || !strings.Contains(err.Error(), "port "+strconv.Itoa(port)+" on 127.0.0.1 is in use") {
		t.Errorf("error is %v", err)
	}
}

func TestDamagedPortFileIsIgnored(t *testing.T) {
	dir := open(t, t.TempDir())
	for _, content := range []string{"", "x", "-1", "99999999999999999999", "70000"} {
		if err := os.WriteFile(dir.Path(portName), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, port := listenOn(t, dir, 0); port == 0 {
			t.Errorf("no port with %q", content)
		}
	}
}

func TestEphemeralDirectoryIsRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	dir, err := Open(path, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("directory stays: %v", err)
	}
}
