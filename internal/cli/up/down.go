// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package up

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/cli/preflight"
)

// Down stops what runs with the state folder and keeps the data.
func Down(stateDir string, out io.Writer) error {
	dir, err := filepath.Abs(stateDir)
	if err != nil {
		return err
	}
	r := preflight.ReadRunning(dir)
	if r.PID == 0 || !isSeatkeeper(r.PID) {
		_, _ = fmt.Fprintf(out, "nothing runs with %s\n", dir)
		return nil
	}
	if err := syscall.Kill(r.PID, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop process %d: %w", r.PID, err)
	}
	for deadline := time.Now().Add(2*stopGrace + 5*time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if !isSeatkeeper(r.PID) {
			_, _ = fmt.Fprintf(out, "stopped; the data stays in %s\n", dir)
			return nil
		}
	}
	return fmt.Errorf("process %d has not stopped yet; look at %s, or end it with `kill -9 %d`", r.PID, filepath.Join(dir, "logs"), r.PID)
}

// isSeatkeeper guards against a process id that something else has by now.
func isSeatkeeper(pid int) bool {
	name, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return false
	}
	args := strings.Split(string(name), "\x00")
	if stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat")); err == nil && strings.Contains(string(stat), ") Z ") {
		return false // ended, and not yet collected by its parent
	}
	return len(args) > 1 && strings.Contains(filepath.Base(args[0]), "seatkeeper")
}
