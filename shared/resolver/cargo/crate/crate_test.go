package crate

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

func TestIndexPath(t *testing.T) {
	for name, want := range map[string]string{"A": "1/a", "cc": "2/cc", "syn": "3/s/syn", "itoa": "it/oa/itoa", "Inflector": "in/fl/inflector"} {
		t.Run("R02 "+name, func(t *testing.T) {
			if got := indexPath(name); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

const manyVersions = `
[[package]]
name = "app"
version = "0.1.0"
dependencies = [
 "a",
]

[[package]]
name = "a"
version = "1.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
`

func TestParseLockfile(t *testing.T) {
	const sum = "0000000000000000000000000000000000000000000000000000000000000001"
	cratesIO := "registry+" + CratesIOIndex
	app := Locked{Name: "app", Version: "0.1.0", Dependencies: []string{"a"}}
	a := Locked{Name: "a", Version: "1.0.0", Source: cratesIO, Checksum: sum}
	for _, tt := range []struct {
		name, text string
		want       []Locked
		wantUnused []Locked
		wantErr    string
	}{
		{name: "version 1", text: manyVersions + "[metadata]\n\"checksum a 1.0.0 (" + cratesIO + ")\" = \"" + sum + "\"\n", want: []Locked{app, a}},
		{name: "version 1 with a root", text: "[root]\nname = \"app\"\nversion = \"0.1.0\"\ndependencies = [\"a\"]\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"" + cratesIO +
			"\"\n[metadata]\n\"checksum a 1.0.0 (" + cratesIO + ")\" = \"" + sum + "\"\n", want: []Locked{a, app}},
		{name: "version 2", text: manyVersions + "checksum = \"" + sum + "\"\n", want: []Locked{app, a}},
		{name: "version 3", text: "version = 3\n" + manyVersions + "checksum = \"" + sum + "\"\n", want: []Locked{app, a}},
		{name: "version 4", text: "version = 4\n" + manyVersions + "checksum = \"" + sum + "\"\n", want: []Locked{app, a}},
		{name: "version 5", text: "version = 5\n", wantErr: "L has the version 5; versions 1 to 4 are supported"},
		{name: "a version that is no number", text: "version = \"4\"\n", wantErr: "L has the version 4; versions 1 to 4 are supported"},
		{name: "unused patches", text: "version = 3\n[[patch.unused]]\nname = \"u\"\nversion = \"1.0.0\"\nsource = \"git+https://h/u#c\"\n", wantUnused: []Locked{{Name: "u", Version: "1.0.0", Source: "git+https://h/u#c"}}},
		{name: "nothing", text: ""},
		{name: "conflict marks", text: "<<<<<<< HEAD\n", wantErr: "L is not a valid lockfile: "},
		{name: "a list where a text is wanted", text: "[[package]]\nname = [1]\n", wantErr: "L is not a valid lockfile: "},
		{name: "deep nesting", text: "a = " + strings.Repeat("[", 1<<20), wantErr: "L is not a valid lockfile: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, unused, err := ParseLockfile([]byte(tt.text), "L")
			if f := fault.From(err); tt.wantErr != "" && (f.Origin != fault.OriginClient || !strings.HasPrefix(f.Message, tt.wantErr)) {
				t.Errorf("got %v, want the client's %s", err, tt.wantErr)
			} else if tt.wantErr == "" && err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([][]Locked{tt.want, tt.wantUnused}, [][]Locked{got, unused}, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// crateFile packs a crate whose entries are named as they are given.
func crateFile(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1])), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// serve gives an Input whose only host has the content at every path.
func serve(t testing.TB, content []byte) (resolver.Input, integrity.Digest) {
	t.Helper()
	fetcher := resolvertest.NewFetcher(t, map[string]http.Handler{"h": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(content) })})
	sum := sha256.Sum256(content)
	digest, err := integrity.FromHex("sha256", hex.EncodeToString(sum[:]))
	if err != nil {
		t.Fatal(err)
	}
	return resolver.Input{Fetcher: fetcher}, digest
}

// The registry may send anything under a digest that a hostile lockfile names.
func TestFetchRefusesWhatIsNoCrate(t *testing.T) {
	good := "[package]\nname = \"a\"\nversion = \"1.0.0\"\n"
	for _, tt := range []struct {
		name    string
		content []byte
		wantErr string
	}{
		{"a crate", crateFile(t, "a-1.0.0/src/lib.rs", "", "a-1.0.0/Cargo.toml", good), ""},
		{"an old crate", crateFile(t, "a-1.0.0/Cargo.toml", "[project]\nname = \"a\"\nversion = \"1.0.0\"\n"), ""},
		{"a page", []byte("<html>log in</html>"), "another's"},
		{"half a crate", crateFile(t, "a-1.0.0/x", strings.Repeat("x", 4096))[:40], "another's"},
		{"another crate", crateFile(t, "a-1.0.0/Cargo.toml", strings.Replace(good, `"a"`, `"b"`, 1)), "another's"},
		{"another folder", crateFile(t, "b-1.0.0/Cargo.toml", good), "another's"},
		{"no package", crateFile(t, "a-1.0.0/Cargo.toml", "[workspace]\n"), "another's"},
		{"a manifest that is no TOML", crateFile(t, "a-1.0.0/Cargo.toml", "<"), "another's"},
		{"a manifest without end", crateFile(t, "a-1.0.0/Cargo.toml", good+strings.Repeat("#", maxManifestBytes)), "another's"},
		{"a file outside", crateFile(t, "../x", "", "a-1.0.0/Cargo.toml", good), "another's"},
		{"a bomb", crateFile(t, "a-1.0.0/a", strings.Repeat("\x00", 16<<20), "a-1.0.0/Cargo.toml", good), "another's"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in, digest := serve(t, tt.content)
			_, err := Fetch(t.Context(), in, []Remote{{Crate: Crate{"a", "1.0.0", digest}, URL: "https://h/x"}})
			if f := fault.From(err); tt.wantErr == "" && err != nil || tt.wantErr != "" && (f.Type != fault.InvalidFileFormat || !strings.Contains(f.Message, tt.wantErr)) {
				t.Errorf("got %v, want %q", err, tt.wantErr)
			}
		})
	}
	t.Run("another digest", func(t *testing.T) {
		in, _ := serve(t, crateFile(t, "a-1.0.0/Cargo.toml", good))
		_, other := serve(t, nil)
		_, err := Fetch(t.Context(), in, []Remote{{Crate: Crate{"a", "1.0.0", other}, URL: "https://h/x"}})
		if f := fault.From(err); f.Type != fault.InvalidChecksum || f.Origin != fault.OriginClient {
			t.Errorf("got %v, want the client's InvalidChecksum", err)
		}
	})
	t.Run("stopped", func(t *testing.T) {
		in, digest := serve(t, crateFile(t, "a-1.0.0/Cargo.toml", good))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Fetch(ctx, in, []Remote{{Crate: Crate{"a", "1.0.0", digest}, URL: "https://h/x"}}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	})
}

// A manifest names the registry of a dependency unless it is crates.io, the index unless it is its own.
func TestRegistriesOfDependencies(t *testing.T) {
	manifest := "[package]\nname = \"a\"\nversion = \"1.0.0\"\n[dependencies]\np = \"1\"\nq = {version = \"1\", registry-index = \"sparse+https://r/\"}\nr = {version = \"1\", registry-index = \"https://other\"}\n"
	for _, tt := range []struct{ registry, want string }{
		{"", "p q r"},
		{"sparse+https://r/", "p=" + CratesIOIndex + " q r=https://other"},
		{"https://other", "p=" + CratesIOIndex + " q=sparse+https://r/ r"},
	} {
		t.Run(tt.registry, func(t *testing.T) {
			line, err := newIndexLine([]byte(manifest), tt.registry)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range line.Deps {
				text := d.Name
				if d.Registry != nil {
					text += "=" + *d.Registry
				}
				got = append(got, text)
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestLiveIndex: the lines made of crates say what the public index says of them.
func TestLiveIndex(t *testing.T) {
	if os.Getenv("CACHITO_LIVE") != "1" {
		t.Skip("needs crates.io: set CACHITO_LIVE=1 (make test-live)")
	}
	const index, files = "index.crates.io", "static.crates.io"
	pass := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, r.URL.String(), nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		io.Copy(w, resp.Body)
	})
	fetcher := resolvertest.NewFetcher(t, map[string]http.Handler{index: pass, files: pass})
	for _, c := range []Crate{{Name: "libc", Version: "0.2.147"}, {Name: "pyo3", Version: "0.20.0"}, {Name: "parking_lot_core", Version: "0.9.8"}, {Name: "serde", Version: "1.0.200"}, {Name: "rand", Version: "0.8.5"}} {
		t.Run(c.Name, func(t *testing.T) {
			resp, err := fetcher.Get(t.Context(), "https://"+index+"/"+indexPath(c.Name), nil, 16<<20)
			if err != nil {
				t.Fatal(err)
			}
			var want indexLine
			for text := range strings.Lines(string(resp.Body)) {
				var one indexLine
				if err := json.Unmarshal([]byte(text), &one); err != nil {
					t.Fatal(err)
				}
				if one.Version == c.Version {
					want = one
				}
			}
			if c.Digest, err = integrity.FromHex("sha256", want.Checksum); err != nil {
				t.Fatal(err)
			}
			fetched, err := Fetch(t.Context(), resolver.Input{Fetcher: fetcher}, []Remote{{Crate: c, URL: FileURL("https://"+files+"/crates/", c)}})
			if err != nil {
				t.Fatal(err)
			}
			got := fetched[0].line
			normal := func(line *indexLine) {
				features := maps.Clone(line.Features)
				maps.Copy(features, line.Features2)
				line.Features, line.Features2, line.Format = features, nil, 0
				for i := range line.Deps {
					d := &line.Deps[i]
					d.Req = strings.TrimPrefix(strings.ReplaceAll(d.Req, " ", ""), "^") // the index has its own spelling
					slices.Sort(d.Features)
				}
				slices.SortFunc(line.Deps, func(a, b indexDependency) int { return strings.Compare(key(a), key(b)) })
			}
			normal(&got)
			normal(&want)
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func key(d indexDependency) string {
	target := ""
	if d.Target != nil {
		target = *d.Target
	}
	return d.Kind + " " + d.Name + " " + target
}

// FuzzCrate: whatever stands in a Cargo.toml or Cargo.lock, names stay in their folder and lines are JSON.
func FuzzCrate(f *testing.F) {
	f.Add(manyVersions+"checksum = \"0000000000000000000000000000000000000000000000000000000000000001\"\n",
		"[package]\nname = \"a\"\nversion = \"1.0.0\"\n[dependencies]\nb = \"1\"\n[target.x.dependencies.c]\nversion = \"1\"\nregistry-index = \"r\"\n")
	f.Fuzz(func(t *testing.T, lock, manifest string) {
		locked, unused, err := ParseLockfile([]byte(lock), "Cargo.lock")
		if err == nil {
			for _, l := range append(locked, unused...) {
				c, err := l.Crate("Cargo.lock")
				if err == nil && (strings.ContainsAny(c.FileName(), "/\\\x00") || strings.Contains(indexPath(c.Name), "..")) {
					t.Errorf("%+v", c)
				}
			}
		}
		line, err := newIndexLine([]byte(manifest), "sparse+https://r/")
		if err != nil {
			return
		}
		content, err := printIndexLines([]indexLine{line})
		var again indexLine
		if err != nil || json.NewDecoder(strings.NewReader(string(content))).Decode(&again) != nil || strings.Count(string(content), "\n") != 1 {
			t.Errorf("%q gives %q (%v)", manifest, content, err)
		}
	})
}
