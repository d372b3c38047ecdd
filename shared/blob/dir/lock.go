package dir

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
)

// held keeps lock files open: Go closes a file to which nothing refers any longer, and its lock would be gone.
var held sync.Map // *os.File

// Lock takes a lock file for this process alone, until unlock or the process's end, however it ends.
// When another process has it the error names that one.
func Lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", path, stripPath(err))
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		var text [32]byte
		n, _ := f.Read(text[:])
		f.Close()
		holder := strings.TrimSpace(string(text[:n]))
		if holder == "" {
			holder = "unknown"
		}
		return nil, fmt.Errorf("%s is held by another process (pid %s): stop it, or use another folder", path, holder)
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", path, stripPath(err))
	}
	held.Store(f, nil)
	return func() {
		held.Delete(f)
		f.Close()
	}, nil
}
