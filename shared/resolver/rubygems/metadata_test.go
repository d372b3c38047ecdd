package rubygems

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
	"github.com/cachito-serverless/cachito/shared/resolver/rubygems/rubygemstest"
)

func sum256(content []byte) string { return fmt.Sprintf("%x", sha256.Sum256(content)) }

// archive has one entry.
func archive(name string, content []byte) []byte {
	return rubygemstest.Archive(rubygemstest.File{Name: name, Content: content})
}

// gemWith is a gem whose metadata is this text.
func gemWith(metadata string) []byte {
	return archive("metadata.gz", rubygemstest.Gzip([]byte(metadata)))
}

// aGigabyte of zeros, compressed to a megabyte: gzip members follow one another.
func aGigabyte() []byte {
	const member = 16 << 20
	return bytes.Repeat(rubygemstest.Gzip(make([]byte, member)), 1<<30/member)
}

// twice is a gem with two entries of one name.
func twice(t testing.TB) []byte {
	t.Helper()
	one := rubygemstest.Gem{Name: "a", Version: "1.0"}.Build()
	other := rubygemstest.Gem{Name: "b", Version: "1.0"}.Build()
	return append(one[:len(one)-1024], other...) // without the end of the first
}

// odd is a gem that begins with an entry of this kind.
func odd(t testing.TB, h tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&h); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return append(b.Bytes(), rubygemstest.Gem{Name: "a", Version: "1.0"}.Build()...)
}

// TestWhatTheRegistrySends: the lockfile has no checksum, so the content has to show that it is the gem.
func TestWhatTheRegistrySends(t *testing.T) {
	var noise strings.Builder
	for i := range 100 {
		noise.WriteString(sum256(fmt.Append(nil, i)))
	}
	whole := rubygemstest.Gem{Name: "a", Version: "1.0", Files: map[string]string{"lib/a.rb": noise.String()}}.Build()
	header := bytes.Index(whole, []byte("data.tar.gz"))
	const gem = "What https://gems.example/gems/a-1.0.gem sent for the gem a 1.0 "
	tests := []struct {
		name    string
		content []byte
		want    string // of the fault; empty: it is taken
	}{
		{"the gem", whole, ""},
		{"another gem", rubygemstest.Gem{Name: "b", Version: "1.0"}.Build(), gem + "(ruby) is the gem b 1.0 (ruby)"},
		{"another version", rubygemstest.Gem{Name: "a", Version: "1.1"}.Build(), gem + "(ruby) is the gem a 1.1 (ruby)"},
		{"the gem of another platform", rubygemstest.Gem{Name: "a", Version: "1.0", Platform: "x86_64-linux"}.Build(), gem + "(ruby) is the gem a 1.0 (x86_64-linux)"},
		{"a name with a control character", gemWith("name: \"a\\e[31m\"\nversion:\n  version: 1\n"), gem + `(ruby) is the gem a\x1b[31m 1 (ruby)`},
		{"HTML", []byte("<!DOCTYPE html><html><body>" + strings.Repeat("Please log in. ", 100) + "</body></html>"), gem + "is no gem: it is no whole tar archive"},
		{"little HTML", []byte("<html></html>"), gem + "is no gem: it is no whole tar archive"},
		{"nothing", nil, gem + "is no gem: it is no tar archive"},
		{"a part", whole[:700], gem + "is no gem: its metadata.gz: unexpected EOF"},
		{"a part, cut in a header", whole[:header+100], gem + "is no gem: it is no whole tar archive"},
		{"a part, cut in the content", whole[:header+512+1000], gem + "is no gem: it is no whole tar archive"},
		{"a tar without metadata", archive("data.tar.gz", nil), gem + "is no gem: it has no metadata.gz"},
		{"metadata of a folder", archive("x/metadata.gz", rubygemstest.Gzip([]byte("name: a"))), gem + "is no gem: it has no metadata.gz"},
		{"two metadata", twice(t), gem + "is no gem: it has two metadata.gz"},
		{"metadata that is not compressed", archive("metadata.gz", []byte("name: a\nversion: 1\n")), gem + "is no gem: its metadata.gz: gzip: invalid header"},
		{"metadata without a name", gemWith("--- !ruby/object:Gem::Specification\nversion:\n  version: 1.0\n"), gem + "is no gem: its metadata.gz: it has no name or no version"},
		{"metadata that is no YAML", gemWith("name: [\nversion: }\n"), gem + "is no gem: its metadata.gz: name, version and platform cannot be read: yaml: line 1: did not find expected node content"},
		{"a name of 1 MB", gemWith("name: " + strings.Repeat("a", 1<<20) + "\n"), gem + "is no gem: its metadata.gz: name, version or platform is far too long"},
		{"1 GB of zeros", archive("metadata.gz", aGigabyte()), gem + "is no gem: its metadata.gz: it is larger than 33554432 bytes"},
		{"a device", odd(t, tar.Header{Name: "metadata.gz", Typeflag: tar.TypeChar}), ""},
		{"a link", odd(t, tar.Header{Name: "metadata.gz", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}), ""},
		{"an absolute name", odd(t, tar.Header{Name: "/metadata.gz", Typeflag: tar.TypeReg}), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			registry := rubygemstest.NewRegistry()
			registry.Set("a-1.0.gem", tt.content)
			runtime.GC()
			res := runWith(t, lockfileOf(registrySection("a (1.0)")), registry, nil)
			if tt.want == "" {
				if res.Err != nil {
					t.Errorf("got %v", res.Err)
				}
				return
			}
			if got := mustFail(t, res, fault.InvalidFileFormat); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
	t.Run("far too many entries", func(t *testing.T) {
		files := make([]rubygemstest.File, maxGemEntries+1)
		for i := range files {
			files[i].Name = fmt.Sprintf("f%d", i)
		}
		if _, err := readMetadata(bytes.NewReader(rubygemstest.Archive(files...))); err == nil || err.Error() != "it has more than 100 entries" {
			t.Errorf("got %v", err)
		}
	})
}

// A registry that cannot be reached, or does not want to, is no fault of the gem.
func TestRegistryFaults(t *testing.T) {
	for _, tt := range []struct {
		status int
		origin fault.Origin
	}{
		{http.StatusNotFound, fault.OriginClient},
		{http.StatusGone, fault.OriginClient},
		{http.StatusForbidden, fault.OriginClient},
		{http.StatusServiceUnavailable, fault.OriginServer},
		{http.StatusTooManyRequests, fault.OriginServer},
	} {
		handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(tt.status) })
		f := fault.From(runWith(t, lockfileOf(registrySection("a (1.0)")), handler, nil).Err)
		if f == nil || f.Type != fault.NetworkError || f.Origin != tt.origin {
			t.Errorf("%d: got %v, want NetworkError of the %s", tt.status, f, tt.origin)
		}
	}
}

