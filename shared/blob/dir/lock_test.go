package dir_test

import (
	"path/filepath"
	"runtime"
	"testing"

	"github.com/cachito-serverless/cachito/shared/blob/dir"
)

// A process that forgets unlock keeps its lock all the same.
func TestLockOutlivesItsUnlock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	if _, err := dir.Lock(path); err != nil {
		t.Fatal(err)
	}
	for range 3 { // a file's finalizer runs after the collection that found it unused
		runtime.GC()
		runtime.Gosched()
	}
	if _, err := dir.Lock(path); err == nil {
		t.Error("the lock was taken twice")
	}
}

func TestUnlock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := dir.Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	again, err := dir.Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	again()
}
