package pip

import (
	"archive/zip"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/cachito-serverless/cachito/shared/archive"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/pip/pysource"
)

// maxCargoLockBytes bounds a Cargo.lock; the largest that are known have 400 KB.
const maxCargoLockBytes = 2 << 20

// rustSource is what an sdist holds of a Rust extension.
type rustSource struct {
	// files at the root that say what building takes: pyproject.toml, setup.cfg, setup.py.
	build map[string]string
	// lock is the content of the shallowest Cargo.lock, lockName its path; "" when there is none.
	lock, lockName string
	// hasManifest: there is a Cargo.toml.
	hasManifest bool
}

// needsRust reports whether building takes one of the known bridges to Rust.
func (s *rustSource) needsRust() bool {
	var doc struct {
		BuildSystem struct {
			Requires []any `toml:"requires"`
		} `toml:"build-system"`
	}
	var wanted []string
	if toml.Unmarshal([]byte(s.build["pyproject.toml"]), &doc) == nil {
		for _, r := range doc.BuildSystem.Requires {
			if text, ok := r.(string); ok {
				wanted = append(wanted, text)
			}
		}
	}
	if ini, err := parseIni(s.build["setup.cfg"]); err == nil {
		if text, err := ini.get("options", "setup_requires"); err == nil {
			wanted = append(wanted, strings.FieldsFunc(text, func(c rune) bool { return c == '\n' || c == ';' })...)
		}
	}
	if items, err := pysource.Argument(s.build["setup.py"], "setup_requires"); err == nil {
		wanted = append(wanted, items...)
	}
	return slices.ContainsFunc(wanted, func(text string) bool {
		text = strings.ToLower(strings.TrimSpace(text))
		return strings.HasPrefix(text, "maturin") || strings.HasPrefix(text, "setuptools-rust") || strings.HasPrefix(text, "setuptools_rust")
	})
}

// see takes in a file of the sdist; its first path element is the sdist's own folder.
func (s *rustSource) see(name string, content func() (io.ReadCloser, error)) error {
	_, inner, ok := strings.Cut(name, "/")
	if !ok {
		return nil
	}
	limit := 0
	switch base := path.Base(inner); {
	case inner == "pyproject.toml", inner == "setup.cfg", inner == "setup.py":
		limit = pysource.MaxBytes
	case base == "Cargo.toml":
		s.hasManifest = true
	case base == "Cargo.lock" && (s.lockName == "" || strings.Count(inner, "/") < strings.Count(s.lockName, "/")):
		limit = maxCargoLockBytes
	}
	if limit == 0 {
		return nil
	}
	r, err := content()
	if err != nil {
		return err
	}
	defer r.Close()
	raw, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	switch {
	case err != nil:
		return err
	case len(raw) > limit:
		return fmt.Errorf("%s is larger than %d bytes", inner, limit)
	case path.Base(inner) == "Cargo.lock":
		s.lock, s.lockName = string(raw), inner
	default:
		s.build[inner] = string(raw)
	}
	return nil
}

// readRust looks for a Rust extension in an sdist; nil when there is none.
func readRust(ctx context.Context, f resolver.Fetcher, file resolver.File, name string) (*rustSource, error) {
	r, err := f.Open(ctx, file)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	defer r.Close()
	s := &rustSource{build: map[string]string{}}
	if strings.HasSuffix(name, ".zip") {
		err = s.seeZip(r, file.Size)
	} else if !strings.HasSuffix(name, ".tar.Z") {
		err = s.seeTar(ctx, r)
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, unreadable(ctx, name, "source", err)
	case !s.hasManifest && s.lockName == "" || !s.needsRust():
		return nil, nil
	}
	return s, nil
}

func (s *rustSource) seeTar(ctx context.Context, r io.Reader) error {
	plain, limit, err := decompressed(bufio.NewReaderSize(r, 64<<10))
	if err != nil {
		return err
	}
	return archive.Walk(ctx, plain, archive.Limits{MaxBytes: limit}, func(e archive.Entry, content io.Reader) error {
		if e.Mode != archive.File && e.Mode != archive.Executable || e.Hardlink {
			return nil
		}
		return s.see(e.Name, func() (io.ReadCloser, error) { return io.NopCloser(content), nil })
	})
}

func (s *rustSource) seeZip(r io.ReaderAt, size int64) error {
	if err := checkZipDirectory(r, size); err != nil {
		return err
	}
	z, err := zip.NewReader(r, size)
	if err != nil {
		return err
	}
	for _, e := range z.File {
		err = errors.Join(err, s.see(e.Name, e.Open))
	}
	return err
}
