package onaws

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/cachito-serverless/cachito/shared/blob/dir"
	"github.com/cachito-serverless/cachito/shared/wiring"
)

// folderPattern names the folder of a process below the machine's temporary one.
const folderPattern = "cachito-function-"

// lockFile in a folder is held by the process that it belongs to.
const lockFile = "lock"

// gitShare is the part of /tmp that git packs may keep, one over it; a running step needs the rest.
const gitShare = 3

// Starting processes wait for each other, so that none removes the folder that another has made and not locked yet.
const (
	startWait  = 10 * time.Second
	startPause = 10 * time.Millisecond
)

// ownFolder makes a folder for this process, and removes those of processes that are gone: Lambda starts a
// function that crashed or ran out of time again on what it left in /tmp, which is small. The folder is
// this process's until release.
func ownFolder(ctx context.Context) (folder string, release func(), err error) {
	started, err := lockStart(ctx)
	if err != nil {
		return "", nil, err
	}
	defer started()
	old, err := filepath.Glob(filepath.Join(os.TempDir(), folderPattern+"*"))
	if err != nil {
		return "", nil, fmt.Errorf("looking for folders of earlier processes: %w", err)
	}
	for _, folder := range old {
		unlock, err := dir.Lock(filepath.Join(folder, lockFile))
		if err != nil {
			continue // of a process that runs, or of another user
		}
		err = removeAll(folder)
		unlock()
		if err != nil {
			return "", nil, fmt.Errorf("removing the folder of an earlier process: %w", err)
		}
	}
	folder, err = os.MkdirTemp("", folderPattern)
	if err != nil {
		return "", nil, fmt.Errorf("making a folder for this process: %w", err)
	}
	release, err = dir.Lock(filepath.Join(folder, lockFile))
	return folder, release, err
}

// lockStart waits until no other process of this user is in ownFolder.
func lockStart(ctx context.Context) (unlock func(), err error) {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("cachito-start-%d.lock", os.Getuid()))
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	for {
		if unlock, err = dir.Lock(path); err == nil {
			return unlock, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for other functions to start: %w", err)
		case <-time.After(startPause):
		}
	}
}

func placesIn(folder string) (wiring.Places, error) {
	at := wiring.Places{
		Git: filepath.Join(folder, "git"), Tools: filepath.Join(folder, "toolchains"), Work: filepath.Join(folder, "work"),
	}
	for _, d := range []string{at.Git, at.Tools, at.Work} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return wiring.Places{}, fmt.Errorf("making the folders of this process: %w", err)
		}
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(folder, &disk); err != nil {
		return wiring.Places{}, fmt.Errorf("how much %s takes: %w", folder, err)
	}
	at.GitMaxBytes = max(1, int64(disk.Bavail)*int64(disk.Bsize)/gitShare)
	return at, nil
}

// removeAll removes a folder although read-only folders may be in it, as in a module cache.
func removeAll(folder string) error {
	if os.RemoveAll(folder) == nil {
		return nil
	}
	_ = filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(folder)
}
