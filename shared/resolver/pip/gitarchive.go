package pip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/archive"
	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// archiveRoot is the folder inside the archive of a git requirement.
const archiveRoot = "app"

// fetchGit checks a commit out and keeps it as a .tar.gz, the same bytes for the same commit. name is a
// folder of its own in the scratch folder.
func fetchGit(ctx context.Context, in resolver.Input, g gitReference, name string) (resolver.File, error) {
	if err := in.Scratch.Mkdir(name, 0o700); err != nil {
		return resolver.File{}, fmt.Errorf("making a folder for %s: %w", g.public, err)
	}
	defer in.Scratch.RemoveAll(name)
	root, err := in.Scratch.OpenRoot(name)
	if err != nil {
		return resolver.File{}, fmt.Errorf("making a folder for %s: %w", g.public, err)
	}
	defer root.Close()
	checkout, err := checkOut(ctx, in, g, root)
	if err != nil {
		return resolver.File{}, err
	}
	for _, link := range checkout.Removed {
		in.Log.WarnContext(ctx, "A link of a git requirement leads out of its repository and is left out", "repository", g.public, "link", link)
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(writeArchive(ctx, w, root, checkout)) }()
	file, err := in.Fetcher.Store(ctx, r)
	r.CloseWithError(err) // ends the writer if the reader was first
	if err != nil {
		return resolver.File{}, fmt.Errorf("packing %s: %w", g.public, err)
	}
	return file, nil
}

// checkOut writes the tree, with .git when the repositories can: version numbers are often made of tags
// (setuptools-scm). A history that is too large is left out.
func checkOut(ctx context.Context, in resolver.Input, g gitReference, into *os.Root) (resolver.Checkout, error) {
	checkout, err := in.Git.CheckOut(ctx, g.url, g.ref, into, resolver.WithHistory)
	var f *fault.Error
	if !errors.As(err, &f) || f.Type != fault.UnsupportedFeature {
		return checkout, explained(err, g)
	}
	in.Log.WarnContext(ctx, "The history of a git requirement is too large: its archive has no .git", "repository", g.public, "reason", f.Message)
	if err := removeChildren(into); err != nil {
		return checkout, err
	}
	checkout, err = in.Git.CheckOut(ctx, g.url, g.ref, into)
	return checkout, explained(err, g)
}

// explained says which repository a fault is about: the request's own has the same texts.
func explained(err error, g gitReference) error {
	var f *fault.Error
	if !errors.As(err, &f) || strings.Contains(f.Message, g.public) {
		return err
	}
	out := *f
	out.Message = f.Message + " (" + g.public + "@" + g.ref + ")"
	return out.Because(err)
}

func removeChildren(root *os.Root) error {
	entries, err := fs.ReadDir(root.FS(), ".")
	for _, e := range entries {
		err = errors.Join(err, root.RemoveAll(e.Name()))
	}
	return err
}

// writeArchive packs a folder below app/, sorted, with the commit's time.
func writeArchive(ctx context.Context, w io.Writer, root *os.Root, checkout resolver.Checkout) error {
	b := archive.NewBundleWriter(w)
	defer b.Abort()
	err := b.Add(ctx, archive.Header{Name: archiveRoot, Mode: archive.Dir, ModTime: checkout.CommitTime}, archive.Content{})
	if err != nil {
		return err
	}
	if err := addFolder(ctx, b, root, ".", checkout); err != nil {
		return err
	}
	_, err = b.Close()
	return err
}

func addFolder(ctx context.Context, b *archive.BundleWriter, root *os.Root, dir string, checkout resolver.Checkout) error {
	entries, err := fs.ReadDir(root.FS(), dir) // sorted
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := path.Join(dir, e.Name())
		h := archive.Header{Name: path.Join(archiveRoot, name), ModTime: checkout.CommitTime}
		content := archive.Content{}
		switch {
		case e.IsDir():
			h.Mode = archive.Dir
		case e.Type()&fs.ModeSymlink != 0:
			h.Mode = archive.Link
			if h.Linkname, err = root.Readlink(name); err != nil {
				return err
			}
		default:
			info, err := e.Info()
			if err != nil {
				return err
			}
			if h.Size = info.Size(); info.Mode()&0o100 != 0 {
				h.Mode = archive.Executable
			}
			open := func() (io.ReadCloser, error) { return root.Open(name) }
			if content = archive.Deflated(open, archive.DefaultLevel); isPacked(name) {
				content = archive.StoredUnchecked(open)
			}
		}
		if err := b.Add(ctx, h, content); err != nil {
			return fmt.Errorf("packing %s: %w", name, err)
		}
		if e.IsDir() {
			if err := addFolder(ctx, b, root, name, checkout); err != nil {
				return err
			}
		}
	}
	return nil
}

// isPacked: compressing it again would gain nothing.
func isPacked(name string) bool {
	return slices.Contains([]string{".pack", ".idx"}, path.Ext(name)) || archive.IsCompressed(name)
}
