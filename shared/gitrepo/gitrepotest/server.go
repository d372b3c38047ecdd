package gitrepotest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// maxRequestBytes bounds a request's body: CGI needs its length, so chunked ones are read first.
const maxRequestBytes = 64 << 20

// repoPath splits /owner/name.git/info/refs; the service's own part comes last.
var repoPath = regexp.MustCompile(`^/(.+?)(?:\.git)?/(info/refs|HEAD|git-upload-pack|objects/.+)$`)

// Server serves the repositories below a folder at http://127.0.0.1:<port>/<name>.git, read only.
// Its methods may be called while it serves.
type Server struct {
	Dir string

	listener net.Listener
	http     *http.Server

	mu           sync.Mutex
	requests     []string
	sent         int64
	auth         map[string][2]string
	refuseHashes bool
	noFilter     bool
	intercept    func(http.ResponseWriter, *http.Request) bool
}

// NewServer serves a temporary folder until the test ends.
func NewServer(t testing.TB) *Server {
	t.Helper()
	s, err := Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Start serves dir on a free loopback port. Call Close when done.
func Start(dir string) (*Server, error) {
	gitPath, err := exec.LookPath("git")
	if err != nil {
		return nil, fmt.Errorf("serving git repositories needs the git command: %w", err)
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("serving git repositories: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("serving git repositories: %w", err)
	}
	s := &Server{Dir: dir, listener: l, auth: map[string][2]string{}}
	s.http = &http.Server{Handler: s.handler(gitPath), ReadHeaderTimeout: 10 * time.Second}
	go s.http.Serve(l)
	return s, nil
}

// Close stops the server and waits for running requests.
func (s *Server) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		s.http.Close()
	}
}

// Init makes an empty repository that is served as name ("owner/name").
func (s *Server) Init(name string) *Repo { return Init(filepath.Join(s.Dir, name+".git")) }

// URL of a repository: http://127.0.0.1:<port>/owner/name.git
func (s *Server) URL(name string) string { return "http://" + s.Host() + "/" + name + ".git" }

// Host is 127.0.0.1:<port>.
func (s *Server) Host() string { return s.listener.Addr().String() }

// RequireAuth lets only this user read a repository (HTTP basic authentication).
func (s *Server) RequireAuth(name, user, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.auth[name] = [2]string{user, password}
}

// RefuseHashes makes the server give only what its refs point at, as a git server does by default.
func (s *Server) RefuseHashes(refuse bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuseHashes = refuse
}

// RefuseFilters makes the server ignore --filter.
func (s *Server) RefuseFilters(refuse bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noFilter = refuse
}

// Intercept runs f before each request; when it returns true, it has answered. nil: no interception.
func (s *Server) Intercept(f func(http.ResponseWriter, *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intercept = f
}

// Requests are the requests answered so far: "GET /owner/name.git/info/refs?service=git-upload-pack".
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// BytesSent counts the bytes of all answers.
func (s *Server) BytesSent() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent
}

// Reset sets Requests and BytesSent back to nothing.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests, s.sent = nil, 0
}

func (s *Server) handler(gitPath string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.Method+" "+r.URL.RequestURI())
		intercept, refuse, noFilter := s.intercept, s.refuseHashes, s.noFilter
		s.mu.Unlock()
		w = &counter{ResponseWriter: w, s: s}
		if intercept != nil && intercept(w, r) {
			return
		}
		m := repoPath.FindStringSubmatch(r.URL.Path)
		if m == nil || strings.Contains(m[1], "..") {
			http.NotFound(w, r)
			return
		}
		name := m[1]
		if _, err := os.Stat(filepath.Join(s.Dir, name+".git", "HEAD")); err != nil {
			http.NotFound(w, r)
			return
		}
		s.mu.Lock()
		want, guarded := s.auth[name]
		s.mu.Unlock()
		if user, password, _ := r.BasicAuth(); guarded && [2]string{user, password} != want {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "authentication required", http.StatusUnauthorized)
			return
		}
		if r.ContentLength < 0 {
			body, err := io.ReadAll(io.LimitReader(r.Body, maxRequestBytes))
			if err != nil {
				return
			}
			r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
		}
		if refuse {
			r.Header.Del("Git-Protocol") // version 2 serves any hash, whatever is configured
		}
		r.URL.Path = "/" + name + ".git/" + m[2]
		backend := cgi.Handler{
			Path: gitPath, Args: []string{"http-backend"}, Dir: s.Dir, Stderr: io.Discard,
			Env: environment(s.Dir, refuse, noFilter),
		}
		backend.ServeHTTP(w, r)
	})
}

func environment(root string, refuseHashes, noFilter bool) []string {
	settings := [][2]string{
		{"safe.directory", "*"},
		{"http.receivepack", "false"},
		{"uploadpack.allowAnySHA1InWant", fmt.Sprint(!refuseHashes)},
		{"uploadpack.allowFilter", fmt.Sprint(!noFilter)},
	}
	env := []string{
		"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=" + os.DevNull, "HOME=" + root, "PATH=" + os.Getenv("PATH"),
		fmt.Sprintf("GIT_CONFIG_COUNT=%d", len(settings)),
	}
	for i, kv := range settings {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, kv[0]), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, kv[1]))
	}
	return env
}

type counter struct {
	http.ResponseWriter
	s *Server
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.s.mu.Lock()
	c.s.sent += int64(n)
	c.s.mu.Unlock()
	return n, err
}

func (c *counter) Flush() {
	if f, ok := c.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}
