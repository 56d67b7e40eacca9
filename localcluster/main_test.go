// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	// childEnv makes the test binary behave as localcluster.
	childEnv = "LOCALCLUSTER_TEST_CHILD"

	startTimeout = 2 * time.Minute
	// stopLimit is the promise of a stop within a few seconds, with room for a
	// busy machine.
	stopLimit    = 20 * time.Second
	eventualTime = time.Minute
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		main()
	}
	os.Exit(m.Run())
}

// child is a localcluster process.
type child struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr *bytes.Buffer
	ready  readyLine
	// line is what it printed to the standard output first.
	line string
	done chan error
}

// launch starts the process without waiting for it to be ready.
func launch(t *testing.T, args ...string) *child {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, stderr: &bytes.Buffer{}, done: make(chan error, 1)}
	c.cmd = exec.Command(executable, append(args, "--etcd-unsafe-no-fsync", "--exit-with-parent")...)
	c.cmd.Env = append(os.Environ(), childEnv+"=1")
	c.cmd.Stderr = c.stderr
	stdout, output := io.Pipe()
	c.cmd.Stdout = output
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if c.cmd.ProcessState == nil {
			_ = c.cmd.Process.Kill()
		}
	})
	go func() {
		err := c.cmd.Wait()
		_ = output.Close()
		c.done <- err
	}()
	timeout := time.AfterFunc(startTimeout, func() { _ = output.CloseWithError(errors.New("start timed out")) })
	defer timeout.Stop()
	c.line, _ = bufio.NewReader(stdout).ReadString('\n')
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	return c
}

// start starts the process and waits until it is ready.
func start(t *testing.T, args ...string) *child {
	t.Helper()
	c := launch(t, args...)
	if err := json.Unmarshal([]byte(c.line), &c.ready); err != nil || !c.ready.Ready {
		t.Fatalf("ready line %q: %v\n%s", c.line, err, c.stderr)
	}
	return c
}

func (c *child) client() *kubernetes.Clientset {
	c.t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", c.ready.Kubeconfig)
	if err != nil {
		c.t.Fatal(err)
	}
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		c.t.Fatal(err)
	}
	return client
}

// exit waits for the end of the process and returns its exit code.
func (c *child) exit() int {
	c.t.Helper()
	select {
	case <-c.done:
		return c.cmd.ProcessState.ExitCode()
	case <-time.After(stopLimit):
		c.t.Fatalf("still running after %s", stopLimit)
		return -1
	}
}

func (c *child) terminate() {
	c.t.Helper()
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		c.t.Fatal(err)
	}
	if code := c.exit(); code != 0 {
		c.t.Fatalf("exit code %d after SIGTERM\n%s", code, c.stderr)
	}
}

func eventually(t *testing.T, what string, check func(context.Context) (bool, error)) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, eventualTime, true, check); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func configMap(name string, owners ...metav1.OwnerReference) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: owners}, Data: map[string]string{"key": "value"}}
}

