// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

const (
	binaryEnv    = "SEATKEEPER_LOCALCLUSTER"
	startTimeout = 2 * time.Minute
	stopTimeout  = 20 * time.Second
	crdTimeout   = time.Minute
	logLines     = 40
)

// process is a child that runs the control plane.
type process struct {
	env   Env
	cmd   *exec.Cmd
	stdin io.Closer
	// exited is closed when the child has ended.
	exited chan struct{}
	log    *tail
}

// binaryMissingError says how to get the binary.
type binaryMissingError struct {
	path     string
	explicit bool
}

func (e *binaryMissingError) Error() string {
	if e.explicit {
		return fmt.Sprintf("no localcluster binary at %s, which %s names; build it with: make localcluster", e.path, binaryEnv)
	}
	return fmt.Sprintf("no localcluster binary at %s; build it with: make localcluster (or set %s)", e.path, binaryEnv)
}

// ModuleRoot returns the directory of the go.mod above the working directory,
// which for a test is its package's. The path that the compiler recorded is of
// no use under -trimpath.
func ModuleRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod in %s or above", start)
		}
	}
}

func findBinary(root string) (string, error) {
	path, explicit := os.LookupEnv(binaryEnv)
	if explicit = explicit && path != ""; !explicit {
		path = filepath.Join(root, "bin", "localcluster")
	}
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", &binaryMissingError{path: path, explicit: explicit}
	}
	return path, err
}

// start runs the child and installs the custom resource definitions.
func start() (*process, error) {
	root, err := ModuleRoot()
	if err != nil {
		return nil, err
	}
	binary, err := findBinary(root)
	if err != nil {
		return nil, err
	}
	p, err := startProcess(binary)
	if err != nil {
		return nil, err
	}
	if err := installCRDs(p.env.Config, filepath.Join(root, "config", "crd")); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

func startProcess(binary string) (*process, error) {
	dataDir, err := os.MkdirTemp("", "seatkeeper-testenv-*")
	if err != nil {
		return nil, err
	}
	// The child removes the directory when it ends, and ends when the pipe to
	// its standard input breaks, so that nothing stays if this process is killed.
	p := &process{log: &tail{}, exited: make(chan struct{})}
	p.cmd = exec.Command(binary, "--data-dir", dataDir, "--ephemeral", "--exit-with-parent", "--etcd-unsafe-no-fsync")
	p.cmd.Stderr = p.log
	// What is sent to the test's process group, such as a timeout's SIGKILL, must
	// leave the child the time to clean up.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, output := io.Pipe()
	p.cmd.Stdout = output
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	go func() {
		_ = output.CloseWithError(errors.Join(io.EOF, p.cmd.Wait()))
		close(p.exited)
	}()

	timeout := time.AfterFunc(startTimeout, func() {
		_ = stdout.CloseWithError(fmt.Errorf("not ready after %s", startTimeout))
		_ = output.CloseWithError(fmt.Errorf("not ready after %s", startTimeout))
	})
	defer timeout.Stop()
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("start the control plane: %w\n%s", err, p.log)
	}
	if err := p.connect(line); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

func (p *process) connect(line []byte) error {
	var ready struct {
		Ready      bool   `json:"ready"`
		Kubeconfig string `json:"kubeconfig"`
		CAFile     string `json:"caFile"`
	}
	if err := json.Unmarshal(line, &ready); err != nil || !ready.Ready {
		return fmt.Errorf("the control plane printed %q instead of its ready line", line)
	}
	config, err := clientcmd.BuildConfigFromFlags("", ready.Kubeconfig)
	if err != nil {
		return fmt.Errorf("read the control plane's kubeconfig: %w", err)
	}
	config.QPS = -1
	p.env = Env{Config: config, Kubeconfig: ready.Kubeconfig, CAFile: ready.CAFile}
	return nil
}

// stop ends the child, by force if it does not end by itself.
func (p *process) stop() {
	_ = p.stdin.Close()
	select {
	case <-p.exited:
	case <-time.After(stopTimeout):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

func installCRDs(config *rest.Config, dir string) error {
	options := envtest.CRDInstallOptions{MaxTime: crdTimeout, PollInterval: eventuallyInterval}
	for _, path := range []string{dir, filepath.Join(dir, "bases")} {
		if files, _ := filepath.Glob(filepath.Join(path, "*.yaml")); len(files) > 0 {
			options.Paths = append(options.Paths, path)
		}
	}
	if len(options.Paths) == 0 {
		return fmt.Errorf("no custom resource definitions in %s; create them with: make generate", dir)
	}
	if _, err := envtest.InstallCRDs(config, options); err != nil {
		return fmt.Errorf("install custom resource definitions of %s: %w", dir, err)
	}
	return nil
}

// tail keeps the last lines that are written to it.
type tail struct {
	mu    sync.Mutex
	lines []string
	rest  string
}

// Write implements io.Writer.
func (t *tail) Write(data []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(t.rest+string(data), "\n")
	t.rest = lines[len(lines)-1]
	t.lines = append(t.lines, lines[:len(lines)-1]...)
	if extra := len(t.lines) - logLines; extra > 0 {
		t.lines = append(t.lines[:0], t.lines[extra:]...)
	}
	return len(data), nil
}

// String implements fmt.Stringer.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n")
}
