package gomod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"

	"github.com/cachito-serverless/cachito/shared/fault"
)

const (
	toolchainModule = "golang.org/toolchain"
	// maxVersionBytes bounds what `go version` says.
	maxVersionBytes = 4 << 10
)

// toolchains gives the go command of any release: the installed one when it is that very release, else
// fetched by it through the module proxy, verified by the checksum database, and unpacked once into a
// folder that all requests and processes share (go's own locks guard it). Safe for concurrent use.
type toolchains struct {
	command string
	dir     string // absolute; empty: a folder of each request

	mu        sync.Mutex
	installed tool                     // zero: not looked for yet
	ready     map[string]tool          // by release
	fetching  map[string]chan struct{} // by release: holds one token while one is being fetched
}

type tool struct{ binary, release string }

func newToolchains(command, dir string) *toolchains {
	return &toolchains{command: command, dir: dir, ready: map[string]tool{}, fetching: map[string]chan struct{}{}}
}

// find returns the absolute path of the go command of a release ("go1.21.0"). wanted is what the
// repository says, for the error; env is the environment of the run.
func (t *toolchains) find(ctx context.Context, release, wanted string, f folders, env []string, s settings) (string, error) {
	installed, err := t.own(ctx, f, env)
	if err != nil || installed.release == release {
		return installed.binary, err
	}
	// One request fetches a release, those that want the same one wait.
	t.mu.Lock()
	turn := t.fetching[release]
	if turn == nil {
		turn = make(chan struct{}, 1)
		t.fetching[release] = turn
	}
	t.mu.Unlock()
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	t.mu.Lock()
	known, ok := t.ready[release]
	t.mu.Unlock()
	if ok {
		if _, err := os.Stat(known.binary); err == nil {
			return known.binary, nil
		}
	}
	found, err := t.fetch(ctx, installed, release, wanted, f, env, s)
	if err != nil {
		return "", err
	}
	if t.dir != "" {
		t.mu.Lock()
		t.ready[release] = found
		t.mu.Unlock()
	}
	return found.binary, nil
}

// own is the installed go command, looked for once.
func (t *toolchains) own(ctx context.Context, f folders, env []string) (tool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.installed.binary == "" {
		found, err := t.findInstalled(ctx, f, env)
		if err != nil {
			return tool{}, err
		}
		t.installed = found
	}
	return t.installed, nil
}

// findInstalled resolves the configured command to the toolchain's own binary: a wrapper of that name
// must not come between.
func (t *toolchains) findInstalled(ctx context.Context, f folders, env []string) (tool, error) {
	binary, err := exec.LookPath(t.command)
	if err == nil {
		binary, err = filepath.Abs(binary)
	}
	if err == nil {
		binary, err = filepath.EvalSymlinks(binary)
	}
	if err != nil {
		return tool{}, fault.ServerFinal(fault.GoModError, "The go command is not installed on the worker").Because(err)
	}
	release, err := releaseOf(ctx, goTool{binary: binary, env: env}, f.home)
	return tool{binary: binary, release: release}, err
}

func (t *toolchains) fetch(ctx context.Context, installed tool, release, wanted string, f folders, env []string, s settings) (tool, error) {
	cache := f.modCache + "-toolchain"
	if t.dir != "" {
		cache = filepath.Join(t.dir, "mod")
	}
	if err := os.MkdirAll(cache, 0o777); err != nil {
		return tool{}, fault.Server(fault.GoModError, "The folder for Go toolchains cannot be used").Because(err)
	}
	env = append(env[:len(env):len(env)],
		"GOMODCACHE="+cache, "GOTOOLCHAIN="+release, "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH, "GONOSUMDB=")
	if s.sumDB.off {
		// A toolchain is code that the repository chose: always verified, by go's default database.
		env = append(env, "GOSUMDB=")
	}
	switcher := goTool{binary: installed.binary, env: env}
	got, err := releaseOf(ctx, switcher, f.home)
	if err != nil {
		return tool{}, toolchainFault(err, wanted)
	}
	if got != release {
		return tool{}, fault.ServerFinal(fault.GoModError, "The go command on the worker (%s) cannot switch to %s", installed.release, release)
	}
	dir := fmt.Sprintf("%s@v0.0.1-%s.%s-%s", toolchainModule, release, runtime.GOOS, runtime.GOARCH)
	return tool{binary: filepath.Join(cache, filepath.FromSlash(dir), "bin", "go"), release: release}, nil
}

// toolchainFault: a release that does not exist is the client's, trouble on the way to it is not.
func toolchainFault(err error, wanted string) error {
	var failed *commandError
	if !errors.As(err, &failed) {
		return err
	}
	if strings.Contains(failed.output, "toolchain not available") || strings.Contains(failed.output, "403 Forbidden") {
		return fault.Client(fault.UnsupportedFeature, "Required/recommended Go toolchain version '%s' is not supported yet.", wanted).Because(err)
	}
	return err
}

var versionLine = regexp.MustCompile(`^go version (go[0-9]+\.[0-9a-z.]+)(?:[ -].*)? [^/ ]+/[^/ ]+\s*$`)

// releaseOf asks a go command for its release: "go1.26.8".
func releaseOf(ctx context.Context, t goTool, dir string) (string, error) {
	var out []byte
	err := t.run(ctx, dir, func(r io.Reader) error {
		var err error
		out, err = io.ReadAll(io.LimitReader(r, maxVersionBytes))
		return err
	}, "version")
	if err != nil {
		return "", err
	}
	m := versionLine.FindSubmatch(out)
	if m == nil {
		return "", fault.ServerFinal(fault.GoModError, "Could not extract Go toolchain version from Go's output: '%s'", strings.TrimSpace(string(out)))
	}
	return string(m[1]), nil
}
