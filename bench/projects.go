package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cachito-serverless/cachito/shared/client/clienttest"
	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
)

// realProject is a well-known repository at a fixed commit.
type realProject struct {
	name, ref, manager string
	// peer is Hermeto's input for the same.
	peer string
	// packages is the API's object of that name, "" for the root.
	packages string
}

// realProjects by package manager, the small ones first.
var realProjects = []realProject{
	{"spf13/cobra", "adbc8813901bba65827259daa8e22ff94ec1f30e", "gomod", `{"type":"gomod","path":"."}`, ""},
	{"caddyserver/caddy", "0cf03d32f7d99cf160d5375e8a40fbe3d910d515", "gomod", `{"type":"gomod","path":"."}`, ""},
	{"hashicorp/terraform", "883c7221ee2e0bc2fad6912fd4b3cc4b53a598a7", "gomod", `{"type":"gomod","path":"."}`, ""},
	{"actions/checkout", "f548e57e544e1ff5a4c46bf1e1b8685f8e4a348a", "npm", `{"type":"npm","path":"."}`, ""},
	{"louislam/uptime-kuma", "6398a9581d1c3c427a7536559f47ccf45dac08b4", "npm", `{"type":"npm","path":"."}`, ""},
	{"vuejs/vuex", "bd907467b8392d6671bb115738285ff7f63d0cf6", "yarn", `{"type":"yarn","path":"."}`, ""},
	{"prettier/prettier", "4f84a934201322ca87750e2b9b25baf296da6560", "yarn", `{"type":"yarn","path":"."}`, ""},
	// Source distributions alone. Hermeto fetches the Rust crates of some of them as well.
	{
		"containerbuildsystem/cachito", "01a944ebe81c58e294aa79bda43b475634306828", "pip", `{"type":"pip","path":".","requirements_files":["requirements-web.txt"]}`,
		`{"pip": [{"requirements_files": ["requirements-web.txt"]}]}`,
	},
	{
		"readthedocs/readthedocs.org", "7937196123747181054d4c2361ec81f93c37f8f2", "pip", `{"type":"pip","path":".","requirements_files":["requirements/docs.txt"]}`,
		`{"pip": [{"requirements_files": ["requirements/docs.txt"]}]}`,
	},
	{"BurntSushi/ripgrep", "3fce3b5bb0236da2df6d99672afb8a719642eca7", "cargo", `{"type":"cargo","path":"."}`, ""},
	{"nushell/nushell", "0df4ca222cc713e79b6b1684ad8ccaec584ce4ac", "cargo", `{"type":"cargo","path":"."}`, ""},
	{"unjs/defu", "80c0146afb11ebd86183a579ec469f3abd976695", "pnpm", `{"type":"pnpm","path":"."}`, ""},
	// Hermeto fails on the next two.
	{"vuejs/core", "e2bede96134f757aad5c5b33ac9be055022dbfc8", "pnpm", `{"type":"pnpm","path":"."}`, ""},
	{"vitejs/vite", "a98c8d95d552c6fa98ab66fb810f5b39ad5abf49", "pnpm", `{"type":"pnpm","path":"."}`, ""},
}

// projects measures real projects from git mirrors on loopback, dependencies from the registries.
func (b *bench) projects(ctx context.Context) error {
	served := filepath.Join(b.dir, "mirrors")
	if err := os.Mkdir(served, 0o755); err != nil {
		return err
	}
	for _, p := range realProjects {
		mirror := filepath.Join(os.Getenv("MIRROR_DIR"), strings.ReplaceAll(p.name, "/", "+"), "repo")
		if _, err := os.Stat(filepath.Join(mirror, "HEAD")); err != nil {
			return fmt.Errorf("MIRROR_DIR has no mirror of %s: %w", p.name, err)
		}
		if err := os.Symlink(mirror, filepath.Join(served, filepath.Base(p.name)+".git")); err != nil {
			return err
		}
	}
	git, err := gitrepotest.Start(served)
	if err != nil {
		return err
	}
	defer git.Close()
	for _, p := range realProjects {
		if wanted := os.Getenv("BENCH_MANAGERS"); wanted != "" && !slices.Contains(strings.Split(wanted, ","), p.manager) {
			continue
		}
		url := git.URL(filepath.Base(p.name))
		ours, err := b.ours(ctx, p, url, git.Host())
		if err != nil {
			return err
		}
		value := fmt.Sprintf("%.1f s, %.0f MB of memory, bundle %.0f MB", ours.took.Seconds(), ours.memory/1e6, float64(ours.size)/1e6)
		promise, kept := "", true
		if os.Getenv("HERMETO") != "" {
			fetch, tar, err := b.hermeto(ctx, p, url)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil { // a peer's trouble is no reason to measure nothing else
				lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
				value += fmt.Sprintf("; Hermeto failed after %.1f s (%.200s)", fetch.Seconds(), lines[len(lines)-1])
			} else {
				value += fmt.Sprintf("; Hermeto %.1f s and upstream's bundle of it %.1f s: %.1f times as fast",
					fetch.Seconds(), tar.Seconds(), (fetch+tar).Seconds()/ours.took.Seconds())
			}
		}
		if ours.memory > 0 {
			promise, kept = "<= 150 MB of memory", ours.memory <= maxMemoryBytes
		}
		b.add(p.name+", cold", value, promise, kept)
	}
	return nil
}

