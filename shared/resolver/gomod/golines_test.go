package gomod

import (
	"os"
	"strings"
	"testing"
)

func TestGoVersions(t *testing.T) {
	tests := []struct{ name, file, language, toolchain string }{
		{"G25 language", "go 1.21", "1.21", ""},
		{"G25 patch and spaces", "   go    1.21.4  ", "1.21.4", ""},
		{"G25 toolchain alone", "   toolchain   go1.21.4", "", "1.21.4"},
		{"G25 both", "go 1.21\ntoolchain go1.21.6", "1.21", "1.21.6"},
		{"G26 no space", "go1.21", "", ""},
		{"G26 four numbers", "go 1.21.0.100", "", ""},
		{"G26 no keyword", "1.21", "", ""},
		{"G26 something behind", "go 1.21 foo", "", ""},
		{"G26 toolchain without go", "toolchain 1.21", "", ""},
		{"G27 release candidate", "go 1.21rc4", "1.21rc4", ""},
		{"G27 comment", "go 1.21 // why", "1.21", ""},
		{"first match counts", "go 1.21\ngo 1.22", "1.21", ""},
		{"Windows line ends", "module m\r\ngo 1.21.3\r\ntoolchain go1.22.0\r\n", "1.21.3", "1.22.0"},
		{"toolchain default", "go 1.21\ntoolchain default", "1.21", ""},
		{"a line does not reach into the next", "go\n1.21", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			language, toolchain := goVersions([]byte(tt.file))
			if language != tt.language || toolchain != tt.toolchain {
				t.Errorf("got (%q, %q), want (%q, %q)", language, toolchain, tt.language, tt.toolchain)
			}
		})
	}
}

func TestToolchainFor(t *testing.T) {
	tests := []struct {
		name     string
		versions []string
		want     string
	}{
		{"G26 nothing", nil, "go1.20"},
		{"G28 old", []string{"1.13", ""}, "go1.20"},
		{"G28 1.20", []string{"1.20"}, "go1.20"},
		{"G28 1.20 with a patch", []string{"1.20.5"}, "go1.20"},
		{"G28 exactly", []string{"1.21.9"}, "go1.21.9"},
		{"G28 language version", []string{"1.22"}, "go1.22.0"},
		{"G28 toolchain is greater", []string{"1.21", "1.21.6"}, "go1.21.6"},
		{"G28 go is greater", []string{"1.22.1", "1.21.6"}, "go1.22.1"},
		{"G28 two digits compare as numbers", []string{"1.9", "1.10"}, "go1.20"},
		{"release candidate", []string{"1.22rc1", "1.21.5"}, "go1.22rc1"},
		{"above everything known", []string{"1.99"}, "go1.99.0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := toolchainFor(wantedVersion(tt.versions...)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestWantedGoOfAWorkspace(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		dir   string
		want  string
	}{
		{"G28c go.work counts", map[string]string{
			"go.work": "go 1.22.3\nuse ./a\nuse ./b\n", "a/go.mod": "module a\ngo 1.21\n", "b/go.mod": "module b\ngo 1.21\n",
		}, "a", "go1.22.3"},
		{"G28c so does its toolchain line", map[string]string{
			"go.work": "go 1.21.0\ntoolchain go1.23.4\nuse ./a\n", "a/go.mod": "module a\ngo 1.21\n",
		}, "a", "go1.23.4"},
		{"G28c and the other modules", map[string]string{
			"go.work": "go 1.21\nuse (\n\t./a\n\t./b\n)\n", "a/go.mod": "module a\ngo 1.21\n", "b/go.mod": "module b\ngo 1.24.1\n",
		}, "a", "go1.24.1"},
		{"no go.work above", map[string]string{
			"b/go.work": "go 1.25\nuse .\n", "a/go.mod": "module a\ngo 1.21\n",
		}, "a", "go1.21.0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files, err := readModuleFiles(testTree(t, tt.files), tt.dir)
			if err != nil {
				t.Fatal(err)
			}
			if got := toolchainFor(files.wantedGo()); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// testTree is a work tree with these files.
func testTree(t testing.TB, files map[string]string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	for name, text := range files {
		if i := strings.LastIndex(name, "/"); i > 0 {
			if err := root.MkdirAll(name[:i], 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := root.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func FuzzGoVersions(f *testing.F) {
	for _, seed := range []string{"go 1.21\n", "module m\n\ngo 1.22rc1 // why\ntoolchain go1.22.3\n", "go1.21", "\r\n go 1.2.3\r\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file string) {
		language, toolchain := goVersions([]byte(file))
		for _, v := range []string{language, toolchain} {
			if v != "" && !strings.Contains(file, v) {
				t.Errorf("%q does not stand in the file", v)
			}
		}
		release := toolchainFor(wantedVersion(language, toolchain))
		if again, _ := goVersions([]byte("go " + strings.TrimPrefix(release, "go") + "\n")); "go"+again != release {
			t.Errorf("release %q of %q cannot be named in a go line", release, file)
		}
	})
}
