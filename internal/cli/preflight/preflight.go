// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package preflight examines a machine before anything is built or started on
// it. It imports the standard library only, so that it can run before the
// first build has downloaded a module.
package preflight

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// Needs is what a machine must have.
type Needs struct {
	GoMajor, GoMinor int    // 0: no Go toolchain needed
	DiskMiB          uint64 // free at Dir
	MemoryMiB        uint64 // available
	Dir              string
	Ports            []Port // on 127.0.0.1
	// OwnPIDs are processes of an earlier start; a port they hold is theirs.
	OwnPIDs []int
}

// Port is a TCP port on 127.0.0.1 and what it is for.
type Port struct {
	Number int
	For    string
}

// Problem is one unmet need: what is wrong and what mends it.
type Problem struct{ What, Mend string }

func (p Problem) String() string { return p.What + "; " + p.Mend }

// Check returns every unmet need, in a fixed order.
func Check(n Needs) []Problem {
	var out []Problem
	add := func(p *Problem) {
		if p != nil {
			out = append(out, *p)
		}
	}
	if n.GoMajor > 0 {
		add(checkGo(runtime.Version(), n))
	}
	add(checkDisk(n))
	add(checkMemory(n, "/proc/meminfo"))
	for _, p := range n.Ports {
		add(checkPort(p, n.OwnPIDs))
	}
	return out
}

func checkGo(version string, n Needs) *Problem {
	major, minor, ok := parseGoVersion(version)
	if ok && (major > n.GoMajor || major == n.GoMajor && minor >= n.GoMinor) {
		return nil
	}
	return &Problem{
		What: fmt.Sprintf("Go %d.%d or newer is needed, this is %s", n.GoMajor, n.GoMinor, version),
		Mend: "install it from https://go.dev/dl and put it first in PATH",
	}
}

func parseGoVersion(v string) (major, minor int, ok bool) {
	v, _, _ = strings.Cut(strings.TrimPrefix(v, "go"), " ")
	parts := strings.SplitN(v, ".", 3)
	if len(parts) < 2 {
		return 0, 0, false
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(leadingDigits(parts[1])) // "26rc1" is 26
	return major, minor, err1 == nil && err2 == nil
}

func leadingDigits(s string) string {
	for i, r := range s {
		if r < '0' || r > '9' {
			return s[:i]
		}
	}
	return s
}

func checkDisk(n Needs) *Problem {
	if n.DiskMiB == 0 {
		return nil
	}
	dir := existingParent(n.Dir)
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return &Problem{What: fmt.Sprintf("cannot read the free space of %s: %v", dir, err), Mend: "choose another folder with STATE=DIR"}
	}
	free := st.Bavail * uint64(st.Bsize) >> 20
	if free >= n.DiskMiB {
		return nil
	}
	return &Problem{
		What: fmt.Sprintf("%d MiB are free at %s, %d MiB are needed", free, dir, n.DiskMiB),
		Mend: "free some space, or choose another folder with STATE=DIR",
	}
}

func existingParent(dir string) string {
	for dir != "/" && dir != "." && dir != "" {
		if _, err := os.Stat(dir); err == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	if dir == "" {
		return "."
	}
	return dir
}

func checkMemory(n Needs, meminfo string) *Problem {
	if n.MemoryMiB == 0 {
		return nil
	}
	have, err := availableMemory(meminfo)
	if err != nil || have >= n.MemoryMiB {
		return nil // not knowing is no reason to refuse
	}
	return &Problem{
		What: fmt.Sprintf("%d MiB of memory are available, %d MiB are needed", have, n.MemoryMiB),
		Mend: "stop another program, or use a larger machine",
	}
}

func availableMemory(meminfo string) (mib uint64, err error) {
	f, err := os.Open(meminfo)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	for s := bufio.NewScanner(f); s.Scan(); {
		if fields := strings.Fields(s.Text()); len(fields) >= 2 && fields[0] == "MemAvailable:" {
			kib, err := strconv.ParseUint(fields[1], 10, 64)
			return kib >> 10, err
		}
	}
	return 0, errors.New("no MemAvailable line")
}

func checkPort(p Port, own []int) *Problem {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Number)))
	if err == nil {
		_ = l.Close()
		return nil
	}
	pid, command := portOwner(p.Number)
	for _, o := range own {
		if o == pid {
			return nil
		}
	}
	owner := "another program (its process is not visible to this user)"
	if pid > 0 {
		owner = fmt.Sprintf("process %d (%s)", pid, command)
	}
	return &Problem{
		What: fmt.Sprintf("port %d, wanted for %s, is used by %s", p.Number, p.For, owner),
		Mend: "stop that program, or move all ports with UP_FLAGS='--port-base N'",
	}
}
