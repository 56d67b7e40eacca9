// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package datadir owns the directory that a local control plane keeps its state
// in: one process at a time, and a port that stays the same between starts.
package datadir

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

const (
	lockName = "lock"
	portName = "port"
)

// Dir is an open, locked data directory.
type Dir struct {
	path      string
	lock      *os.File
	ephemeral bool
}

// LockedError says that another process has the directory open.
type LockedError struct {
	Path string
	// PID is 0 if the owner has not written it yet.
	PID int
}

// Error implements error.
func (e *LockedError) Error() string {
	owner := "another process"
	if e.PID != 0 {
		owner = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("data directory %s is in use by %s; stop that process or choose another --data-dir", e.Path, owner)
}

// Open creates the directory if necessary and locks it. The lock is the
// kernel's, so it ends with the process however the process ends. An ephemeral
// directory must be new, and Close removes it.
func Open(path string, ephemeral bool) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if ephemeral {
		entries, err := os.ReadDir(path)
		if len(entries) > 0 {
			return nil, fmt.Errorf("data directory %s is not empty, and --ephemeral would remove it", path)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if err := os.MkdirAll(filepath.Join(path, "pki"), 0o700); err != nil {
		return nil, fmt.Errorf("create data directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer func() { _ = lock.Close() }()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &LockedError{Path: path, PID: readNumber(lock.Name())}
		}
		return nil, fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	err = lock.Truncate(0)
	if err == nil {
		_, err = lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", lock.Name(), err), lock.Close())
	}
	return &Dir{path: path, lock: lock, ephemeral: ephemeral}, nil
}

// Close releases the lock.
func (d *Dir) Close() error {
	if d.ephemeral {
		return errors.Join(os.RemoveAll(d.path), d.lock.Close())
	}
	// The file stays: removing it would let two later processes lock two
	// different files of the same name.
	return errors.Join(d.lock.Truncate(0), d.lock.Close())
}

// Path returns the absolute path of the elements below the directory.
func (d *Dir) Path(elem ...string) string {
	return filepath.Join(append([]string{d.path}, elem...)...)
}

// Listen opens the port that clients connect to. Port 0 means the port of the
// last start if that is free, else any free one, and remembers it.
func (d *Dir) Listen(address string, port int) (net.Listener, error) {
	if port != 0 {
		listener, err := listen(address, port)
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("port %d on %s is in use by another process (`ss -ltnp 'sport = :%d'` names it); "+
				"stop it, or choose another --secure-port, or 0 for any free port: %w", port, address, port, err)
		}
		return listener, err
	}
	if last := readNumber(d.Path(portName)); last != 0 {
		if listener, err := listen(address, last); err == nil {
			return listener, nil
		}
	}
	listener, err := listen(address, 0)
	if err != nil {
		return nil, err
	}
	chosen := listener.Addr().(*net.TCPAddr).Port
	if err := WriteFile(d.Path(portName), []byte(strconv.Itoa(chosen)+"\n"), 0o600); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

func listen(address string, port int) (net.Listener, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("open port %d on %s: %w", port, address, err)
	}
	return listener, nil
}

// readNumber returns 0 if the file has no number: each number in the directory
// is a hint that the program can do without.
func readNumber(path string) int {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	number, err := strconv.Atoi(string(bytes.TrimSpace(data)))
	if err != nil || number < 0 {
		return 0
	}
	return number
}

// WriteFile replaces the file in one step, so that a killed process
// leaves the old content or the new.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(mode), tmp.Close())
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(tmp.Name(), path)
}
