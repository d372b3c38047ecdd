package gomod

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Limits of what a go command may say.
const (
	// MaxOutputBytes bounds what is read of one command's standard output; `go list` of a very large
	// program has some 200 MB. It is decoded as it comes.
	MaxOutputBytes = 2 << 30
	// maxStderrBytes is how much of the standard error is kept: the first lines say what happened.
	maxStderrBytes = 64 << 10
	// killWait is how long a killed command's pipes may stay open.
	killWait = 5 * time.Second
)

// commandError is a go command that did not end well. Its texts are raw: paths of the worker and our
// own URLs stand in them.
type commandError struct {
	// command is what was run, for people: "go mod download -json".
	command string
	// code is the exit code; -1 when there is none.
	code int
	// output is the beginning of the standard error, or the errors that the command reported in its
	// own format.
	output string
	err    error
}

func (e *commandError) Error() string {
	return fmt.Sprintf("%s: %v: %s", e.command, e.err, e.output)
}

func (e *commandError) Unwrap() error { return e.err }

// goTool is a go command of a known release with its environment.
type goTool struct {
	binary string // absolute
	env    []string
}

// run starts the command in dir. decode, when not nil, reads the standard output as it comes; what it
// leaves is passed over. When ctx ends, the command and its children are killed. Errors: ctx's, decode's
// or *commandError.
func (t goTool) run(ctx context.Context, dir string, decode func(io.Reader) error, args ...string) error {
	name := "go " + strings.Join(args, " ")
	cmd := exec.CommandContext(ctx, t.binary, args...)
	cmd.Dir = dir
	// PWD spares go the question which of several names the directory goes by.
	cmd.Env = append(t.env[:len(t.env):len(t.env)], "PWD="+dir)
	stderr := &headBuffer{max: maxStderrBytes}
	cmd.Stderr = stderr
	cmd.WaitDelay = killWait
	inOwnGroup(cmd)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("running %s: %w", name, err)
	}
	if err := cmd.Start(); err != nil {
		return &commandError{command: name, code: -1, output: "the go command cannot be started", err: err}
	}
	limited := &io.LimitedReader{R: stdout, N: MaxOutputBytes}
	var decodeErr error
	if decode != nil {
		decodeErr = decode(limited)
	}
	if decodeErr == nil {
		_, decodeErr = io.Copy(io.Discard, limited)
	}
	tooLong := limited.N <= 0
	if decodeErr != nil || tooLong {
		cmd.Cancel()
	}
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case tooLong:
		return &commandError{command: name, code: -1, output: "the output is too long", err: fmt.Errorf("more than %d bytes", int64(MaxOutputBytes))}
	case err != nil && decodeErr == nil, err != nil && stderr.String() != "":
		code := -1
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			code = exit.ExitCode()
		}
		return &commandError{command: name, code: code, output: stderr.String(), err: err}
	case decodeErr != nil:
		return fmt.Errorf("reading the output of %s: %w", name, decodeErr)
	}
	return nil
}

// headBuffer keeps the first max bytes.
type headBuffer struct {
	buf bytes.Buffer
	max int
}

func (h *headBuffer) Write(p []byte) (int, error) {
	h.buf.Write(p[:min(len(p), h.max-h.buf.Len())])
	return len(p), nil
}

func (h *headBuffer) String() string { return h.buf.String() }

// folders of one run, all below the scratch folder. Absolute.
type folders struct {
	home, temp, goPath, modCache, buildCache string
}

func newFolders(scratch string) folders {
	return folders{
		home:       filepath.Join(scratch, "home"),
		temp:       filepath.Join(scratch, "tmp"),
		goPath:     filepath.Join(scratch, "go"),
		modCache:   filepath.Join(scratch, "go", "pkg", "mod"),
		buildCache: filepath.Join(scratch, "go-build"),
	}
}

// environment is all that a go command gets to know. proxy is our module proxy's URL.
func (f folders) environment(binary, proxy string, s settings) []string {
	env := []string{
		"HOME=" + f.home, "TMPDIR=" + f.temp,
		"GOPATH=" + f.goPath, "GOMODCACHE=" + f.modCache, "GOCACHE=" + f.buildCache,
		// Nothing of what go can start besides itself is found.
		"PATH=" + filepath.Dir(binary),
		"GOENV=off", "GO111MODULE=on", "GOTOOLCHAIN=local",
		// The module cache must be removable, and nobody's version control is asked.
		"GOFLAGS=-modcacherw -buildvcs=false",
		"GOPROXY=" + proxy, "NO_PROXY=*",
		// Private modules come through the proxy too, so GOPRIVATE itself must stay empty.
		"GOPRIVATE=", "GONOPROXY=none", "GOINSECURE=", "GONOSUMDB=" + s.noSumDB,
		"GOVCS=*:off", "GIT_TERMINAL_PROMPT=0", "GOAUTH=off",
		// Packages are listed for the platform of the bundle's users, wherever this runs. cgo is
		// stated because go's own default depends on a C compiler in PATH.
		"GOOS=linux", "GOARCH=amd64",
	}
	if s.sumDB.off {
		return append(env, "GOSUMDB=off")
	}
	return append(env, "GOSUMDB="+s.sumDB.key)
}
