package pnpm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript/javascripttest"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

// resolveTool resolves an application that asks for a pnpm, which the registry has in these archives.
func resolveTool(t *testing.T, packageJSON string, archives map[string][]byte) resolvertest.Result {
	t.Helper()
	s, err := resolvertest.Parse([]byte("-- repo/package.json --\n"+packageJSON+"\n-- repo/pnpm-lock.yaml --\nlockfileVersion: '9.0'\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, s)
	for name, content := range archives {
		w.Files[askedHost+"/"+name] = content
	}
	return s.Run(t, newResolver(t, nil), w.Fetcher(t))
}

// release is an archive of a package, with more files as javascripttest.Archive takes them.
func release(name, version, extra string, more ...string) []byte {
	files := []string{"package/package.json", fmt.Sprintf(`{"name": %q, "version": %q%s}`, name, version, extra)}
	return javascripttest.Archive(append(files, more...)...)
}

const pnpm10 = "pnpm/-/pnpm-10.33.0.tgz"

func TestToolIsFetched(t *testing.T) {
	content := release("pnpm", "10.33.0", "", "package/bin/pnpm.cjs", "x", "package/dist/empty", "")
	sum := sha512.Sum512(content)
	hash := hex.EncodeToString(sum[:])
	for _, test := range []struct{ name, wants, hash string }{
		{"with Corepack's hash", `"packageManager": "pnpm@10.33.0+sha512.` + strings.ToUpper(hash) + `"`, "sha512." + hash},
		{"with an SRI", `"packageManager": "pnpm@10.33.0+` + javascripttest.SRI("sha512", sum[:]) + `"`, "sha512." + hash},
		{"without hash", `"packageManager": "pnpm@10.33.0"`, ""},
		{"as an engine", `"devEngines": {"packageManager": {"name": "pnpm", "version": "10.33.0"}}`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			res := resolveTool(t, `{"name": "app", "version": "1.0.0", `+test.wants+`}`, map[string][]byte{pnpm10: content})
			if res.Err != nil {
				t.Fatal(res.Err)
			}
			const want = `corepack/v1/pnpm/10.33.0/.corepack
corepack/v1/pnpm/10.33.0/bin/pnpm.cjs
corepack/v1/pnpm/10.33.0/dist/empty
corepack/v1/pnpm/10.33.0/package.json
pnpm/.npmrc
pnpm/pnpm/-/pnpm-10.33.0.tgz
`
			if diff := cmp.Diff(want, resolvertest.Entries(res.Output.Deps)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			var record struct {
				Locator struct{ Name, Reference string }
				Bin     map[string]string
				Hash    string
			}
			if err := json.Unmarshal(res.Output.Deps[0].Inline, &record); err != nil {
				t.Fatal(err)
			}
			if record.Locator.Reference != "10.33.0" || record.Bin["pnpm"] != "./bin/pnpm.cjs" || test.hash != "" && record.Hash != test.hash {
				t.Errorf("Corepack's record is %s", res.Output.Deps[0].Inline)
			}
			if v := res.Output.EnvironmentVariables["COREPACK_HOME"]; v.Value != "deps/corepack" || v.Kind != "path" {
				t.Errorf("COREPACK_HOME is %+v", v)
			}
			if got, want := resolvertest.Packages(res.Output), "pnpm app 1.0.0\n  pnpm pnpm 10.33.0 dev\n"; got != want {
				t.Errorf("packages are %q, want %q", got, want)
			}
			if unverified := slices.Contains(res.Output.Unverified, "pkg:npm/pnpm@10.33.0"); unverified != (test.hash == "") {
				t.Errorf("unverified: %v", res.Output.Unverified)
			}
		})
	}
}

func TestToolIsNotFetched(t *testing.T) {
	for name, packageJSON := range map[string]string{
		"another one": `{"packageManager": "yarn@4.0.0"}`, "a range": `{"devEngines": {"packageManager": {"name": "pnpm", "version": "^10"}}}`,
		"another engine": `{"devEngines": {"packageManager": {"name": "npm", "version": "10.0.0"}}}`, "odd types": `{"packageManager": 1, "devEngines": []}`,
	} {
		if res := resolveTool(t, packageJSON, nil); res.Err != nil || len(res.Output.EnvironmentVariables["COREPACK_HOME"].Value) > 0 {
			t.Errorf("%s: got %v, %v", name, res.Err, res.Output.EnvironmentVariables)
		}
	}
}

// pnpm 12 is a native program, in packages of its own.
func TestNativeTool(t *testing.T) {
	res := resolveTool(t, `{"name": "app", "version": "1.0.0", "packageManager": "pnpm@12.1.0"}`, map[string][]byte{
		"pnpm/-/pnpm-12.1.0.tgz":                             release("pnpm", "12.1.0", `, "optionalDependencies": {"@pnpm/exe.linux-x64": "12.1.0", "@pnpm/exe.linux-arm64": "12.1.0", "@pnpm/exe.win32-x64": "12.1.0"}`),
		"@pnpm/exe.linux-x64/-/exe.linux-x64-12.1.0.tgz":     release("@pnpm/exe.linux-x64", "12.1.0", "", "package/pnpm", "x"),
		"@pnpm/exe.linux-arm64/-/exe.linux-arm64-12.1.0.tgz": release("@pnpm/exe.linux-arm64", "12.1.0", "", "package/pnpm", "x"),
	})
	if res.Err != nil {
		t.Fatal(res.Err)
	}
	const want = `corepack/v1/pnpm/12.1.0/.corepack
corepack/v1/pnpm/12.1.0/node_modules/@pnpm/exe.linux-arm64/package.json
corepack/v1/pnpm/12.1.0/node_modules/@pnpm/exe.linux-arm64/pnpm
corepack/v1/pnpm/12.1.0/node_modules/@pnpm/exe.linux-x64/package.json
corepack/v1/pnpm/12.1.0/node_modules/@pnpm/exe.linux-x64/pnpm
corepack/v1/pnpm/12.1.0/package.json
pnpm/.npmrc
pnpm/@pnpm/exe.linux-arm64/-/exe.linux-arm64-12.1.0.tgz
pnpm/@pnpm/exe.linux-x64/-/exe.linux-x64-12.1.0.tgz
pnpm/pnpm/-/pnpm-12.1.0.tgz
`
	if diff := cmp.Diff(want, resolvertest.Entries(res.Output.Deps)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !strings.Contains(string(res.Output.Deps[0].Inline), "./bin/pnpm.mjs") {
		t.Errorf("Corepack's record is %s", res.Output.Deps[0].Inline)
	}
}

func TestHostileTool(t *testing.T) {
	tarOf := func(headers ...tar.Header) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		w := tar.NewWriter(z)
		const manifest = `{"name": "pnpm", "version": "10.33.0"}`
		for _, h := range append([]tar.Header{{Name: "package/package.json", Size: int64(len(manifest))}}, headers...) {
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
			if h.Size > 0 {
				fmt.Fprint(w, manifest)
			}
		}
		if w.Close() != nil || z.Close() != nil {
			t.Fatal("an archive cannot be made")
		}
		return b.Bytes()
	}
	const broken = "Could not process dependency pnpm@https://registry.example/pnpm/-/pnpm-10.33.0.tgz: the archive cannot be read: "
	for _, test := range []struct {
		name    string
		content []byte
		message string // "": it is fetched
	}{
		{"parents", tarOf(tar.Header{Name: "package/../../x"}), broken + `"package/../../x" is not the name of a file below one folder`},
		{"an absolute name", tarOf(tar.Header{Name: "package//etc/passwd"}), broken + `"package//etc/passwd" is not the name of a file below one folder`},
		{"a backslash", tarOf(tar.Header{Name: `package/a\b`}), broken + `"package/a\\b" is not the name of a file below one folder`},
		{"no folder", tarOf(tar.Header{Name: "x"}), broken + `"x" is not the name of a file below one folder`},
		{"one twice", tarOf(tar.Header{Name: "package/x"}, tar.Header{Name: "package/x"}), broken + `"package/x" is there twice`},
		{"links and devices are left out", tarOf(tar.Header{Name: "package/l", Typeflag: tar.TypeSymlink, Linkname: "/etc"}, tar.Header{Name: "package/d", Typeflag: tar.TypeChar}), ""},
		{"a page", []byte("<!DOCTYPE html>"), broken + "unexpected EOF"},
		{"another package", release("npm", "10.33.0", ""), `The file pnpm-10.33.0.tgz holds "npm" "10.33.0" instead of pnpm 10.33.0, and the lockfile has no integrity value for it`},
	} {
		t.Run(test.name, func(t *testing.T) {
			res := resolveTool(t, `{"packageManager": "pnpm@10.33.0"}`, map[string][]byte{pnpm10: test.content})
			switch f := fault.From(res.Err); {
			case test.message == "" && res.Err != nil:
				t.Error(res.Err)
			case test.message == "":
				if got := resolvertest.Entries(res.Output.Deps); strings.Contains(got, "/l\n") || strings.Contains(got, "/d\n") {
					t.Errorf("the bundle has %s", got)
				}
			case f == nil || f.Origin != fault.OriginClient || f.Message != test.message:
				t.Errorf("got %v, want %s", res.Err, test.message)
			}
		})
	}
	t.Run("another digest", func(t *testing.T) {
		res := resolveTool(t, `{"packageManager": "pnpm@10.33.0+sha512.`+strings.Repeat("ab", 64)+`"}`, map[string][]byte{pnpm10: release("pnpm", "10.33.0", "")})
		if f := fault.From(res.Err); f == nil || f.Type != fault.InvalidChecksum || f.Origin != fault.OriginClient {
			t.Errorf("got %v, want InvalidChecksum of the client's", res.Err)
		}
	})
}

// The same input gives the same output, byte for byte, in whatever order files arrive.
func TestOutputIsDeterministic(t *testing.T) {
	var first []byte
	for range 5 {
		s, err := resolvertest.Parse([]byte(lock9("packages:\n  a@1.0.0:\n    resolution: {integrity: SRI(a-1.0.0.tgz)}\n  b@1.0.0:\n    resolution: {}\n  g@git+https://git.example/o/r.git#COMMIT:\n    resolution: {commit: COMMIT, repo: https://git.example/o/r.git, type: git}\n")+
			served("a 1.0.0", "b 1.0.0")+"-- registry/git/git.example/o/r.git/package.json --\n{\"name\": \"g\", \"version\": \"1.0.0\"}\n"), nil)
		if err != nil {
			t.Fatal(err)
		}
		res := resolve(t, s)
		if res.Err != nil {
			t.Fatal(res.Err)
		}
		got, err := json.Marshal(res.Output)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = got
		} else if !bytes.Equal(first, got) {
			t.Fatalf("two runs differ:\n%s\n%s", first, got)
		}
	}
}
