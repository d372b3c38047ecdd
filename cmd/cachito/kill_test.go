package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
)

// TestKilled kills the service with SIGKILL again and again while it works. No request that it accepted may
// be lost, equal requests get equal bundles, no state is set twice, and nothing is left behind.
func TestKilled(t *testing.T) {
	git := gitrepotest.NewServer(t)
	lib := git.Init("o/lib")
	libRef := lib.Commit(map[string]string{"lib.txt": "library\n"})
	app := git.Init("o/app")
	files := map[string]string{".gitmodules": "[submodule \"lib\"]\n\tpath = lib\n\turl = ../lib.git\n"}
	for i := range 300 {
		files[fmt.Sprintf("dir%d/file%d.txt", i%17, i)] = strings.Repeat(fmt.Sprintf("line %d\n", i), 200)
	}
	refs := []string{app.Commit(files, gitrepotest.Gitlink("lib", libRef))}
	files["more.txt"] = "more\n"
	refs = append(refs, app.Commit(files, gitrepotest.Gitlink("lib", libRef)))

	k := &killed{t: t, data: filepath.Join(t.TempDir(), "data"), git: git.Host()}
	random := rand.New(rand.NewSource(1)) // the same every time
	refOf := map[int64]string{}
	const kills = 12
	for range kills {
		k.start()
		for range 2 {
			ref := refs[random.Intn(len(refs))]
			refOf[k.post(git.URL("o/app"), ref)] = ref
		}
		time.Sleep(time.Duration(random.Intn(150)) * time.Millisecond)
		k.kill()
	}
	k.start()
	defer k.kill()
	digests := map[string]string{}
	deadline := time.Now().Add(3 * time.Minute)
	for id, ref := range refOf {
		req := k.finished(id, deadline)
		if req.State != "complete" {
			t.Errorf("request %d is %s: %s", id, req.State, req.StateReason)
			continue
		}
		seen := map[string]bool{}
		for _, h := range req.History {
			if seen[h.Reason] {
				t.Errorf("request %d has the state %q twice", id, h.Reason)
			}
			seen[h.Reason] = true
		}
		resp, err := http.Head(k.url + fmt.Sprintf("/api/v1/requests/%d/download", id))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		digest := resp.Header.Get("Digest")
		if digest == "" || digests[ref] != "" && digests[ref] != digest {
			t.Errorf("request %d for %s has the digest %q, another one has %q", id, ref, digest, digests[ref])
		}
		digests[ref] = digest
	}
	for _, folder := range []string{"work", "blobs/tmp"} {
		// Messages that were sent twice may still be looked at.
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			left, err := os.ReadDir(filepath.Join(k.data, folder))
			if err == nil && len(left) == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s holds %v (%v), want nothing left", folder, left, err)
			}
		}
	}
}

type killed struct {
	t         *testing.T
	data, git string
	env       []string // besides what every start has
	url       string
	cmd       *exec.Cmd
	stderr    lockedText
}

// lockedText can be read while a process writes to it.
type lockedText struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedText) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (k *killed) start() {
	k.t.Helper()
	portFile := filepath.Join(k.t.TempDir(), "port")
	k.stderr.Reset()
	k.cmd = exec.Command("cachito", "serve", "--listen", "127.0.0.1:0", "--port-file", portFile, "--data-dir", k.data)
	k.cmd.Env = append(os.Environ(), "CACHITO_ALLOW_HOSTS="+k.git, "CACHITO_DEFAULT_PACKAGE_MANAGERS=git-submodule")
	k.cmd.Env = append(k.cmd.Env, k.env...)
	k.cmd.Stderr = &k.stderr
	if err := k.cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if port, err := os.ReadFile(portFile); err == nil {
			k.url = "http://127.0.0.1:" + strings.TrimSpace(string(port))
			return
		}
		if time.Now().After(deadline) {
			k.t.Fatalf("the service does not start: %s", k.stderr.String())
		}
	}
}

func (k *killed) kill() {
	if k.cmd.ProcessState == nil {
		k.cmd.Process.Kill()
		k.cmd.Wait()
	}
}

func (k *killed) post(repo, ref string) int64 {
	k.t.Helper()
	body, err := json.Marshal(map[string]any{"repo": repo, "ref": ref, "pkg_managers": []string{"git-submodule"}})
	if err != nil {
		k.t.Fatal(err)
	}
	resp, err := http.Post(k.url+"/api/v1/requests", "application/json", bytes.NewReader(body))
	if err != nil {
		k.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusCreated {
		k.t.Fatalf("POST answers %d %s (%v)", resp.StatusCode, text, err)
	}
	var req killedRequest
	if err := json.Unmarshal(text, &req); err != nil {
		k.t.Fatal(err)
	}
	return req.ID
}

type killedRequest struct {
	ID          int64  `json:"id"`
	State       string `json:"state"`
	StateReason string `json:"state_reason"`
	History     []struct {
		Reason string `json:"state_reason"`
	} `json:"state_history"`
}

func (k *killed) finished(id int64, deadline time.Time) killedRequest {
	k.t.Helper()
	for ; ; time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get(k.url + fmt.Sprintf("/api/v1/requests/%d", id))
		if err != nil {
			k.t.Fatal(err)
		}
		var req killedRequest
		err = json.NewDecoder(resp.Body).Decode(&req)
		resp.Body.Close()
		if err != nil || req.ID != id {
			k.t.Fatalf("request %d is lost: %v", id, err)
		}
		if req.State != "in_progress" || time.Now().After(deadline) {
			return req
		}
	}
}
