package pipeline

import (
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/blob"
)

func TestSourceKey(t *testing.T) {
	const ref = "58c88e4952e95935c0dd72d4a24b0c44f2249f5b"
	key := func(url string) string { return sourceKey(url, ref, "", variant{Tags: true}) }
	if got, want := key("https://GitHub.com/o/r.git"), "sources/github.com/o/r/"+ref+"+tags/source.json"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, same := range [][2]string{
		{"https://github.com/o/r.git", "https://github.com/o/r/"},
		{"https://github.com/o/r", "http://user:secret@github.com/o/r"},
		{"git@github.com:o/r.git", "ssh://git@github.com/o/r"},
	} {
		if key(same[0]) != key(same[1]) {
			t.Errorf("%s and %s have different keys: %s, %s", same[0], same[1], key(same[0]), key(same[1]))
		}
	}
	seen := map[string]string{}
	for _, url := range []string{
		"https://a.example/o/r", "https://b.example/o/r", "https://a.example:8443/o/r", "https://a.example/O/r", "https://a.example/o/r?x=1",
		"https://a.example/o/../r", "https://a.example/o/./r", "https://a.example/o/%2e%2e/r", "https://a.example/o/..%2fr", "https://a.example/ö/r",
		"", "/", "ext::sh -c x", "a\nb", "\x00", strings.Repeat("x", 200), "https://a.example/" + strings.Repeat("/", 150),
	} {
		got := key(url)
		if err := blob.CheckKey(got); err != nil {
			t.Errorf("%q: %v", url, err)
		}
		if strings.Contains(got, "secret") {
			t.Errorf("%s holds the password", got)
		}
		if other, ok := seen[got]; ok && strings.Trim(url, "/") != strings.Trim(other, "/") {
			t.Errorf("%q and %q share the key %s", url, other, got)
		}
		seen[got] = url
	}
	if sourceKey("https://a.example/o/r", ref, "netrc:a.example", variant{}) == sourceKey("https://a.example/o/r", ref, "", variant{}) {
		t.Error("a source that was read with a credential is served without it")
	}
}
