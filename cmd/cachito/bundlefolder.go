package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/cachito-serverless/cachito/shared/archive"
)

// asFile reports whether -o names an archive file; anything else is a folder to unpack into.
func asFile(path string) bool {
	return strings.HasSuffix(path, ".tar.gz") || strings.HasSuffix(path, ".tgz")
}

// checkTarget refuses a folder that holds something, before any work is done for it.
func checkTarget(path string) error {
	if asFile(path) {
		return nil
	}
	entries, err := os.ReadDir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return usagef("-o %s: want a folder, or a file that ends in .tar.gz", path)
	case len(entries) > 0:
		return usagef("-o %s: the folder is not empty", path)
	}
	return nil
}

// unpack makes target the bundle's folder: whole, or not there at all.
func unpack(ctx context.Context, bundle, target string) (err error) {
	target = filepath.Clean(target)
	parent := filepath.Dir(target)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(parent, "."+filepath.Base(target)+".*")
	if err != nil {
		return fmt.Errorf("making a folder for the bundle: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(temp))
		}
	}()
	// MkdirTemp makes folders that only their owner can read.
	if err := os.Chmod(temp, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(temp)
	if err != nil {
		return err
	}
	defer root.Close()
	in, err := os.Open(bundle)
	if err != nil {
		return err
	}
	defer in.Close()
	// Its makers kept the limits of sources and dependencies; a second set here would only refuse
	// what they allowed.
	limits := archive.Limits{MaxEntries: math.MaxInt32, MaxBytes: math.MaxInt64, MaxRatio: math.MaxInt32, MaxDepth: archive.MaxNameDepth}
	if err := archive.Extract(ctx, io.Reader(in), root, limits); err != nil {
		return fmt.Errorf("unpacking the bundle: %w", err)
	}
	// An empty folder gives way to the rename on every system only when it is gone.
	if err := os.Remove(target); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(temp, target)
}
