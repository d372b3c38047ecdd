package gitrepo

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/fetch"
	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// memory is a sink that keeps everything: "path" -> "mode content", and checks the sink's contract.
type memory struct {
	t     testing.TB
	files map[string]string
	last  string
	fail  error
}

func newMemory(t testing.TB) *memory { return &memory{t: t, files: map[string]string{}} }

func (m *memory) next(path string) {
	if path <= m.last {
		m.t.Errorf("%q comes after %q", path, m.last)
	}
	m.last = path
}

func (m *memory) Dir(path string) error {
	m.next(path)
	m.files[path] = "dir"
	return m.fail
}

func (m *memory) File(path string, mode fs.FileMode, size int64, r io.Reader) error {
	m.next(path)
	b, err := io.ReadAll(r)
	if int64(len(b)) != size {
		m.t.Errorf("%q: %d bytes, %d announced", path, len(b), size)
	}
	m.files[path] = fmt.Sprintf("%o %s", mode, b)
	return errors.Join(err, m.fail)
}

func (m *memory) Link(path, target string) error {
	m.next(path)
	m.files[path] = "-> " + target
	return m.fail
}

// newClient reaches srv and keeps repositories in a temporary folder.
func newClient(t testing.TB, srv *gitrepotest.Server, change ...func(*Settings)) *Client {
	t.Helper()
	f, err := fetch.New(fetch.Settings{AllowHosts: []string{srv.Host()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.CloseIdleConnections)
	s := Settings{Fetch: f, CacheDir: t.TempDir()}
	for _, ch := range change {
		ch(&s)
	}
	c, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func mustFetch(t testing.TB, c *Client, req Request) (map[string]string, Info) {
	t.Helper()
	m := newMemory(t)
	info, err := c.Fetch(t.Context(), req, m)
	if err != nil {
		t.Fatalf("fetching %s: %v (%v)", req.Ref, err, errors.Unwrap(fault.From(err)))
	}
	return m.files, info
}

// wantFault compares a fault's origin, type and text.
func wantFault(t testing.TB, err error, origin fault.Origin, typ fault.Type, message string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %s: %s", typ, message)
	}
	f := fault.From(err)
	if f.Origin != origin || f.Type != typ || !strings.Contains(f.Message, message) {
		t.Errorf("got %s %s: %s (%v)\nwant %s %s: %s", f.Origin, f.Type, f.Message, f.Unwrap(), origin, typ, message)
	}
}

func TestTree(t *testing.T) {
	srv := gitrepotest.NewServer(t)
	repo := srv.Init("o/app")
	repo.Commit(map[string]string{"old": "x"})
	ref := repo.Commit(map[string]string{
		"go.mod": "module m\n", "a/b/c.txt": "c", "a.go": "x", "a-b": "y", "run.sh": "#!/bin/sh\n", "empty": "",
		"big.bin": strings.Repeat("0123456789abcdef", 200_000), "model.bin": lfsHeader + "oid sha256:x\nsize 1\n",
	}, gitrepotest.Executable("run.sh"), gitrepotest.Symlink("l", "../out"), gitrepotest.Gitlink("sub", strings.Repeat("1", 40)), gitrepotest.Delete("old"))
	c := newClient(t, srv)
	got, info := mustFetch(t, c, Request{URL: srv.URL("o/app"), Ref: ref})
	want := map[string]string{
		"go.mod": "644 module m\n", "a/b/c.txt": "644 c", "a.go": "644 x", "a-b": "644 y", "run.sh": "755 #!/bin/sh\n", "empty": "644 ",
		"big.bin": "644 " + strings.Repeat("0123456789abcdef", 200_000), "model.bin": "644 " + lfsHeader + "oid sha256:x\nsize 1\n",
		"l": "-> ../out", "sub": "dir",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if want := gitrepotest.Epoch.Add(60e9); !info.CommitTime.Equal(want) {
		t.Errorf("commit time %v, want %v", info.CommitTime, want)
	}
	if diff := cmp.Diff([]string{"model.bin"}, info.LFSPointers); diff != "" {
		t.Error(diff)
	}

	t.Run("again without the network", func(t *testing.T) {
		srv.Reset()
		again, _ := mustFetch(t, c, Request{URL: srv.URL("o/app"), Ref: ref})
		if diff := cmp.Diff(got, again); diff != "" {
			t.Error(diff)
		}
		if n := len(srv.Requests()); n != 0 {
			t.Errorf("%d requests", n)
		}
	})
	t.Run("without a cache folder", func(t *testing.T) {
		again, _ := mustFetch(t, newClient(t, srv, func(s *Settings) { s.CacheDir = "" }), Request{URL: srv.URL("o/app"), Ref: ref})
		if diff := cmp.Diff(got, again); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a sink's error ends it", func(t *testing.T) {
		m := newMemory(t)
		m.fail = fs.ErrPermission
		if _, err := c.Fetch(t.Context(), Request{URL: srv.URL("o/app"), Ref: ref}, m); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("got %v", err)
		}
		if len(m.files) != 1 {
			t.Errorf("%d entries after the error", len(m.files))
		}
	})
}

func TestRefs(t *testing.T) {
	srv := gitrepotest.NewServer(t)
	repo := srv.Init("o/app")
	first := repo.Commit(map[string]string{"a": "1", "big": strings.Repeat("x", 1000)})
	head := repo.Commit(map[string]string{"a": "2"})
	lost := repo.Commit(map[string]string{"a": "3"}, gitrepotest.Detached())
	tag := repo.AnnotatedTag("v1", head)
	srv.Init("o/empty")
	missing := strings.Repeat("5", 40)
	url := srv.URL("o/app")

	for _, refuse := range []bool{false, true} {
		srv.RefuseHashes(refuse)
		t.Run(fmt.Sprintf("server refuses hashes %v", refuse), func(t *testing.T) {
			t.Run("a commit that is no head", func(t *testing.T) {
				got, _ := mustFetch(t, newClient(t, srv), Request{URL: url, Ref: first})
				if got["a"] != "644 1" {
					t.Errorf("got %q", got["a"])
				}
			})
			for name, ref := range map[string]string{"S01 missing": missing, "a tag object": tag, "a short ref": "abc", "upper case": strings.ToUpper(head)} {
				t.Run(name, func(t *testing.T) {
					_, err := newClient(t, srv).Fetch(t.Context(), Request{URL: url, Ref: ref}, newMemory(t))
					wantFault(t, err, fault.OriginClient, fault.InvalidRequestData,
						fmt.Sprintf("Failed on checking out the Git repository. Please verify the supplied reference of %q is valid.", ref))
				})
			}
			t.Run("S01 in an empty repository", func(t *testing.T) {
				_, err := newClient(t, srv).Fetch(t.Context(), Request{URL: srv.URL("o/empty"), Ref: missing}, newMemory(t))
				wantFault(t, err, fault.OriginClient, fault.InvalidRequestData, "Failed on checking out")
			})
		})
	}
	t.Run("S02 on no branch", func(t *testing.T) {
		srv.RefuseHashes(false)
		got, _ := mustFetch(t, newClient(t, srv), Request{URL: url, Ref: lost})
		if got["a"] != "644 3" {
			t.Errorf("got %q", got["a"])
		}
	})
}

func TestAccess(t *testing.T) {
	srv := gitrepotest.NewServer(t)
	ref := srv.Init("o/app").Commit(map[string]string{"a": "1"})
	srv.RequireAuth("o/app", "u", "secret")
	c := newClient(t, srv)
	for _, tc := range []struct {
		name, url, want string
		origin          fault.Origin
	}{
		{"S03 no such repository", srv.URL("o/none"), "Failed cloning the Git repository", fault.OriginClient},
		{"no credentials", srv.URL("o/app"), "Failed cloning the Git repository", fault.OriginClient},
		{"wrong credentials", strings.Replace(srv.URL("o/app"), "//", "//u:geheim@", 1), "Failed cloning the Git repository", fault.OriginClient},
		{"unknown host", "https://no-such-host.invalid/o/app", "Failed cloning the Git repository", fault.OriginClient},
		{"loopback", "http://u:secret@127.0.0.1:1/o/app?token=secret", "The repository URL http://127.0.0.1:1/o/app is refused: 127.0.0.1 is a loopback address", fault.OriginClient},
		{"loopback by git", "git://127.0.0.1:1/o/app", "The repository URL git://127.0.0.1:1/o/app is refused", fault.OriginClient},
		{"file", "file:///etc", `The protocol "file" of the repository URL file:///etc is not allowed`, fault.OriginClient},
		{"ext", "ext::sh -c x", "blank or control character", fault.OriginClient},
		{"ext without blank", "ext::id", "has no protocol", fault.OriginClient},
		{"path", "/etc", "has no protocol", fault.OriginClient},
		{"option", "--upload-pack=x", "begins with a dash", fault.OriginClient},
		{"ssh option", "ssh://-oProxyCommand=x/y", "names no host", fault.OriginClient},
		{"ssh without a key", "git@git.example:o/app", "needs ssh", fault.OriginClient},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := c.Fetch(t.Context(), Request{URL: tc.url, Ref: ref}, newMemory(t))
			wantFault(t, err, tc.origin, fault.RepositoryAccessError, tc.want)
			for e := err; e != nil; e = errors.Unwrap(e) {
				if strings.Contains(e.Error(), "secret") || strings.Contains(e.Error(), "geheim") {
					t.Errorf("the error shows a secret: %v", e)
				}
			}
		})
	}
	t.Run("S19 user info", func(t *testing.T) {
		withUser := strings.Replace(srv.URL("o/app"), "//", "//u:secret@", 1)
		if got, _ := mustFetch(t, c, Request{URL: withUser, Ref: ref, Tags: true}); got["a"] != "644 1" {
			t.Errorf("got %q", got["a"])
		}
		noSecretIn(t, c.settings.CacheDir, "secret")
		// What was fetched with the password is not shown to someone without it.
		_, err := c.Fetch(t.Context(), Request{URL: srv.URL("o/app"), Ref: ref}, newMemory(t))
		wantFault(t, err, fault.OriginClient, fault.RepositoryAccessError, "Failed cloning")
	})
	t.Run("the user git, left of an ssh URL, is nobody over http", func(t *testing.T) {
		srv.Init("o/public").Commit(map[string]string{"a": "1"})
		srv.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Authorization") != "" {
				http.Error(w, "wrong password", http.StatusUnauthorized)
				return true
			}
			return false
		})
		defer srv.Intercept(nil)
		for _, user := range []string{"//git@", "//"} {
			if got, _ := mustFetch(t, c, Request{URL: strings.Replace(srv.URL("o/public"), "//", user, 1), Ref: ref}); got["a"] != "644 1" {
				t.Errorf("%s: got %q", user, got["a"])
			}
		}
		_, err := c.Fetch(t.Context(), Request{URL: strings.Replace(srv.URL("o/public"), "//", "//git:geheim@", 1), Ref: ref}, newMemory(t))
		wantFault(t, err, fault.OriginClient, fault.RepositoryAccessError, "Failed cloning the Git repository")
	})
	t.Run("server down", func(t *testing.T) {
		srv.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			http.Error(w, "no", http.StatusNotImplemented)
			return true
		})
		_, err := c.Fetch(t.Context(), Request{URL: srv.URL("o/other"), Ref: ref}, newMemory(t))
		wantFault(t, err, fault.OriginServer, fault.RepositoryAccessError, "Failed cloning the Git repository")
		if !fault.MayPass(err) {
			t.Error("it may pass")
		}
	})
	t.Run("no git server", func(t *testing.T) {
		srv.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			io.WriteString(w, "<html>hello</html>")
			return true
		})
		_, err := c.Fetch(t.Context(), Request{URL: srv.URL("o/other"), Ref: ref}, newMemory(t))
		wantFault(t, err, fault.OriginClient, fault.RepositoryAccessError, "Failed cloning the Git repository")
	})
}

