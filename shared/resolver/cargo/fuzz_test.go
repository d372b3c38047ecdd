package cargo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver/cargo/crate"
)

// FuzzInherit: a manifest that was taken out of its workspace can be read again, and needs it no more.
func FuzzInherit(f *testing.F) {
	f.Add("[package]\nname = \"a\"\nversion.workspace = true\nreadme.workspace = true\n[lints]\nworkspace = true\n[dependencies]\nb = {workspace = true, features = [\"x\"], default-features = true}\n",
		"[workspace.package]\nversion = \"1\"\nreadme = \"R\"\n[workspace.lints.rust]\na = 1\n[workspace.dependencies]\nb = {path = \"b\", default_features = false}\n")
	f.Add("[target.x.dev_dependencies]\nb.workspace = true\n", "[workspace]\ndependencies.b = \"1\"\n")
	f.Fuzz(func(t *testing.T, member, workspace string) {
		m, err := parseManifest([]byte(member))
		if err != nil {
			return
		}
		w, err := parseManifest([]byte(workspace))
		if err != nil || m.inherit("x/y", w, "x") != nil {
			return
		}
		content, err := m.print()
		if err != nil {
			return // nested too deep
		}
		again, err := parseManifest(content)
		if err != nil {
			t.Fatalf("%v in\n%s", err, content)
		}
		// A workspace whose own values say {workspace = true} gives just that.
		if again.inherits() && !strings.Contains(workspace, "true") {
			t.Errorf("still inherits:\n%s", content)
		}
	})
}

// FuzzSource: whatever a lockfile's source is, the configuration that names it is TOML and says the same.
func FuzzSource(f *testing.F) {
	for _, s := range []string{cratesIO, "sparse+https://h/i/", "git+https://h/o/r?branch=a%2F%22b#" + commitA, "git+ssh://git@h:22/r.git?rev=x#" + commitB, "registry+https://[::1]/", "git+https://h/r?tag=%BF#" + commitA} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSource(crate.Locked{Name: "a", Version: "1.0.0", Source: text}, "Cargo.lock")
		if err != nil {
			if !fault.IsClient(err) {
				t.Errorf("%q: %v is no client's fault", text, err)
			}
			return
		}
		if s.kind == "" {
			return
		}
		if folder := folderName(s.base(), s.key()); strings.ContainsAny(folder, "/\\.\x00") || !filepath.IsLocal(folder) {
			t.Errorf("%q has the folder %q", text, folder)
		}
		w := newConfig()
		w.gitSource(s, "x", "y")
		var doc struct {
			Source map[string]map[string]string `toml:"source"`
		}
		if err := toml.Unmarshal([]byte(w.String()), &doc); err != nil {
			t.Fatalf("%q: %v in\n%s", text, err, w.String())
		}
		got := doc.Source[s.key()]
		if got["git"] != s.url || s.refKind != "" && got[s.refKind] != s.ref || got["replace-with"] != "cachito-git-x" || doc.Source["cachito-git-x"]["directory"] != "y" {
			t.Errorf("%q: got %v", text, got)
		}
	})
}

// FuzzOpen: whatever stands in the files of a repository, folders stay in it and faults are the client's.
func FuzzOpen(f *testing.F) {
	f.Add("version = 4\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n", "[package]\nname = \"a\"\nversion.workspace = true\n[dependencies]\nb = {path = \"../b\"}\n[workspace]\nmembers = [\"*\", \"x/**\"]\n[workspace.package]\nversion = \"1.0.0\"\n", "[package]\nname = \"b\"\n")
	f.Fuzz(func(t *testing.T, lock, manifest, member string) {
		dir := t.TempDir()
		must(t, os.Mkdir(filepath.Join(dir, "m"), 0o755))
		for name, content := range map[string]string{"Cargo.lock": lock, "Cargo.toml": manifest, "m/Cargo.toml": member} {
			must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
		}
		root, err := os.OpenRoot(dir)
		must(t, err)
		defer root.Close()
		p, err := open(newTree(root), ".", "https://h/r")
		if err != nil {
			if !fault.IsClient(err) {
				t.Errorf("%v is no client's fault", err)
			}
			return
		}
		for _, l := range p.locals {
			if !filepath.IsLocal(l.dir) {
				t.Errorf("the package %s is at %q", l.name, l.dir)
			}
		}
		if p.pkg.Name == "" || len(p.pkg.Dependencies) > len(p.locked) {
			t.Errorf("reported is %+v of %d packages", p.pkg, len(p.locked))
		}
	})
}
