// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// LockedError says that another process has the SQLite store open
// (decision 6: exactly one process).
type LockedError struct {
	Dir string
	PID string // as the owner wrote it; may be empty
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("store %s is in use by process %s: SQLite serves one process; stop that one, or use PostgreSQL", e.Dir, e.PID)
}

// lockDir takes an flock that the kernel drops when the process dies, so a
// crash leaves nothing to clean up.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the store's lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		owner, _ := io.ReadAll(io.LimitReader(f, 32))
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &LockedError{Dir: dir, PID: strings.TrimSpace(string(owner))}
		}
		return nil, fmt.Errorf("lock the store: %w", err)
	}
	if err := errors.Join(f.Truncate(0), writePID(f)); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("write the store's lock: %w", err)
	}
	return f, nil
}

func writePID(f *os.File) error {
	_, err := f.WriteAt([]byte(fmt.Sprintf("%d\n", os.Getpid())), 0)
	return err
}

// Magic numbers of statfs(2) for file systems whose locks SQLite cannot trust.
var networkFS = map[int64]string{0x6969: "NFS", 0xff534d42: "CIFS", 0xfe534d42: "SMB2", 0x517b: "SMB"}

func refuseNetworkFS(dir string) error {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return fmt.Errorf("examine the file system of %s: %w", dir, err)
	}
	if name, ok := networkFS[st.Type]; ok {
		return fmt.Errorf("store %s is on %s, whose locks SQLite cannot trust: use a local disk, or PostgreSQL", dir, name)
	}
	return nil
}