// noSecretIn looks through every file of a folder.
func noSecretIn(t testing.TB, dir, secret string) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n++
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), secret) || strings.Contains(path, secret) {
			t.Errorf("%s holds %q", path, secret)
		}
		return err
	})
	if err != nil || n == 0 {
		t.Errorf("%d files, %v", n, err)
	}
}

func TestIncremental(t *testing.T) {
	srv := gitrepotest.NewServer(t)
	repo := srv.Init("o/app")
	noise := func(seed int) string { // does not compress
		var b strings.Builder
		x := uint64(seed)*2654435761 + 88172645463325252
		for range 20_000 {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			fmt.Fprintf(&b, "%016x", x)
		}
		return b.String()
	}
	first := repo.Commit(map[string]string{"big": noise(1), "a": "1"})
	repo.Tag("v1.0.0", first)
	second := repo.Commit(map[string]string{"a": "2"})
	repo.Tag("v1.1.0", second)
	c := newClient(t, srv)
	_, info := mustFetch(t, c, Request{URL: srv.URL("o/app"), Ref: first, Tags: true})
	if diff := cmp.Diff([]resolver.Tag{{Name: "v1.0.0", OnRef: true}}, info.Tags); diff != "" {
		t.Error(diff)
	}
	t.Run("S06 another ref fetches only what is missing, and tags are refreshed", func(t *testing.T) {
		repo.Tag("v1.2.0", second)
		srv.Reset()
		got, info := mustFetch(t, c, Request{URL: srv.URL("o/app"), Ref: second, Tags: true})
		if got["a"] != "644 2" || len(got["big"]) < 300_000 {
			t.Errorf("wrong tree: %v", len(got))
		}
		if n := srv.BytesSent(); n > 10_000 {
			t.Errorf("%d bytes were sent, want less than 10,000", n)
		}
		if diff := cmp.Diff([]resolver.Tag{{Name: "v1.0.0"}, {Name: "v1.1.0", OnRef: true}, {Name: "v1.2.0", OnRef: true}}, info.Tags); diff != "" {
			t.Error(diff)
		}
	})
	for name, damage := range map[string]func(dir string) error{
		"S05 a pack cut off": func(dir string) error {
			packs, _ := filepath.Glob(filepath.Join(dir, "objects/pack/*.pack"))
			return os.Truncate(packs[0], 100)
		},
		"an index is gone": func(dir string) error {
			packs, _ := filepath.Glob(filepath.Join(dir, "objects/pack/*.idx"))
			return os.Remove(packs[0])
		},
		"all packs are gone": func(dir string) error { return os.RemoveAll(filepath.Join(dir, "objects")) },
		"the list is rubbish": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "commits"), []byte("\x00\x01"), 0o600)
		},
		"the list promises too much": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "commits"), []byte(strings.Repeat("a", 40)+" full\n"+second+" full\n"), 0o600)
		},
		"history cut off": func(dir string) error {
			packs, _ := filepath.Glob(filepath.Join(dir, "history/objects/pack/*.pack"))
			return os.Truncate(packs[0], 100)
		},
		"a folder instead of the list": func(dir string) error {
			os.Remove(filepath.Join(dir, "commits"))
			return os.MkdirAll(filepath.Join(dir, "commits", "x"), 0o700)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dirs, _ := filepath.Glob(filepath.Join(c.settings.CacheDir, "*[0-9a-f]"))
			if len(dirs) != 1 {
				t.Fatalf("got %v", dirs)
			}
			if err := damage(dirs[0]); err != nil {
				t.Fatal(err)
			}
			got, info := mustFetch(t, c, Request{URL: srv.URL("o/app"), Ref: second, Tags: true})
			if got["a"] != "644 2" || len(info.Tags) != 3 {
				t.Errorf("got %q, %v", got["a"], info.Tags)
			}
		})
	}
}

