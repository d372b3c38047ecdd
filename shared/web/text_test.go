package web

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/request"
)

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"plain ünï 日本 😀":          "plain ünï 日本 😀",
		"a\x1b[31mb":              "a⟨U+001B⟩[31mb",
		"evil\u202egpj.exe":       "evil⟨U+202E⟩gpj.exe",
		"\x00\t\n\x7f\u0085":      "⟨U+0000⟩⟨U+0009⟩⟨U+000A⟩⟨U+007F⟩⟨U+0085⟩",
		"no\u00a0break\u3000wide": "no⟨U+00A0⟩break⟨U+3000⟩wide",
		"tag\U000e0041":           "tag⟨U+E0041⟩",
		"\xff":                    "\uFFFD",
	} {
		if got := visible(in); got != want {
			t.Errorf("visible(%q): got %q, want %q", in, got, want)
		}
	}
	if got, want := visibleLines("a\r\n\tb\x1b"), "a⟨U+000D⟩\n\tb⟨U+001B⟩"; got != want {
		t.Errorf("visibleLines: got %q, want %q", got, want)
	}
}

func TestReadRepository(t *testing.T) {
	for in, want := range map[string]repository{
		"https://github.com/spf13/cobra.git":        {"github.com", "spf13/cobra", "https://github.com/spf13/cobra.git"},
		"https://user:secret@example.org:8443/a/b/": {"example.org:8443", "a/b", "https://example.org:8443/a/b/"},
		"http://example.org/a?token=x#y":            {"example.org", "a", "http://example.org/a"},
		"ssh://git@example.org/a.git":               {"example.org", "a", ""},
		"git@example.org:ns/name.git":               {"example.org", "ns/name", ""},
		"javascript://example.org/%0aalert(1)":      {"example.org", "\nalert(1)", ""},
		"javascript:alert(1)":                       {"javascript", "alert(1)", ""},
		"https://user:se cret@example.org/a":        {"", "https://…", ""},
		"https://example.org/%zz":                   {"", "https://…", ""},
		"":                                          {"", "", ""},
		"/srv/git/a.git":                            {"", "/srv/git/a.git", ""},
		"HTTPS://example.org/\"><script>":           {"example.org", "\"><script>", "https://example.org/%22%3E%3Cscript%3E"},
	} {
		if diff := cmp.Diff(want, readRepository(in)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", in, diff)
		}
	}
}

func TestSmallTexts(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ got, want string }{
		{humanBytes(0), "0 B"},
		{humanBytes(999), "999 B"},
		{humanBytes(1000), "1.0 kB"},
		{humanBytes(999_949), "999.9 kB"},
		{humanBytes(999_950), "1.0 MB"},
		{humanBytes(5_000_000_000_000_000), "5000.0 TB"},
		{number(int64(0)), "0"},
		{number(int64(999)), "999"},
		{number(1234), "1,234"},
		{number(int64(-1234567)), "-1,234,567"},
		{short("c50b93a32df1c9d700e3e80996845bc2e13be848"), "c50b93a32df1"},
		{short("c50"), "c50"},
		{ago(now, now.Add(time.Minute)), "just now"},
		{ago(now, now.Add(-59*time.Second)), "just now"},
		{ago(now, now.Add(-60*time.Second)), "1 min ago"},
		{ago(now, now.Add(-59*time.Minute)), "59 min ago"},
		{ago(now, now.Add(-47*time.Hour)), "47 h ago"},
		{ago(now, now.Add(-48*time.Hour)), "2 days ago"},
		{ago(now, now.Add(-70*24*time.Hour)), "16 Sep 2026"},
		{span(-time.Second), "0 s"},
		{span(420 * time.Millisecond), "0.4 s"},
		{span(59 * time.Second), "59 s"},
		{span(200 * time.Second), "3 min 20 s"},
		{span(125 * time.Minute), "2 h 5 min"},
		{fileName(`a/b"c\d;e é.txt`), "b_c_d;e__.txt"},
		{fileName("../.."), ".."},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

// TestRepeatLine: what a shell makes of the line is the order, whatever is in it, and the line itself is
// printable ASCII.
func TestRepeatLine(t *testing.T) {
	req := request.Request{
		Repo: "https://user:secret@example.org/it's `id` $(id) \"x\" \\ \u202e\U0001F600\n.git", Ref: "c50b93a32df1c9d700e3e80996845bc2e13be848",
		PackageManagers: []string{"npm"}, Packages: map[string]json.RawMessage{"npm": json.RawMessage(`[{"path":"a'b\u001b"}]`)},
		Flags: []string{"x"}, Replacements: []request.Replacement{{Name: "n'", Type: "npm", Version: "\x7f"}},
	}
	req.Repo = strings.ReplaceAll(req.Repo, "\n", "%0a") // a URL with a line break cannot be parsed
	line, err := repeatLine("http://host/it's/api/v1", req)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range line {
		if r > '~' || r < ' ' && r != '\n' {
			t.Errorf("%U in %q", r, line)
		}
	}
	out, err := exec.CommandContext(t.Context(), "sh", "-c", `curl() { printf '%s\0' "$@"; }; `+line).Output()
	if err != nil {
		t.Fatal(err)
	}
	args := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	if len(args) != 5 || args[0] != "http://host/it's/api/v1/requests" || args[1] != "-H" || args[3] != "-d" {
		t.Fatalf("arguments %q", args)
	}
	var got orderOf
	if err := json.Unmarshal([]byte(args[4]), &got); err != nil {
		t.Fatal(err)
	}
	want := orderOf{withoutUser(req.Repo), req.Ref, req.PackageManagers, map[string]json.RawMessage{"npm": json.RawMessage(`[{"path":"a'b\u001b"}]`)}, req.Flags, req.Replacements}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if strings.Contains(line, "secret") {
		t.Errorf("the line has user info: %s", line)
	}
}
