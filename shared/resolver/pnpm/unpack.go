package pnpm

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

const (
	// maxToolBytes bounds an unpacked release of pnpm; those of pnpm 12 have 100 MB.
	maxToolBytes = 512 << 20
	// maxToolFiles bounds its files; pnpm 10 has 900.
	maxToolFiles = 20_000
	// maxToolManifest bounds its package.json.
	maxToolManifest = 1 << 20
)

// unpack stores the files of an npm archive as one file of the cache, and gives them as entries below folder. The
// leading folder of the archive is dropped.
func unpack(ctx context.Context, fetcher resolver.Fetcher, file resolver.File, folder, source string) ([]resolver.Entry, error) {
	r, w := io.Pipe()
	var entries []resolver.Entry
	done := make(chan error, 1)
	go func() {
		at := int64(0)
		err := members(ctx, fetcher, file, source, func(name string, mode fs.FileMode, content io.Reader) error {
			sum := crc32.NewIEEE()
			n, err := copyContext(ctx, w, sum, content)
			if err != nil {
				return err
			}
			entries = append(entries, resolver.Entry{
				Path: path.Join(folder, name), Executable: mode&0o111 != 0,
				Part: &resolver.Part{Offset: at, Size: n, CRC32: sum.Sum32()},
			})
			at += n
			return nil
		})
		w.CloseWithError(err)
		done <- err
	}()
	whole, err := fetcher.Store(ctx, r)
	r.CloseWithError(errors.New("not read any more"))
	if failed := <-done; failed != nil {
		err = failed
	}
	if err != nil {
		return nil, err
	}
	for i := range entries {
		entries[i].Part.Of = whole
	}
	return entries, nil
}

// copyContext is io.Copy into a writer and a sum, until the context is done.
func copyContext(ctx context.Context, w io.Writer, sum hash.Hash32, from io.Reader) (int64, error) {
	n, err := io.Copy(io.MultiWriter(w, sum), from)
	if err == nil {
		err = ctx.Err()
	}
	return n, err
}

// readMember gives the content of one file of an npm archive.
func readMember(ctx context.Context, fetcher resolver.Fetcher, file resolver.File, name, source string) ([]byte, error) {
	var data []byte
	err := members(ctx, fetcher, file, source, func(have string, _ fs.FileMode, content io.Reader) error {
		if have != name || data != nil {
			return nil
		}
		var err error
		data, err = io.ReadAll(io.LimitReader(content, maxToolManifest))
		return err
	})
	return data, err
}

// members calls do for the regular files of an npm archive, once for each name. Links and devices are left out, as
// npm and pnpm do; a name that leads out of the archive is a fault.
func members(ctx context.Context, fetcher resolver.Fetcher, file resolver.File, source string, do func(name string, mode fs.FileMode, content io.Reader) error) error {
	r, err := fetcher.Open(ctx, file)
	if err != nil {
		return fmt.Errorf("opening the archive of %s: %w", source, err)
	}
	defer r.Close()
	broken := func(reason any) error {
		return fault.Client(fault.InvalidFileFormat, "Could not process dependency %s: the archive cannot be read: %v", source, reason)
	}
	unzipped, err := gzip.NewReader(bufio.NewReader(r))
	if err != nil {
		return broken(err)
	}
	limited := &io.LimitedReader{R: unzipped, N: maxToolBytes}
	archive := tar.NewReader(limited)
	seen := map[string]bool{}
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if limited.N <= 0 || len(seen) >= maxToolFiles {
			return broken(fmt.Sprintf("it has more than %d bytes or %d files", maxToolBytes, maxToolFiles))
		}
		if err != nil {
			return broken(err)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		_, name, ok := strings.Cut(header.Name, "/")
		if !ok || !filepath.IsLocal(name) || strings.ContainsAny(name, "\\\x00") || path.Clean(name) != name {
			return broken(fmt.Sprintf("%q is not the name of a file below one folder", header.Name))
		}
		if seen[name] {
			return broken(fmt.Sprintf("%q is there twice", header.Name))
		}
		seen[name] = true
		if err := do(name, header.FileInfo().Mode(), archive); err != nil {
			if limited.N <= 0 {
				return broken(fmt.Sprintf("it has more than %d bytes", maxToolBytes))
			}
			return err
		}
	}
}
