package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
)

// TestProjects fetches well-known projects, builds them from the unpacked bundle with the network cut off and
// empty caches, and compares the reported packages with go list's. It needs mirrors of their repositories,
// which no registry has: MIRROR_DIR is a folder with <owner>+<name>/repo, a bare repository each.
func TestProjects(t *testing.T) {
	mirrors := os.Getenv("MIRROR_DIR")
	if mirrors == "" {
		t.Skip("MIRROR_DIR is not set: no mirrors of the projects' repositories")
	}
	host, err := gitrepotest.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(host.Close)
	for _, project := range []struct{ name, ref string }{
		{"spf13/cobra", "adbc8813901bba65827259daa8e22ff94ec1f30e"},
		{"caddyserver/caddy", "0cf03d32f7d99cf160d5375e8a40fbe3d910d515"},
	} {
		t.Run(project.name, func(t *testing.T) {
			from := filepath.Join(mirrors, strings.Replace(project.name, "/", "+", 1), "repo")
			to := filepath.Join(host.Dir, project.name+".git")
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(from, to); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			bundle := filepath.Join(dir, "un packed")
			cmd := exec.Command("cachito", "fetch", "https://github.com/"+project.name, project.ref, "--pm", "gomod", "-o", bundle+"/", "--json")
			cmd.Env = append(os.Environ(), "CACHITO_ALLOW_HOSTS="+host.Host(), "CACHITO_MIRRORS=https://github.com/=http://"+host.Host()+"/", "XDG_CACHE_HOME="+filepath.Join(dir, "cache"))
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Run(); err != nil {
				t.Fatalf("cachito fetch: %v\n%s", err, stderr.String())
			}
			out := offline(t, bundle, dir, "go build ./... && go list -deps ./...")
			want := strings.Fields(out)
			slices.Sort(want)
			got := goPackages(t, stdout.Bytes())
			if !slices.Equal(got, want) {
				t.Errorf("%d packages are reported, go list says %d", len(got), len(want))
			}
		})
	}
}

// offline runs a script in the bundle's app/ with the bundle's environment, without network, with the
// toolchain that the bundle was resolved with.
func offline(t *testing.T, bundle, dir, script string) string {
	t.Helper()
	toolchains, err := filepath.Glob(filepath.Join(dir, "cache", "cachito", "toolchains", "mod", "golang.org", "toolchain@*", "bin"))
	if err != nil || len(toolchains) != 1 {
		t.Fatalf("the toolchains are %v (%v), want one", toolchains, err)
	}
	cmd := exec.Command("unshare", "-rn", "bash", "-ec", ". ../cachito.env; "+script)
	cmd.Dir = filepath.Join(bundle, "app")
	cmd.Env = []string{"PATH=" + toolchains[0] + ":" + os.Getenv("PATH"), "HOME=" + filepath.Join(dir, "nobody"), "GOTOOLCHAIN=local", "GOFLAGS=-buildvcs=false"}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, stderr.String())
	}
	return string(out)
}

// goPackages are the names of all Go packages in what `fetch --json` prints, sorted, each once.
func goPackages(t *testing.T, raw []byte) []string {
	t.Helper()
	type dependency struct{ Name, Type string }
	var out struct {
		Packages []struct {
			dependency
			Dependencies []dependency
		}
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range out.Packages {
		for _, d := range append(p.Dependencies, p.dependency) {
			if d.Type == "go-package" {
				names = append(names, d.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
