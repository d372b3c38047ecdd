package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// script is all that a person types after unpacking.
const script = `. ./cachito.env
cd app
go build -o ../hello .
../hello`

// buildOffline unpacks the bundle under another name and builds the program there: no network, a home
// folder and caches that are empty.
func (s *story) buildOffline(ctx context.Context) error {
	s.out.chapter("Somewhere else: network cut off, caches empty")
	elsewhere := filepath.Join(s.dir, "another place", "under another name")
	home := filepath.Join(s.dir, "empty-home")
	for _, dir := range []string{elsewhere, home} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if _, err := command(ctx, elsewhere, "tar", "-xzf", s.first.bundle.Path); err != nil {
		return err
	}

	// Nothing of this process's environment but the way to go and sh.
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GOTOOLCHAIN=local", "LANG=en"}
	prefix, err := s.cutNetwork(ctx)
	if err != nil {
		return err
	}
	if prefix == nil {
		// No right to make a namespace: every way out that the tools know leads to a closed port.
		closed := "http://127.0.0.1:9"
		for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
			env = append(env, name+"="+closed)
		}
		s.out.fact("network", "unshare is not allowed here: every proxy variable leads to a closed port")
	} else {
		s.out.fact("network", "cut off with %s: no route, no interface but a dead loopback", strings.Join(prefix, " "))
	}
	for line := range strings.SplitSeq(script, "\n") {
		s.out.fact("$", "%s", line)
	}
	argv := append(append([]string{}, prefix...), "sh", "-euc", script)
	c := exec.CommandContext(ctx, argv[0], argv[1:]...)
	c.Dir, c.Env = elsewhere, env
	started := time.Now()
	printed, err := output(c)
	if err != nil {
		return err
	}
	s.out.quote(printed)
	if !strings.Contains(printed, "Hello, world.") {
		return fmt.Errorf("the program should have said hello, but printed %q", printed)
	}
	s.out.check("built and run in %.1f s (the standard library included: its cache was empty too)", time.Since(started).Seconds())
	return nil
}

// cutNetwork gives the command prefix that runs a program without network, after a look at whether it
// really does; nil where namespaces are not allowed.
func (s *story) cutNetwork(ctx context.Context) ([]string, error) {
	prefix := []string{"unshare", "-rn"}
	routes, err := command(ctx, "", prefix[0], prefix[1], "cat", "/proc/net/route")
	if err != nil {
		return nil, nil // not allowed here: the caller has another way
	}
	for line := range strings.Lines(routes) {
		if !strings.HasPrefix(line, "Iface") { // the headline
			return nil, fmt.Errorf("%s leaves a route: %s", strings.Join(prefix, " "), line)
		}
	}
	return prefix, nil
}

// fetchElsewhere makes the bundle once more without the service and returns its sha256.
func (s *story) fetchElsewhere(ctx context.Context) (string, error) {
	c := exec.CommandContext(ctx, s.binary, "fetch", s.repo.url, s.repo.ref, "--pm", "gomod", "--json",
		"-o", filepath.Join(s.dir, "elsewhere.tar.gz"))
	c.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(s.dir, "other-cache"), "CACHITO_ALLOW_HOSTS="+s.repo.server.Host())
	printed, err := output(c)
	if err != nil {
		return "", err
	}
	var result struct {
		Bundle struct {
			SHA256 string `json:"sha256"`
		} `json:"bundle"`
	}
	if err := json.Unmarshal([]byte(printed), &result); err != nil {
		return "", fmt.Errorf("cachito fetch --json: %w", err)
	}
	return result.Bundle.SHA256, nil
}
