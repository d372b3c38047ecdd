package packages_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/packages"
)

func TestWireForm(t *testing.T) {
	yes, no, v := true, false, "1"
	for _, test := range []struct {
		name string
		p    packages.Package
		want string
	}{
		{
			"K03 at the root there is no path",
			packages.Package{Name: "n", Type: "npm", Version: &v},
			`{"dependencies":[],"name":"n","type":"npm","version":"1"}`,
		},
		{
			"K03 in a folder",
			packages.Package{Name: "n", Type: "npm", Version: &v, Path: "sub"},
			`{"dependencies":[],"name":"n","path":"sub","type":"npm","version":"1"}`,
		},
		{
			"no version is null, an empty one is not",
			packages.Package{Name: "n", Type: "x", Dependencies: []packages.Dependency{{Name: "d", Type: "x", Version: new(string)}}},
			`{"dependencies":[{"name":"d","type":"x","version":""}],"name":"n","type":"x","version":null}`,
		},
		{
			"dev and bundled only where they are known",
			packages.Package{Name: "n", Type: "npm", Dependencies: []packages.Dependency{
				{Name: "a", Type: "npm", Dev: &no, Bundled: &yes}, {Name: "b", Type: "npm", Dev: &yes, Bundled: &no}, {Name: "c", Type: "npm"},
			}},
			`{"dependencies":[{"bundled":true,"dev":false,"name":"a","type":"npm","version":null},` +
				`{"bundled":false,"dev":true,"name":"b","type":"npm","version":null},{"name":"c","type":"npm","version":null}],` +
				`"name":"n","type":"npm","version":null}`,
		},
		{
			"replaces: absent, null, given",
			packages.Package{Name: "n", Type: "gomod", Dependencies: []packages.Dependency{
				{Name: "a", Type: "go-package"},
				{Name: "b", Type: "gomod", HasReplaces: true},
				{Name: "c", Type: "gomod", HasReplaces: true, Replaces: &packages.Replaced{Name: "o", Type: "gomod", Version: &v}},
				{Name: "d", Type: "gomod", HasReplaces: true, Replaces: &packages.Replaced{Name: "o", Type: "gomod"}},
			}},
			`{"dependencies":[{"name":"a","type":"go-package","version":null},{"name":"b","replaces":null,"type":"gomod","version":null},` +
				`{"name":"c","replaces":{"name":"o","type":"gomod","version":"1"},"type":"gomod","version":null},` +
				`{"name":"d","replaces":{"name":"o","type":"gomod","version":null},"type":"gomod","version":null}],` +
				`"name":"n","type":"gomod","version":null}`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			// Twice in the data: what stands between packages is part of the form.
			var b bytes.Buffer
			if err := packages.Encode(&b, packages.Data{Packages: []packages.Package{test.p, test.p}}); err != nil {
				t.Fatal(err)
			}
			want := `{"packages": [` + test.want + ", " + test.want + "]}\n"
			if diff := cmp.Diff(want, b.String()); diff != "" {
				t.Errorf("encoded (-want +got):\n%s", diff)
			}
			if whole, err := json.Marshal(test.p); err != nil || string(whole) != test.want {
				t.Errorf("as one value: %s, %v", whole, err)
			}
			back, err := packages.Decode(&b)
			if err != nil {
				t.Fatal(err)
			}
			if test.p.Dependencies == nil {
				test.p.Dependencies = []packages.Dependency{}
			}
			if diff := cmp.Diff(packages.Data{Packages: []packages.Package{test.p, test.p}}, back); diff != "" {
				t.Errorf("read back (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("no packages", func(t *testing.T) {
		var b bytes.Buffer
		if err := packages.Encode(&b, packages.Data{}); err != nil || b.String() != "{\"packages\": []}\n" {
			t.Errorf("got %q, %v", b.String(), err)
		}
		if back, err := packages.Decode(&b); err != nil || len(back.Packages) != 0 {
			t.Errorf("read back %v, %v", back, err)
		}
	})
	t.Run("artifacts, for those who ask", func(t *testing.T) {
		data := packages.Data{Artifacts: []packages.Artifact{{PURL: "pkg:npm/a@1", SHA256: []string{"ab", "cd"}}, {PURL: "pkg:npm/b@1", Unverified: true}}}
		var b bytes.Buffer
		if err := packages.Encode(&b, data); err != nil {
			t.Fatal(err)
		}
		const want = `{"packages": [], "artifacts": [{"purl":"pkg:npm/a@1","sha256":["ab","cd"]}, {"purl":"pkg:npm/b@1","unverified":true}]}` + "\n"
		if diff := cmp.Diff(want, b.String()); diff != "" {
			t.Errorf("encoded (-want +got):\n%s", diff)
		}
		if back, err := packages.DecodeAll(bytes.NewReader(b.Bytes())); err != nil || !cmp.Equal(data, back) {
			t.Errorf("all read back: %v, %v", back, err)
		}
		if back, err := packages.Decode(&b); err != nil || back.Artifacts != nil {
			t.Errorf("the packages read back: %v, %v", back, err)
		}
	})
	t.Run("unknown keys are passed over", func(t *testing.T) {
		back, err := packages.Decode(strings.NewReader(`{"schema": {"a": [1]}, "packages": [{"name": "n", "type": "t", "new": 1}]}`))
		if err != nil || len(back.Packages) != 1 || back.Packages[0].Name != "n" {
			t.Errorf("got %v, %v", back, err)
		}
	})
}

func TestDecodeErrors(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"nothing", ``, "packages data: EOF"},
		{"no object", `[]`, "packages data: expected { at byte 1, got ["},
		{"no list", `{"packages": {}}`, "packages data: expected [ at byte 14, got {"},
		{"null for the list", `{"packages": null}`, "packages data: expected [ at byte 17, got <nil>"},
		{"a wrong type in the second package", `{"packages": [{"name": "a", "type": "t"}, {"name": 1}]}`, "packages data: package 2: "},
		{"a wrong type in a dependency", `{"packages": [{"name": "a", "dependencies": [{"dev": "no"}]}]}`, "packages data: package 1: "},
		{"a wrong replacement", `{"packages": [{"name": "a", "dependencies": [{"replaces": 1}]}]}`, "packages data: package 1: "},
		{"broken off in a package", `{"packages": [{"name": "a"`, "packages data: package 1: "},
		{"broken off in the list", `{"packages": [{"name": "a"}`, "packages data: "},
		{"broken off at the end", `{"packages": []`, "packages data: "},
		{"broken off in what is passed over", `{"packages": [], "x": [{"y": 1}`, "packages data: "},
		{"more behind the end", `{"packages": []} {}`, "packages data: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := packages.Decode(strings.NewReader(test.text))
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("got %v, want %q...", err, test.want)
			}
			err = packages.Walk(strings.NewReader(test.text), func(packages.Package) error { return nil })
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("walking: got %v, want %q...", err, test.want)
			}
		})
	}
}

