package resolvertest

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// UpdateFlag registers the flag -update, for the test files of packages with scenarios:
//
//	var update = resolvertest.UpdateFlag()
func UpdateFlag() *bool {
	return flag.Bool("update", false, "rewrite the want/ files of the scenarios")
}

// RunFolder runs every .txtar file of a folder as a subtest of its name, side by side, and compares
// what it wants. run starts the resolver. With update, the want/ files are rewritten instead, with
// expand undone.
func RunFolder(t *testing.T, folder string, expand map[string]string, update bool, run func(t *testing.T, s Scenario) Result) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios in %s (%v)", folder, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			must(t, err)
			s, err := Parse(data, expand)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if len(s.Want) == 0 {
				t.Fatalf("%s wants nothing: add files below want/", file)
			}
			res := run(t, s)
			if update {
				rewrite(t, file, data, res, expand)
				return
			}
			res.Check(t)
		})
	}
}

// Check compares a result with the scenario's want/ files. Each is one of:
//
//	error     the public message of the fault, with its type and origin; without it there must be none
//	packages  as Packages prints them
//	deps      the entries below deps/, as Entries prints them
//	overlays  the same of app/
//	root      the same of the bundle's root
//	log       lines that the request's log must contain, in any order
//	reasons   the announced reasons, one a line
//	app/NAME  the content of a file as the bundle has it
//	root/NAME the same at the bundle's root
func (r Result) Check(t testing.TB) {
	t.Helper()
	if want, ok := r.scenario.Want["error"]; ok || r.Err != nil {
		if got := r.errorText(); got != string(want) {
			t.Fatalf("error (-want +got):\n%s", cmp.Diff(string(want), got))
		}
	}
	for _, name := range sortedKeys(r.scenario.Want) {
		want := string(r.scenario.Want[name])
		if name == "log" {
			for line := range strings.Lines(want) {
				if line = strings.TrimSpace(line); !strings.Contains(r.Log, line) {
					t.Errorf("the log lacks %q; it is:\n%s", line, r.Log)
				}
			}
			continue
		}
		got, err := r.shown(name)
		if err != nil {
			t.Errorf("want/%s: %v", name, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func (r Result) errorText() string {
	if r.Err == nil {
		return ""
	}
	f := fault.From(r.Err)
	text := fmt.Sprintf("%s %s\n%s\n", f.Origin, f.Type, f.Message)
	if f.Type == fault.UnknownError {
		text += "(" + r.Err.Error() + ")\n"
	}
	return text
}

func (r Result) shown(name string) (string, error) {
	switch name {
	case "error":
		return r.errorText(), nil
	case "packages":
		return Packages(r.Output), nil
	case "deps":
		return Entries(r.Output.Deps), nil
	case "overlays":
		return Entries(r.Output.Overlays), nil
	case "root":
		return Entries(r.Output.Root), nil
	case "reasons":
		return strings.Join(append(slices.Clone(r.Reasons), ""), "\n"), nil
	}
	if file, ok := strings.CutPrefix(name, "root/"); ok {
		for _, e := range r.Output.Root {
			if e.Path == file {
				data, err := r.content(e)
				return string(data), err
			}
		}
		return "", fmt.Errorf("the bundle has no %s at its root", file)
	}
	file, ok := strings.CutPrefix(name, "app/")
	if !ok {
		return "", errors.New("unknown kind of file")
	}
	for _, e := range r.Output.Overlays {
		if e.Path == file {
			data, err := r.content(e)
			return string(data), err
		}
	}
	data, ok := r.scenario.Repo[file]
	if !ok {
		return "", fmt.Errorf("the bundle has no app/%s", file)
	}
	return string(data), nil
}

func (r Result) content(e resolver.Entry) ([]byte, error) {
	switch {
	case e.Deleted, e.Dir, e.Link != "":
		return nil, fmt.Errorf("%s is no file", e.Path)
	case e.Part != nil:
		return r.part(*e.Part)
	case e.File == nil:
		return e.Inline, nil
	}
	return r.part(resolver.Part{Of: *e.File, Size: e.File.Size})
}

func (r Result) part(p resolver.Part) ([]byte, error) {
	f, err := r.fetcher.Open(context.Background(), p.Of)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.NewSectionReader(f, p.Offset, p.Size))
}

// Packages prints packages and dependencies, one a line; dependencies without a version (Go's standard
// library) are left out but for a line that says so.
//
//	gomod ex.org/m v1.0.0 (sub)
//	  gomod a.org/x v1.1.0 replaces a.org/y v1.0.0
//	go-package ex.org/m v1.0.0
//	  (standard library)
func Packages(out resolver.Output) string {
	var b strings.Builder
	for _, p := range out.Packages {
		fmt.Fprintf(&b, "%s %s %s", p.Type, p.Name, deref(p.Version))
		if p.Path != "" {
			fmt.Fprintf(&b, " (%s)", p.Path)
		}
		b.WriteByte('\n')
		var lines []string
		standard := false
		for _, d := range p.Dependencies {
			if d.Version == nil {
				standard = true
				continue
			}
			line := fmt.Sprintf("  %s %s %s", d.Type, d.Name, *d.Version)
			if d.Dev != nil && *d.Dev {
				line += " dev"
			}
			if d.Bundled != nil && *d.Bundled {
				line += " bundled"
			}
			if d.Replaces != nil {
				line += " replaces " + d.Replaces.Name + " " + deref(d.Replaces.Version)
			}
			lines = append(lines, line+"\n")
		}
		slices.Sort(lines)
		b.WriteString(strings.Join(lines, ""))
		if standard {
			b.WriteString("  (standard library)\n")
		}
	}
	return b.String()
}

func deref(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}

// Entries prints entries, one a line: path, then what it is if it is no plain file.
func Entries(entries []resolver.Entry) string {
	var b strings.Builder
	for _, e := range entries {
		b.WriteString(e.Path)
		switch {
		case e.Dir:
			b.WriteString("/")
		case e.Deleted:
			b.WriteString(" (deleted)")
		case e.Link != "":
			b.WriteString(" -> " + e.Link)
		}
		if e.Executable {
			b.WriteString(" (executable)")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Unpack writes what would be the bundle into a folder: app/, deps/ and the files at its root.
func (r Result) Unpack(t testing.TB, dir string) {
	t.Helper()
	app := r.scenario.writeRepo(t, filepath.Join(dir, "app"))
	r.write(t, app, r.Output.Overlays)
	r.write(t, openRoot(t, filepath.Join(dir, "deps")), r.Output.Deps)
	r.write(t, openRoot(t, dir), r.Output.Root)
}

func (r Result) write(t testing.TB, root *os.Root, entries []resolver.Entry) {
	t.Helper()
	for _, e := range entries {
		must(t, root.MkdirAll(path.Dir(e.Path), 0o755))
		switch {
		case e.Dir:
			must(t, root.MkdirAll(e.Path, 0o755))
		case e.Deleted:
			must(t, root.Remove(e.Path))
		case e.Link != "":
			must(t, root.Symlink(e.Link, e.Path))
		default:
			data, err := r.content(e)
			must(t, err)
			mode := os.FileMode(0o644)
			if e.Executable {
				mode = 0o755
			}
			must(t, root.WriteFile(e.Path, data, mode))
		}
	}
}

// rewrite replaces the want/ files that the scenario has by what came out.
func rewrite(t testing.TB, file string, data []byte, res Result, expand map[string]string) {
	t.Helper()
	a := txtar.Parse(data)
	if res.Err != nil && res.scenario.Want["error"] == nil {
		t.Fatalf("the resolver failed and the scenario has no want/error: %v", res.Err)
	}
	for i, f := range a.Files {
		name, ok := strings.CutPrefix(f.Name, "want/")
		if !ok || name == "log" {
			continue
		}
		got, err := res.shown(name)
		must(t, err)
		for from, to := range expand {
			got = strings.ReplaceAll(got, to, from)
		}
		a.Files[i].Data = []byte(got)
	}
	if out := txtar.Format(a); !bytes.Equal(out, data) {
		must(t, os.WriteFile(file, out, 0o644))
	}
}

func sortedKeys[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