type cost struct {
	took   time.Duration
	memory float64 // of the process itself, bytes
	size   int64
}

// ours runs `cachito fetch` with an empty cache.
func (b *bench) ours(ctx context.Context, p realProject, url, host string) (cost, error) {
	out := filepath.Join(b.dir, "project.tar.gz")
	c := exec.CommandContext(ctx, b.binary, "fetch", url, p.ref, "--pm", p.manager, "--json", "-o", out)
	if p.packages != "" {
		c.Args = append(c.Args, "--packages", p.packages)
	}
	cache := filepath.Join(b.dir, "cache-"+filepath.Base(p.name))
	c.Env = append(os.Environ(), "XDG_CACHE_HOME="+cache, "CACHITO_ALLOW_HOSTS="+host, "CACHITO_PACKAGE_MANAGERS=all")
	started := time.Now()
	printed, memory, err := outputAndMemory(c)
	took := time.Since(started)
	if err != nil {
		return cost{}, err
	}
	var result struct {
		Bundle struct {
			Size int64 `json:"size"`
		} `json:"bundle"`
	}
	if err := json.Unmarshal([]byte(printed), &result); err != nil {
		return cost{}, fmt.Errorf("cachito fetch --json: %w", err)
	}
	return cost{took, memory, result.Bundle.Size}, os.RemoveAll(cache)
}

// upstreamBundle is how Cachito makes its bundle: app/ without .git, then deps/, in one thread.
const upstreamBundle = `
import os, sys, tarfile
source, deps, out = sys.argv[1:]
with tarfile.open(out, mode="w:gz") as bundle:
    for name in sorted(os.listdir(source)):
        if name != ".git":
            bundle.add(os.path.join(source, name), "app/" + name)
    bundle.add(deps, "deps")
`

// hermeto runs Hermeto with empty caches on a clone, which is not in its time, and then makes a bundle of what
// it has fetched as upstream does.
func (b *bench) hermeto(ctx context.Context, p realProject, url string) (fetch, tar time.Duration, err error) {
	home := filepath.Join(b.dir, "hermeto-"+filepath.Base(p.name))
	source, fetched := filepath.Join(home, "source"), filepath.Join(home, "output")
	if err := os.MkdirAll(source, 0o755); err != nil {
		return 0, 0, err
	}
	for _, args := range [][]string{
		{"init", "-q"}, {"remote", "add", "origin", url}, {"fetch", "-q", "--depth", "1", "origin", p.ref}, {"checkout", "-q", "FETCH_HEAD"},
	} {
		if _, err := output(exec.CommandContext(ctx, "git", append([]string{"-C", source}, args...)...)); err != nil {
			return 0, 0, err
		}
	}
	tools, err := coldCargo(home)
	if err != nil {
		return 0, 0, err
	}
	c := exec.CommandContext(ctx, os.Getenv("HERMETO"), "fetch-deps", "--source", source, "--output", fetched, p.peer)
	c.Env = append(os.Environ(), "GOPATH="+filepath.Join(home, "gopath"), "GOCACHE="+filepath.Join(home, "gocache"), "GOMODCACHE=", "YARN_CACHE_FOLDER="+filepath.Join(home, "yarn"),
		"PATH="+tools+":"+os.Getenv("PATH"))
	started := time.Now()
	_, err = output(c)
	fetch = time.Since(started)
	if err != nil {
		return fetch, 0, errors.Join(clienttest.RemoveAll(home), err)
	}
	started = time.Now()
	c = exec.CommandContext(ctx, "python3", "-c", upstreamBundle, source, filepath.Join(fetched, "deps"), filepath.Join(home, "bundle.tar.gz"))
	if _, err := output(c); err != nil {
		return fetch, 0, err
	}
	return fetch, time.Since(started), clienttest.RemoveAll(home)
}

// coldCargo is a folder with a cargo whose cache is empty: Hermeto hands its own environment to no tool.
func coldCargo(home string) (dir string, err error) {
	dir = filepath.Join(home, "bin")
	cargo, err := exec.LookPath("cargo")
	if err != nil {
		return dir, nil // then Hermeto has none either
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	script := fmt.Sprintf("#!/bin/sh\nCARGO_HOME='%s' exec '%s' \"$@\"\n", filepath.Join(home, "cargo"), cargo)
	return dir, os.WriteFile(filepath.Join(dir, "cargo"), []byte(script), 0o755)
}
