package web_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var assetPattern = regexp.MustCompile(`\./(assets/[0-9a-f]{12}/)style\.css`)

// TestAssets: what pages load may be kept for ever, is what it says, and does nothing on its own.
func TestAssets(t *testing.T) {
	w := newWorld(t)
	m := assetPattern.FindStringSubmatch(w.get("/").Body.String())
	if m == nil {
		t.Fatal("the page loads no style sheet")
	}
	for name, contentType := range map[string]string{
		"style.css": "text/css; charset=utf-8", "app.js": "text/javascript; charset=utf-8", "live.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml",
		"viewer/swagger-ui-bundle.js": "text/javascript; charset=utf-8", "viewer/LICENSE": "text/plain; charset=utf-8",
	} {
		for _, encoding := range []string{"", "gzip"} {
			out := w.get("/"+m[1]+name, "Accept-Encoding", encoding)
			h := out.Header()
			if out.Code != http.StatusOK || h.Get("Content-Type") != contentType || h.Get("Cache-Control") != "public, max-age=31536000, immutable" ||
				h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") {
				t.Errorf("%s: %d %v", name, out.Code, h)
			}
			if zipped := h.Get("Content-Encoding") == "gzip"; zipped != (encoding == "gzip" && name != "icon.svg" && name != "app.js") {
				t.Errorf("%s for %q: Content-Encoding %q", name, encoding, h.Get("Content-Encoding"))
			}
		}
	}
	if out := w.get("/assets/000000000000/style.css"); out.Code != http.StatusNotFound {
		t.Errorf("assets of another version: %d, want 404", out.Code)
	}
}

// TestViewerIsAsPublished: the viewer's files are those of the package that viewer.json names.
func TestViewerIsAsPublished(t *testing.T) {
	raw, err := os.ReadFile("viewer/viewer.json")
	if err != nil {
		t.Fatal(err)
	}
	var viewer struct {
		Package, Version, License, Integrity string
		Files                                map[string]string
	}
	if err := json.Unmarshal(raw, &viewer); err != nil {
		t.Fatal(err)
	}
	if viewer.License != "Apache-2.0" || !strings.HasPrefix(viewer.Integrity, "sha512-") || viewer.Version == "" {
		t.Errorf("viewer.json: %+v", viewer)
	}
	found, err := filepath.Glob("viewer/*")
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Sorted(maps.Keys(viewer.Files))
	var got []string
	for _, path := range found {
		if name := filepath.Base(path); name != "viewer.json" && name != "refresh" {
			got = append(got, name)
		}
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("files %v, viewer.json names %v", got, want)
	}
	for name, sum := range viewer.Files {
		content, err := os.ReadFile(filepath.Join("viewer", name))
		if err != nil {
			t.Fatal(err)
		}
		if got := sha256.Sum256(content); hex.EncodeToString(got[:]) != sum {
			t.Errorf("%s differs from what was published: sha256 %x, want %s", name, got, sum)
		}
	}
}

// TestScriptsStayCalm: our own scripts write no markup and evaluate no text.
func TestScriptsStayCalm(t *testing.T) {
	scripts, err := filepath.Glob("assets/*.js")
	if err != nil || len(scripts) < 5 {
		t.Fatalf("found %v (%v)", scripts, err)
	}
	risky := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|javascript:|https?://|\.style\b|localStorage`)
	for _, path := range scripts {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if m := risky.FindString(string(content)); m != "" {
			t.Errorf("%s uses %s", path, m)
		}
	}
}
