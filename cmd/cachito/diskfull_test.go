package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
)

// TestDiskFull runs a service whose data folder is a file system of 8 MB, too small for the repository. The
// request fails with the reason, the service lives on, and a request that fits completes: nothing
// half-written is left to take the room.
func TestDiskFull(t *testing.T) {
	if out, err := exec.Command("unshare", "-rm", "mount", "-t", "tmpfs", "none", t.TempDir()).CombinedOutput(); err != nil {
		if os.Getenv("CACHITO_REQUIRE_TOOLS") != "" && os.Geteuid() == 0 {
			t.Fatalf("no file system of our own can be mounted here: %v %s", err, out)
		}
		t.Skipf("no file system of our own can be mounted here: %v %s", err, out)
	}
	git := gitrepotest.NewServer(t)
	big := git.Init("o/big")
	noise := make([]byte, 12<<20)
	state := uint32(1)
	for i := range noise { // does not compress
		state = state*1664525 + 1013904223
		noise[i] = byte(state >> 24)
	}
	bigRef := big.Commit(map[string]string{"noise.bin": string(noise)})
	small := git.Init("o/small")
	smallRef := small.Commit(map[string]string{"a.txt": "fits\n"})

	dir := t.TempDir()
	portFile := filepath.Join(dir, "port")
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("mount -t tmpfs -o size=8m none %[1]q && exec cachito serve --listen 127.0.0.1:0 --port-file %[2]q --data-dir %[1]q", data, portFile)
	k := &killed{t: t, data: data, git: git.Host()}
	k.cmd = exec.Command("unshare", "-rm", "sh", "-c", script)
	k.cmd.Env = append(os.Environ(), "CACHITO_ALLOW_HOSTS="+k.git)
	k.cmd.Stderr = &k.stderr
	if err := k.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer k.kill()
	for deadline := time.Now().Add(20 * time.Second); k.url == ""; time.Sleep(5 * time.Millisecond) {
		if port, err := os.ReadFile(portFile); err == nil {
			k.url = "http://127.0.0.1:" + strings.TrimSpace(string(port))
		} else if time.Now().After(deadline) {
			t.Fatalf("the service does not start: %s", k.stderr.String())
		}
	}
	full := k.finished(k.post(git.URL("o/big"), bigRef), time.Now().Add(90*time.Second))
	if full.State != "failed" || full.StateReason != "The storage of the service is full. Please try again later." {
		t.Errorf("got %s: %s\n%s", full.State, full.StateReason, k.stderr.String())
	}
	fits := k.finished(k.post(git.URL("o/small"), smallRef), time.Now().Add(30*time.Second))
	if fits.State != "complete" {
		t.Errorf("after that, a request that fits is %s: %s\n%s", fits.State, fits.StateReason, k.stderr.String())
	}
}
