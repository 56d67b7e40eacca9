// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// portOwner finds the process that listens on a local TCP port by way of
// /proc; pid is 0 when it cannot be seen.
func portOwner(port int) (pid int, command string) {
	inodes := listeningInodes(port, "/proc/net/tcp", "/proc/net/tcp6")
	if len(inodes) == 0 {
		return 0, ""
	}
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		target, err := os.Readlink(fd)
		if err != nil || !inodes[target] {
			continue
		}
		dir := strings.SplitN(strings.TrimPrefix(fd, "/proc/"), "/", 2)[0]
		pid, err := strconv.Atoi(dir)
		if err != nil {
			continue
		}
		name, _ := os.ReadFile(filepath.Join("/proc", dir, "comm"))
		return pid, strings.TrimSpace(string(name))
	}
	return 0, ""
}

// listeningInodes returns the "socket:[N]" names of sockets in state LISTEN on
// the port (proc(5), /proc/net/tcp).
func listeningInodes(port int, tables ...string) map[string]bool {
	out := map[string]bool{}
	suffix := fmt.Sprintf(":%04X", port)
	for _, table := range tables {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		for s := bufio.NewScanner(f); s.Scan(); {
			fields := strings.Fields(s.Text())
			if len(fields) > 9 && strings.HasSuffix(fields[1], suffix) && fields[3] == "0A" {
				out["socket:["+fields[9]+"]"] = true
			}
		}
		_ = f.Close()
	}
	return out
}