// Metadata as RubyGems of all times wrote it.
func TestParseMetadata(t *testing.T) {
	tests := []struct {
		name, text string
		want       gemMetadata
	}{
		{"RubyGems 3", rubygemstest.Gem{Name: "a-b", Version: "1.0.pre.1", Needs: []string{"c"}}.Metadata(), gemMetadata{"a-b", "1.0.pre.1", "ruby"}},
		{
			"RubyGems 1.3, by Syck",
			"--- !ruby/object:Gem::Specification \nname: rack\nversion: !ruby/object:Gem::Version \n  hash: 23\n  prerelease: false\n  segments: \n  - 1\n  - 0\n  version: \"1.0\"\nplatform: ruby\nauthors: \n- Chris\n",
			gemMetadata{"rack", "1.0", "ruby"},
		},
		{
			"RubyGems 0.8",
			"--- !ruby/object:Gem::Specification\nrubygems_version: 0.8.11\nspecification_version: 1\nname: foo\nversion: !ruby/object:Gem::Version\n  version: 0.1.0\ndate: 2006-01-01 00:00:00 +01:00\nsummary: |\n  name: not this\nplatform: ruby\n",
			gemMetadata{"foo", "0.1.0", "ruby"},
		},
		{
			"quoted values, an anchor, no platform",
			"--- !ruby/object:Gem::Specification\nname: '2'\nversion: &id001 !ruby/object:Gem::Version\n  version: '1.0'\nrequired_ruby_version: *id001\n",
			gemMetadata{"2", "1.0", "ruby"},
		},
		{
			"a platform that is an object",
			"name: a\nversion: !ruby/object:Gem::Version\n  version: 1\nplatform: !ruby/object:Gem::Platform\n  cpu: x86\n  os: mingw32\n  version:\n",
			gemMetadata{"a", "1", "x86"},
		},
		{"an empty platform", "name: a\nversion:\n  version: 1\nplatform: ''\n", gemMetadata{"a", "1", "ruby"}},
		{"the first of two names", "name: a\nversion:\n  version: 1\nname: b\n", gemMetadata{"a", "1", "ruby"}},
		{"long lines elsewhere", "description: " + strings.Repeat("name: x ", 10_000) + "\nname: a\nversion:\n  version: 1\n", gemMetadata{"a", "1", "ruby"}},
		{"no line end at the end", "name: a\nversion:\n  version: 1", gemMetadata{"a", "1", "ruby"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseMetadata(bytes.NewReader(rubygemstest.Gzip([]byte(tt.text))))
			if err != nil || got != tt.want {
				t.Errorf("got %+v (%v), want %+v", got, err, tt.want)
			}
		})
	}
}

// What was no gem is asked for again.
func TestRegistryRecovers(t *testing.T) {
	registry := rubygemstest.NewRegistry()
	registry.Set("a-1.0.gem", []byte("<html>"))
	s, fetcher := lockfileOf(registrySection("a (1.0)")), resolvertest.NewFetcher(t, map[string]http.Handler{gemHost: registry})
	mustFail(t, s.Run(t, newResolver(t), fetcher), fault.InvalidFileFormat)
	registry.Set("a-1.0.gem", rubygemstest.Gem{Name: "a", Version: "1.0"}.Build())
	if res := s.Run(t, newResolver(t), fetcher); res.Err != nil {
		t.Errorf("got %v", res.Err)
	}
}