// TestWalk: the same packages as Decode, one by one, until somebody has had enough.
func TestWalk(t *testing.T) {
	const text = `{"packages": [{"name": "a", "type": "t", "dependencies": [{"name": "d", "type": "t", "version": "1"}]},
		{"name": "b", "type": "t", "version": "2", "path": "sub"}], "artifacts": [{"purl": "pkg:t/d@1"}]}`
	want, err := packages.Decode(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var got []packages.Package
	if err := packages.Walk(strings.NewReader(text), func(p packages.Package) error { got = append(got, p); return nil }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Packages, got); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
	n := 0
	err = packages.Walk(strings.NewReader(text), func(packages.Package) error { n++; return errFull })
	if !errors.Is(err, errFull) || n != 1 {
		t.Errorf("got %v after %d packages, want %v after 1", err, n, errFull)
	}
}

var errFull = errors.New("disk full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestEncodeReportsTheWriter(t *testing.T) {
	if err := packages.Encode(full{}, packages.Data{}); !errors.Is(err, errFull) {
		t.Errorf("got %v, want %v", err, errFull)
	}
	if _, err := packages.Decode(io.MultiReader(strings.NewReader(`{"packages": [`), broken{})); !errors.Is(err, errFull) {
		t.Errorf("got %v, want %v", err, errFull)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errFull }