// TestControlPlane is one test of one process, because each start takes seconds.
func TestControlPlane(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first := start(t, "--data-dir", dir)
	client := first.client()

	t.Run("ready line and files", func(t *testing.T) { checkFiles(t, first, dir) })
	t.Run("a second process is refused", func(t *testing.T) {
		second := launch(t, "--data-dir", dir)
		if code := second.exit(); code != 1 || !strings.Contains(second.stderr.String(), fmt.Sprintf("process %d", first.ready.PID)) {
			t.Errorf("exit code %d, want 1 and the owner's pid %d in:\n%s", code, first.ready.PID, second.stderr)
		}
	})
	t.Run("a busy port is named", func(t *testing.T) {
		port := first.ready.Server[strings.LastIndex(first.ready.Server, ":")+1:]
		other := launch(t, "--data-dir", filepath.Join(t.TempDir(), "data"), "--secure-port", port)
		if code := other.exit(); code != 1 || !strings.Contains(other.stderr.String(), "port "+port+" on 127.0.0.1 is in use") {
			t.Errorf("exit code %d, want 1 and the port in:\n%s", code, other.stderr)
		}
	})
	t.Run("a deleted namespace vanishes with its content", func(t *testing.T) { checkNamespaceDeletion(t, client) })
	t.Run("owner references are collected", func(t *testing.T) { checkGarbageCollection(t, client) })
	t.Run("version", func(t *testing.T) { checkVersion(t, client) })
	t.Run("service account tokens", func(t *testing.T) { checkTokens(t, client) })
	t.Run("etcd refuses strangers", func(t *testing.T) { checkEtcdIsClosed(t, first) })

	if _, err := client.CoreV1().ConfigMaps("default").Create(t.Context(), configMap("kept"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	// An open watch must not delay the stop.
	watch, err := client.CoreV1().ConfigMaps("").Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	first.terminate()

	second := start(t, "--data-dir", dir)
	if second.ready.Server != first.ready.Server {
		t.Errorf("the second start serves at %s, the first served at %s", second.ready.Server, first.ready.Server)
	}
	// The client made from the first start's kubeconfig is still trusted, and trusts.
	kept, err := client.CoreV1().ConfigMaps("default").Get(t.Context(), "kept", metav1.GetOptions{})
	if err != nil || kept.Data["key"] != "value" {
		t.Errorf("after the second start: %v, %v", kept, err)
	}
	second.terminate()
}

func checkFiles(t *testing.T, c *child, dir string) {
	want := readyLine{
		Ready: true, PID: c.cmd.Process.Pid, Server: c.ready.Server,
		Kubeconfig: filepath.Join(dir, "kubeconfig"), CAFile: filepath.Join(dir, "ca.crt"),
	}
	if c.ready != want || !strings.HasPrefix(c.ready.Server, "https://127.0.0.1:") {
		t.Errorf("ready line is %+v, want %+v", c.ready, want)
	}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		secret := entry.IsDir() || strings.HasSuffix(path, ".key") || entry.Name() == "kubeconfig" || strings.Contains(path, "/etcd/")
		if err == nil && secret && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		// etcd renames its files while it runs.
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func checkNamespaceDeletion(t *testing.T, client kubernetes.Interface) {
	ctx := t.Context()
	namespaces := client.CoreV1().Namespaces()
	if _, err := namespaces.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "doomed"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().ConfigMaps("doomed").Create(ctx, configMap("content"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := namespaces.Delete(ctx, "doomed", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "namespace vanishes", func(ctx context.Context) (bool, error) {
		_, err := namespaces.Get(ctx, "doomed", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	// A new namespace of the name must not inherit what the old one held.
	if _, err := namespaces.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "doomed"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().ConfigMaps("doomed").Get(ctx, "content", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the config map outlived its namespace: %v", err)
	}
}

func checkGarbageCollection(t *testing.T, client kubernetes.Interface) {
	ctx := t.Context()
	configMaps := client.CoreV1().ConfigMaps("default")
	owner, err := configMaps.Create(ctx, configMap("owner"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	reference := metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID}
	for _, object := range []*corev1.ConfigMap{configMap("owned", reference), configMap("stranger")} {
		if _, err := configMaps.Create(ctx, object, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := configMaps.Delete(ctx, "owner", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "owned object is collected", func(ctx context.Context) (bool, error) {
		_, err := configMaps.Get(ctx, "owned", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	if _, err := configMaps.Get(ctx, "stranger", metav1.GetOptions{}); err != nil {
		t.Errorf("an object without owner: %v", err)
	}
}

// checkVersion: kubectl and Helm parse the version, and charts compare it.
func checkVersion(t *testing.T, client kubernetes.Interface) {
	info, err := client.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	goMod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if want := "\tk8s.io/kubernetes " + info.GitVersion + "\n"; !strings.Contains(string(goMod), want) {
		t.Errorf("the server says it is %q, which go.mod does not require", info.GitVersion)
	}
}

func checkTokens(t *testing.T, client kubernetes.Interface) {
	ctx := t.Context()
	token, err := client.CoreV1().ServiceAccounts("default").CreateToken(ctx, "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	review, err := client.AuthenticationV1().TokenReviews().Create(ctx,
		&authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token.Status.Token}}, metav1.CreateOptions{})
	if err != nil || review.Status.User.Username != "system:serviceaccount:default:default" {
		t.Errorf("review says %+v, %v", review, err)
	}
}

// checkEtcdIsClosed tries every port that the process listens on without a
// certificate of etcd's authority: only the API server may answer.
func checkEtcdIsClosed(t *testing.T, c *child) {
	ports := listeningPorts(t, c.ready.PID)
	// The API server, etcd's clients, etcd's peers.
	if len(ports) != 3 {
		t.Fatalf("the process listens on %v, want 3 ports", ports)
	}
	var answered []int
	for _, port := range ports {
		conn, err := tls.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
			&tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}) //nolint:gosec // Who answers is the question here, not whether it is genuine.
		if err == nil {
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			_, err = conn.Write([]byte("GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
			if err == nil {
				_, err = conn.Read(make([]byte, 1))
			}
			_ = conn.Close()
		}
		if err == nil {
			answered = append(answered, port)
		}
	}
	if len(answered) != 1 || !strings.HasSuffix(c.ready.Server, ":"+strconv.Itoa(answered[0])) {
		t.Errorf("ports %v answer a client without certificate, want only that of %s", answered, c.ready.Server)
	}
}

// listeningPorts reads /proc, which only Linux has.
func listeningPorts(t *testing.T, pid int) []int {
	t.Helper()
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(fds) == 0 {
		t.Skip("no /proc")
	}
	inodes := map[string]bool{}
	for _, fd := range fds {
		target, _ := os.Readlink(fd)
		inodes[strings.TrimSuffix(strings.TrimPrefix(target, "socket:["), "]")] = true
	}
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", pid))
	if err != nil {
		t.Fatal(err)
	}
	var ports []int
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		const listening = "0A"
		if len(fields) < 10 || fields[3] != listening || !inodes[fields[9]] {
			continue
		}
		_, hex, _ := strings.Cut(fields[1], ":")
		port, err := strconv.ParseInt(hex, 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, int(port))
	}
	return ports
}

func TestEphemeralChildEndsWithItsParent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	c := start(t, "--data-dir", dir, "--ephemeral")
	if err := c.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	// The removal is the last thing; a signal in between must not prevent it.
	for range time.Tick(10 * time.Millisecond) {
		if c.cmd.Process.Signal(syscall.SIGTERM) != nil {
			break
		}
	}
	if code := c.exit(); code != 0 {
		t.Errorf("exit code %d\n%s", code, c.stderr)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("data directory after the end: %v", err)
	}
}

func TestStopDuringTheStartIsNoFailure(t *testing.T) {
	var stdout, stderr bytes.Buffer
	args := []string{"--data-dir", filepath.Join(t.TempDir(), "data"), "--log-file", os.DevNull, "--exit-with-parent"}
	if code := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr); code != 0 || stdout.Len() > 0 || stderr.Len() > 0 {
		t.Errorf("code %d, stdout %q, stderr %q", code, &stdout, &stderr)
	}
}

func TestWrongArguments(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "precious"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no data directory", nil, 2, "--data-dir is required"},
		{"argument", []string{"--data-dir", "x", "up"}, 2, `"up"`},
		{"host name", []string{"--data-dir", "x", "--bind-address", "localhost"}, 2, "--bind-address"},
		{"port", []string{"--data-dir", "x", "--secure-port", "70000"}, 2, "--secure-port is 70000"},
		{"ephemeral over data", []string{"--data-dir", full, "--ephemeral"}, 1, "is not empty"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), test.args, strings.NewReader(""), &stdout, &stderr)
			if code != test.code || !strings.Contains(stderr.String(), test.want) || stdout.Len() > 0 {
				t.Errorf("code %d, stdout %q, stderr %q; want %d and %q", code, &stdout, &stderr, test.code, test.want)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(full, "precious")); err != nil {
		t.Error(err)
	}
}
