// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// EnvPostgres names the variable with the DSN of a server to make databases on.
const EnvPostgres = "SEATKEEPER_TEST_POSTGRES"

const installHint = "it is not installed; install it with: sudo apt-get install -y postgresql"

// adminDSN returns the server to make databases on, starting one if need be.
var adminDSN = sync.OnceValues(func() (string, error) {
	if dsn := os.Getenv(EnvPostgres); dsn != "" {
		return dsn, nil
	}
	bin, err := postgresBin()
	if err != nil {
		return "", err
	}
	return startServer(bin)
})

// postgresBin finds Debian's binaries, which are not on the PATH by default.
func postgresBin() (string, error) {
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	slices.SortFunc(dirs, func(a, b string) int { return version(b) - version(a) })
	if p, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(p); err == nil {
			dirs = append([]string{filepath.Dir(real)}, dirs...)
		}
	}
	for _, d := range dirs {
		if _, err := os.Stat(filepath.Join(d, "initdb")); err == nil {
			if _, err := os.Stat(filepath.Join(d, "postgres")); err == nil {
				return d, nil
			}
		}
	}
	return "", errors.New(installHint)
}

func version(dir string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
	if err != nil {
		return 0
	}
	return n
}

const serverDirPrefix = "seatkeeper-pg-"

// startServer starts a server that listens on a Unix socket only and ends with
// this process, however that ends.
func startServer(bin string) (string, error) {
	removeStale()
	dir, err := os.MkdirTemp("/tmp", serverDirPrefix) // a socket's path must be short
	if err != nil {
		return "", err
	}
	attr := &syscall.SysProcAttr{}
	if os.Getuid() == 0 { // PostgreSQL refuses to run as root
		if attr.Credential, err = unprivileged(); err != nil {
			return "", err
		}
		if err := os.Chown(dir, int(attr.Credential.Uid), int(attr.Credential.Gid)); err != nil {
			return "", err
		}
	}
	data := filepath.Join(dir, "data")
	var out bytes.Buffer
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "seatkeeper", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync") //nolint:gosec // found above
	initdb.SysProcAttr, initdb.Dir, initdb.Stdout, initdb.Stderr = attr, dir, &out, &out
	if err := initdb.Run(); err != nil {
		return "", fmt.Errorf("initdb: %w\n%s", err, out.String())
	}
	server := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "max_connections=200") //nolint:gosec // found above
	logFile, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return "", err
	}
	server.Dir, server.Stdout, server.Stderr = dir, logFile, logFile
	attr2 := *attr
	attr2.Pdeathsig = syscall.SIGINT // fast shutdown
	server.SysProcAttr = &attr2
	exited := make(chan error, 1)
	started := make(chan error, 1)
	go func() {
		// The kernel ties the signal to the thread that started the child.
		runtime.LockOSThread()
		err := server.Start()
		started <- err
		if err == nil {
			exited <- server.Wait()
		}
	}()
	if err := <-started; err != nil {
		return "", fmt.Errorf("start postgres: %w", err)
	}
	dsn := (&url.URL{Scheme: "postgres", User: url.User("seatkeeper"), Path: "/postgres", RawQuery: url.Values{"host": {dir}}.Encode()}).String()
	return dsn, awaitServer(dsn, logFile.Name(), exited)
}

func awaitServer(dsn, log string, exited <-chan error) error {
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := db.PingContext(ctx)
		if err == nil {
			return nil
		}
		select {
		case exit := <-exited:
			text, _ := os.ReadFile(log) // without it the exit is still told
			return fmt.Errorf("postgres ended at once (%w):\n%s", exit, text)
		case <-ctx.Done():
			return fmt.Errorf("postgres does not answer, see %s: %w", log, err)
		case <-tick.C:
		}
	}
}

// unprivileged returns the user to run PostgreSQL as when this process is root.
func unprivileged() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errU := strconv.ParseUint(u.Uid, 10, 32)
		gid, errG := strconv.ParseUint(u.Gid, 10, 32)
		if errU == nil && errG == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("running as root, and there is neither a user postgres nor nobody to run it as")
}

// removeStale deletes what servers of test binaries that have ended left.
func removeStale() {
	dirs, err := filepath.Glob("/tmp/" + serverDirPrefix + "*")
	if err != nil {
		return
	}
	for _, d := range dirs {
		pid, err := os.ReadFile(filepath.Join(d, "data", "postmaster.pid"))
		if err == nil {
			first, _, _ := strings.Cut(string(pid), "\n")
			n, err := strconv.Atoi(strings.TrimSpace(first))
			if err == nil && syscall.Kill(n, 0) != syscall.ESRCH {
				continue
			}
		} else if info, err := os.Stat(d); err != nil || time.Since(info.ModTime()) < time.Minute {
			continue // being set up by another test binary
		}
		_ = os.RemoveAll(d) // another test binary may be doing the same
	}
}
