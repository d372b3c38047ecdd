package pipeline

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/request"
)

// TestEnvFile sources the file in every shell that is here, from the bundle's folder and from below it,
// in a folder whose name needs quoting.
func TestEnvFile(t *testing.T) {
	bundle := filepath.Join(t.TempDir(), "it's a $bundle")
	below := filepath.Join(bundle, "app", "sub")
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	content := envFile(map[string]request.EnvironmentVariable{
		"GOMODCACHE":    {Value: "deps/gomod/pkg/mod", Kind: "path"},
		"GOPROXY":       {Value: "off", Kind: "literal"},
		"TRICKY":        {Value: `a'b"c $(touch pwned) \`, Kind: "literal"},
		"no shell name": {Value: "x", Kind: "literal"},
	})
	if err := os.WriteFile(filepath.Join(bundle, EnvFileName), content, 0o644); err != nil {
		t.Fatal(err)
	}
	want := filepath.Join(bundle, "deps/gomod/pkg/mod") + `|off|a'b"c $(touch pwned) \`
	ran := 0
	for _, shell := range []string{"sh", "dash", "bash", "zsh", "busybox"} {
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		args := []string{path}
		if shell == "busybox" {
			args = append(args, "sh")
		}
		for _, from := range []struct{ dir, file string }{{bundle, "./cachito.env"}, {below, "../../cachito.env"}} {
			ran++
			script := ". " + from.file + ` && printf '%s|%s|%s' "$GOMODCACHE" "$GOPROXY" "$TRICKY"`
			cmd := exec.Command(args[0], append(args[1:], "-c", script)...)
			cmd.Dir = from.dir
			cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PWD=" + from.dir}
			got, err := cmd.CombinedOutput()
			if err != nil || string(got) != want {
				t.Errorf("%s in %s: got %q (%v), want %q", shell, from.dir, got, err, want)
			}
		}
	}
	if ran < 4 {
		t.Errorf("only %d runs: sh and bash must be there", ran)
	}
}

func TestEnvFileNotFound(t *testing.T) {
	file := filepath.Join(t.TempDir(), "elsewhere.env")
	if err := os.WriteFile(file, envFile(nil), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", ". "+file+"; echo went on")
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	if !strings.Contains(string(out), "set CACHITO_BUNDLE to its folder") {
		t.Errorf("got %q (%v), want a hint to CACHITO_BUNDLE", out, err)
	}
}
