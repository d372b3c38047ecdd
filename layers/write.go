package main

import (
	"archive/zip"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// written is the time of every file: the first that a zip file can hold.
var written = time.Date(1980, time.January, 1, 0, 0, 0, 0, time.UTC)

// mode is a file's; folders are as executables.
func (f file) mode() os.FileMode {
	if f.executable {
		return 0o755
	}
	return 0o644
}

// copyTo writes the content, of which a zip file's reader checks size and CRC.
func (f file) copyTo(w io.Writer) (err error) {
	if f.content == nil {
		return nil
	}
	r, err := f.content.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	_, err = io.Copy(w, io.LimitReader(r, MaxLayerBytes))
	return err
}

// writeZip writes the layer as a zip file, whole or not at all, and returns its size.
func writeZip(name string, files []file) (packed int64, err error) {
	temp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temp.Name()))
		}
	}()
	err = errors.Join(writeZipTo(temp, files), temp.Chmod(0o644))
	info, statErr := temp.Stat()
	if err = errors.Join(err, statErr, temp.Close()); err != nil {
		return 0, fmt.Errorf("writing %s: %w", name, err)
	}
	return info.Size(), os.Rename(temp.Name(), name)
}

func writeZipTo(w io.Writer, files []file) error {
	z := zip.NewWriter(w)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(w, flate.BestCompression)
	})
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: written}
		h.SetMode(f.mode())
		out, err := z.CreateHeader(h)
		if err != nil {
			return err
		}
		if err := f.copyTo(out); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return z.Close()
}

// writeDir writes the layer as files; sam makes its zip file of them.
func writeDir(dir string, files []file) error {
	for _, f := range files {
		// Names come from an archive whose hash is known, and are below layerRoot.
		path := filepath.Join(dir, filepath.FromSlash(f.name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode())
		if err != nil {
			return err
		}
		if err := errors.Join(f.copyTo(out), out.Close(), os.Chtimes(path, written, written)); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}