func TestTags(t *testing.T) {
	srv := gitrepotest.NewServer(t)
	repo := srv.Init("o/app")
	first := repo.Commit(map[string]string{"a": "1"})
	repo.AnnotatedTag("v1.0.0", first)
	repo.Tag("sub/v0.1.0", first)
	repo.Tag("random", first)
	side := repo.Commit(map[string]string{"side": "1"}, gitrepotest.Detached())
	repo.Tag("v9.0.0", side)
	repo.Tag("v0.9.0-rc.1", repo.Commit(map[string]string{"merged": "1"}, gitrepotest.Detached()))
	merged := repo.Commit(map[string]string{"merged": "2"}, gitrepotest.Detached())
	repo.Tag("v0.9.1", merged)
	ref := repo.Commit(map[string]string{"a": "2"}, gitrepotest.Parents(first, merged))
	inner := repo.AnnotatedTag("inner", ref)
	repo.AnnotatedTag("v2", inner) // a tag of a tag
	repo.Tag("v3.0.0", repo.Commit(map[string]string{"a": "3"}))
	want := []resolver.Tag{{Name: "sub/v0.1.0"}, {Name: "v0.9.1"}, {Name: "v1.0.0"}, {Name: "v2", OnRef: true}}

	for _, tc := range []struct {
		name           string
		refuse, filter bool
	}{{"by hash, without trees", false, true}, {"server cannot filter", false, false}, {"server refuses hashes", true, true}} {
		t.Run(tc.name, func(t *testing.T) {
			srv.RefuseHashes(tc.refuse)
			srv.RefuseFilters(!tc.filter)
			_, info := mustFetch(t, newClient(t, srv), Request{URL: srv.URL("o/app"), Ref: ref, Tags: true})
			if diff := cmp.Diff(want, info.Tags); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("no history when no tag needs it", func(t *testing.T) {
		srv.RefuseHashes(false)
		plain := srv.Init("o/plain")
		plain.Commit(map[string]string{"a": "1"})
		ref := plain.Commit(map[string]string{"a": "2"})
		plain.Tag("v1.0.0", ref)
		c := newClient(t, srv)
		srv.Reset()
		_, info := mustFetch(t, c, Request{URL: srv.URL("o/plain"), Ref: ref, Tags: true})
		if diff := cmp.Diff([]resolver.Tag{{Name: "v1.0.0", OnRef: true}}, info.Tags); diff != "" {
			t.Error(diff)
		}
		if got := srv.Requests(); len(got) != 2 {
			t.Errorf("got requests %v, want the refs and one pack", got)
		}
	})
}

func TestSubmodules(t *testing.T) {
	srv := gitrepotest.NewServer(t)
	deep := srv.Init("o/deep").Commit(map[string]string{"deep.txt": "x"})
	lib := srv.Init("o/lib")
	pinned := lib.Commit(map[string]string{"lib.go": "package lib\n", ".gitmodules": "[submodule \"deep\"]\npath = deep\nurl = ../deep\n"}, gitrepotest.Gitlink("deep", deep))
	lib.Tag("v1.0.0", pinned)
	lib.Commit(map[string]string{"lib.go": "package newer\n"}) // M02: c is not the head
	app := srv.Init("o/app")
	modules := `[submodule "lib"]
	path = third/lib
	url = ` + srv.URL("o/lib") + `
[submodule "relative"]
	path = rel
	url = ../lib.git
[submodule "gone"]
	path = gone
	url = file:///etc
`
	ref := app.Commit(map[string]string{".gitmodules": modules, "third/lib-a": "x", "third/lib.go": "y", "third/z": "z"},
		gitrepotest.Gitlink("third/lib", pinned), gitrepotest.Gitlink("rel", pinned), gitrepotest.Gitlink("unknown", pinned))
	c := newClient(t, srv)
	url := strings.Replace(srv.URL("o/app"), "//", "//u:secret@", 1)
	t.Run("M01 M03 M05 M06 M09", func(t *testing.T) {
		got, info := mustFetch(t, c, Request{URL: url, Ref: ref, Submodules: true, Tags: true})
		want := map[string]string{
			".gitmodules": "644 " + modules, "third/lib-a": "644 x", "third/lib.go": "644 y", "third/z": "644 z", "unknown": "dir",
		}
		for _, at := range []string{"third/lib/", "rel/"} {
			want[at+"lib.go"] = "644 package lib\n"
			want[at+".gitmodules"] = "644 [submodule \"deep\"]\npath = deep\nurl = ../deep\n"
			want[at+"deep"] = "dir"
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		libRepo := resolver.Repo{URL: srv.URL("o/lib"), Ref: pinned, CommitTime: gitrepotest.Epoch, Tags: []resolver.Tag{{Name: "v1.0.0", OnRef: true}}}
		if diff := cmp.Diff([]resolver.Submodule{
			{Name: "relative", Path: "rel", URL: srv.URL("o/lib"), Repo: libRepo},
			{Name: "lib", Path: "third/lib", URL: srv.URL("o/lib"), Repo: libRepo},
		}, info.Submodules); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"The submodule at unknown has no entry in .gitmodules; its directory is empty"}, info.Warnings); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("S07 without submodules", func(t *testing.T) {
		got, info := mustFetch(t, c, Request{URL: url, Ref: ref})
		if got["third/lib"] != "dir" || got["rel"] != "dir" || info.Submodules != nil {
			t.Errorf("got %v", got)
		}
	})
	t.Run("M04 no submodules", func(t *testing.T) {
		_, info := mustFetch(t, c, Request{URL: srv.URL("o/deep"), Ref: deep, Submodules: true})
		if info.Submodules != nil {
			t.Errorf("got %v", info.Submodules)
		}
	})
	t.Run("a repository that contains itself", func(t *testing.T) {
		self := srv.Init("o/self")
		first := self.Commit(map[string]string{"x": "1"})
		ref := self.Commit(map[string]string{".gitmodules": "[submodule \"self\"]\npath=me\nurl=./../self\n"}, gitrepotest.Gitlink("me", first))
		got, _ := mustFetch(t, c, Request{URL: srv.URL("o/self"), Ref: ref, Submodules: true})
		if got["me/x"] != "644 1" {
			t.Errorf("got %v", got)
		}
	})
	const text = "Updating the Git submodule(s) failed"
	for _, tc := range []struct{ name, modules, want string }{
		{"M07 file", "[submodule \"lib\"]\npath = lib\nurl = file:///etc\n", text + ": lib at lib: The protocol \"file\""},
		{"M07 ext", "[submodule \"lib\"]\npath = lib\nurl = ext::sh -c x\n", text + ": lib at lib: "},
		{"M07 option", "[submodule \"lib\"]\npath = lib\nurl = --upload-pack=x\n", text + ": lib at lib: the url \"--upload-pack=x\" begins with a dash"},
		{"name leads out", "[submodule \"../../x\"]\npath = lib\nurl = ../lib\n", text + ": ../../x at lib: the name"},
		{"url leads out", "[submodule \"lib\"]\npath = lib\nurl = ../../../../lib\n", "leads out of"},
		{"no url", "[submodule \"lib\"]\npath = lib\n", text + ": lib at lib: it has no url"},
		{"no such repository", "[submodule \"lib\"]\npath = lib\nurl = ../none\n", text + ": lib at lib: Failed cloning the Git repository"},
		{"missing commit", "[submodule \"lib\"]\npath = lib\nurl = ../deep\n", text + ": lib at lib: Failed on checking out"},
		{"loopback", "[submodule \"lib\"]\npath = lib\nurl = http://127.0.0.1:1/x\n", text + ": lib at lib: The repository URL http://127.0.0.1:1/x is refused"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bad := app.Commit(map[string]string{".gitmodules": tc.modules}, gitrepotest.Gitlink("lib", pinned), gitrepotest.Delete("rel", "unknown", "third"), gitrepotest.Detached())
			_, err := c.Fetch(t.Context(), Request{URL: srv.URL("o/app"), Ref: bad, Submodules: true}, newMemory(t))
			wantFault(t, err, fault.OriginClient, fault.SubprocessCallError, tc.want)
		})
	}
	t.Run("server's trouble", func(t *testing.T) {
		srv.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, "/broken") {
				http.Error(w, "no", http.StatusNotImplemented)
				return true
			}
			return false
		})
		bad := app.Commit(map[string]string{".gitmodules": "[submodule \"lib\"]\npath = lib\nurl = ../broken\n"}, gitrepotest.Gitlink("lib", pinned), gitrepotest.Delete("rel", "unknown", "third"), gitrepotest.Detached())
		_, err := c.Fetch(t.Context(), Request{URL: srv.URL("o/app"), Ref: bad, Submodules: true}, newMemory(t))
		wantFault(t, err, fault.OriginServer, fault.SubprocessCallError, text)
		if fault.From(err).Message != text {
			t.Errorf("got %q, want exactly upstream's sentence", fault.From(err).Message)
		}
	})
}
