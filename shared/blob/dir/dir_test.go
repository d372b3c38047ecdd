package dir

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/blob/blobtest"
)

func open(t *testing.T, path string, opts ...Option) *Blob {
	t.Helper()
	b, err := Open(path, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func keys(t *testing.T, b *Blob) []string {
	t.Helper()
	var list []string
	for info, err := range b.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, info.Key)
	}
	return list
}

func put(t *testing.T, b *Blob, key, content string) {
	t.Helper()
	if err := b.Put(t.Context(), key, []byte(content), true); err != nil {
		t.Fatal(err)
	}
}

func TestBlob(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Blob {
		path := t.TempDir()
		b := open(t, path)
		t.Cleanup(func() { // runs after the test's own, which abort what is open
			if left, err := os.ReadDir(filepath.Join(path, "tmp")); err != nil || len(left) != 0 {
				t.Errorf("temporary files left behind: %v, %v", left, err)
			}
		})
		return b
	})
}

func TestHook(t *testing.T) {
	broken := errors.New("the process ends here")
	for _, c := range []struct {
		op   string
		want []string // keys afterwards
	}{
		{"before publish", []string{"old"}},
		{"after publish", []string{"new", "old"}},
		{"before remove", []string{"new", "old"}},
		{"after remove", []string{"new"}},
	} {
		t.Run(c.op, func(t *testing.T) {
			path := t.TempDir()
			put(t, open(t, path), "old", "x")
			var seen []string
			b := open(t, path, WithEffectHook(func(op, key string) error {
				seen = append(seen, op+" "+key)
				if op == c.op {
					return broken
				}
				return nil
			}))
			err := b.Put(t.Context(), "new", []byte("x"), false)
			if err == nil {
				err = b.Delete(t.Context(), "old")
			}
			if !errors.Is(err, broken) {
				t.Errorf("got %v, want the hook's error", err)
			}
			if diff := cmp.Diff(c.want, keys(t, b)); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
			all := []string{"before publish new", "after publish new", "before remove old", "after remove old"}
			if diff := cmp.Diff(all[:len(seen)], seen); diff != "" || !strings.HasPrefix(seen[len(seen)-1], c.op) {
				t.Errorf("effects (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLeftovers(t *testing.T) {
	path := t.TempDir()
	b := open(t, path)
	for range 2 { // two processes that were killed while they wrote
		w, err := b.Create(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, "half of it"); err != nil {
			t.Fatal(err)
		}
		if err := w.(*writer).f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	tmp := func() []os.DirEntry {
		left, err := os.ReadDir(filepath.Join(path, "tmp"))
		if err != nil {
			t.Fatal(err)
		}
		return left
	}
	old := time.Now().Add(-StaleAfter - time.Minute)
	if err := os.Chtimes(filepath.Join(path, "tmp", tmp()[0].Name()), old, old); err != nil {
		t.Fatal(err)
	}
	young := tmp()[1].Name()
	b = open(t, path)
	if left := tmp(); len(left) != 1 || left[0].Name() != young {
		t.Errorf("after opening: got %v, want %s only", left, young)
	}
	put(t, b, "k", "x")
	if err := b.RemoveAbandoned(); err != nil {
		t.Fatal(err)
	}
	if left := tmp(); len(left) != 0 {
		t.Errorf("after RemoveAbandoned: got %v", left)
	}
	if diff := cmp.Diff([]string{"k"}, keys(t, b)); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

func TestFullDisk(t *testing.T) {
	b := open(t, t.TempDir())
	w, err := b.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The temporary file becomes the device that is always full.
	full := w.(*writer)
	name := full.f.Name()
	full.f.Close()
	if err := errors.Join(os.Remove(name), os.Symlink("/dev/full", name)); err != nil {
		t.Fatal(err)
	}
	if full.f, err = os.OpenFile(name, os.O_RDWR, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "x"); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Write: got %v, want ENOSPC", err)
	} else if strings.Contains(err.Error(), b.tmp) {
		t.Errorf("error %q shows the folder", err)
	}
	if err := w.Commit(t.Context(), "k", true); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Commit: got %v, want ENOSPC", err)
	}
	if err := w.Abort(); err != nil {
		t.Error(err)
	}
	if got := keys(t, b); got != nil {
		t.Errorf("keys: got %v", got)
	}
	if left, err := os.ReadDir(b.tmp); err != nil || len(left) != 0 {
		t.Errorf("temporary files left behind: %v, %v", left, err)
	}
}

// lockVariable makes the test binary a process that holds a lock.
const lockVariable = "CACHITO_TEST_LOCK"

func TestMain(m *testing.M) {
	if path := os.Getenv(lockVariable); path != "" {
		if _, err := Lock(path); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("locked")
		io.Copy(io.Discard, os.Stdin) // until the parent lets go or ends
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), lockVariable+"="+path)
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "locked\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	unlock, err := Lock(path)
	if err == nil {
		unlock()
		t.Error("a lock that another process holds was taken")
	} else if want := "pid " + strconv.Itoa(child.Process.Pid); !strings.Contains(err.Error(), want) {
		t.Errorf("error %q does not say %q", err, want)
	}
	// However the holder ends, its lock is free.
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	child.Wait()
	unlock, err = Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Lock(path); err == nil {
		again()
		t.Error("it was locked twice in one process")
	}
	unlock()
	unlock, err = Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}
