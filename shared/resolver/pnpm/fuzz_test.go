package pnpm

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// seeds are the files of this name in the scenarios.
func seeds(f *testing.F, name string) {
	f.Helper()
	scenarios, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(scenarios) == 0 {
		f.Fatalf("no scenarios (%v)", err)
	}
	found := false
	for _, scenario := range scenarios {
		data, err := os.ReadFile(scenario)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range txtar.Parse(data).Files {
			if strings.HasSuffix(file.Name, "/"+name) {
				f.Add(string(file.Data))
				found = true
			}
		}
	}
	if !found {
		f.Fatalf("no %s in the scenarios", name)
	}
}

func checkClientFault(t *testing.T, err error) {
	t.Helper()
	if flt := fault.From(err); flt.Type == fault.UnknownError || flt.Origin != fault.OriginClient {
		t.Errorf("got %v, want a fault of the client's", err)
	}
}

// Any lockfile is read or refused; and rewriting what was read changes the resolutions alone.
func FuzzLockfile(f *testing.F) {
	seeds(f, lockfileName)
	for _, seed := range []string{
		"lockfileVersion: '6.0'\ndependencies:\n  a: {specifier: '1', version: /b@1.0.0}\npackages:\n  /b@1.0.0(c@1):\n    resolution: {integrity: sha512-AA}\n",
		"---\nlockfileVersion: '9.0'\n---\nlockfileVersion: '9.0'\npackages:\n  ? a@1.0.0\n  : resolution: {}\n",
		"lockfileVersion: '9.0'\npackages: {a@1: {resolution: {}}}\n",
		"lockfileVersion: '9.0'\r\npackages:\r\n  a@1:\r\n    resolution:\r\n      integrity: x\r\n    # end\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		left := 1000
		lock, err := parseLockfile(strings.NewReader(text), lockfileName, &left)
		if err != nil {
			checkClientFault(t, err)
			return
		}
		lock.runtimeKeys()
		p := &project{lock: lock, realDir: "."}
		for _, e := range lock.entries {
			d := &dependency{entry: e, name: e.name, file: resolver.File{SHA256: strings.Repeat("ab", 32)}, place: "pnpm/x.tgz"}
			if e.at.to > 0 {
				p.deps = append(p.deps, d)
			}
		}
		edits, err := p.edits()
		if err != nil {
			t.Fatal(err)
		}
		at := int64(0)
		for _, e := range edits {
			if e.at.from < at || e.at.to <= e.at.from || e.at.to > int64(len(text)) {
				t.Fatalf("lines %v of %d bytes, after %d", e.at, len(text), at)
			}
			at = e.at.to
		}
		rewritten, err := io.ReadAll(io.MultiReader(pieces(strings.NewReader(text), int64(len(text)), edits)...))
		if err != nil {
			t.Fatal(err)
		}
		left = 1000
		again, err := parseLockfile(bytes.NewReader(rewritten), lockfileName, &left)
		if err != nil {
			t.Fatalf("the rewritten lockfile cannot be read: %v\n%q\n%q", err, text, rewritten)
		}
		if diff := cmp.Diff(keys(lock), keys(again)); diff != "" {
			t.Errorf("packages before and after (-want +got):\n%s", diff)
		}
		for i, e := range again.entries {
			if lock.entries[i].at.to > 0 && (!strings.HasSuffix(e.resolution.tarball, "deps/pnpm/x.tgz") || e.resolution.kind != "") {
				t.Errorf("%q: the resolution has become %+v", e.key, e.resolution)
			}
			if _, err := integrity.ParseSRI(e.resolution.integrity); lock.entries[i].at.to > 0 && err != nil {
				t.Errorf("%q: %v", e.key, err)
			}
		}
	})
}

func keys(l *lockfile) []string {
	out := []string{}
	for _, e := range l.entries {
		out = append(out, e.key+" "+e.name+" "+e.version+" "+e.declared)
	}
	return out
}

// Configuration loses whole lines, and what is left names no registry.
func FuzzConfig(f *testing.F) {
	for _, seed := range []string{
		"registry=https://h/\n@a:registry = \"https://h\"\nx=y", "registries:\n  default: https://h/\n  '@a': https://h/\npackages:\n  - a\n",
		"registry: https://h/\r\n# x\r\nconfigDependencies:\n  a: 1.0.0+sha512-AA\n", "{registry: x}", "? registry\n: https://h/\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := &run{pnpm: &pnpm{}, in: resolver.Input{Log: slog.New(slog.DiscardHandler)}, entriesLeft: 10, scopes: map[string]bool{}}
		read := map[string]func(data []byte, c *config) ([]byte, error){
			npmrcName: func(data []byte, c *config) ([]byte, error) {
				return r.readNPMRC(context.Background(), npmrcName, data, c)
			},
			workspaceName: func(data []byte, c *config) ([]byte, error) {
				return r.readWorkspace(context.Background(), workspaceName, data, &project{lock: &lockfile{}}, c)
			},
		}
		for name, read := range read {
			first := config{scopes: map[string]string{}}
			rest, err := read([]byte(text), &first)
			if err != nil {
				checkClientFault(t, err)
				continue
			}
			second := config{scopes: map[string]string{}}
			again, err := read(rest, &second)
			if err != nil {
				t.Fatalf("%s: what is left of %q cannot be read: %q: %v", name, text, rest, err)
			}
			if !bytes.Equal(again, rest) || second.registry != "" || len(second.scopes) > 0 {
				t.Errorf("%s: %q still names registries: %q", name, text, rest)
			}
		}
	})
}
