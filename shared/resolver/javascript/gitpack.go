package javascript

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// PackForm is how a git dependency is packed.
type PackForm int

const (
	// Gzipped is what `npm pack` makes: a gzipped tar, everything below package/.
	Gzipped PackForm = iota
	// Bare is a tar without compression and without a leading folder: what Yarn 1 wants of a git
	// dependency in its offline mirror.
	Bare
)

// PackedGit is a git dependency as a package.
type PackedGit struct {
	// Files in the order of the forms asked for.
	Files []resolver.File
	// PackageJSON of the repository's root.
	PackageJSON PackageJSON
}

// requiredScripts are those that npm runs on a git dependency before it is a package, and we never do.
var requiredScripts = []string{"prepack", "prepare"}

// PackGit checks a git dependency out, with its submodules, and packs its tree into the cache by npm's own
// rules (see packList). No script runs: a package that needs one to be whole is refused. The same commit
// gives the same bytes.
//
// Faults: RepositoryAccessError when it cannot be cloned (its origin as the source step's), else the client's:
// UnsupportedFeature for required scripts, InvalidRepoStructure without a package.json, InvalidFileFormat
// when that is not JSON.
func PackGit(ctx context.Context, in resolver.Input, git GitSource, forms ...PackForm) (PackedGit, error) {
	name := "git-" + rand.Text()
	if err := in.Scratch.Mkdir(name, 0o755); err != nil {
		return PackedGit{}, fmt.Errorf("making a folder for %s: %w", withoutSecrets(git.Text), err)
	}
	defer in.Scratch.RemoveAll(name)
	tree, err := in.Scratch.OpenRoot(name)
	if err != nil {
		return PackedGit{}, fmt.Errorf("opening the folder for %s: %w", withoutSecrets(git.Text), err)
	}
	defer tree.Close()
	if err := clone(ctx, in, git, tree); err != nil {
		return PackedGit{}, err
	}
	if git.Path != "" {
		sub, err := tree.OpenRoot(git.Path)
		if err != nil {
			return PackedGit{}, fault.Client(fault.InvalidRepoStructure, "Could not process dependency %s: its repository has no folder %s", withoutSecrets(git.Text), git.Path).Because(err)
		}
		defer sub.Close()
		tree = sub
	}
	return packTree(ctx, in.Fetcher, tree, git, forms)
}

// clone tries the URLs in their order. The last failure that is not the client's own counts, else the first:
// a server that is down says more than an ssh key that nobody configured.
func clone(ctx context.Context, in resolver.Input, git GitSource, into *os.Root) error {
	var failed error
	for _, url := range git.URLs {
		checkout, err := in.Git.CheckOut(ctx, url, git.Commit, into, resolver.WithSubmodules)
		if err == nil {
			for _, link := range checkout.Removed {
				in.Log.WarnContext(ctx, "A link that leads out of a git dependency is left out", "dependency", withoutSecrets(git.Text), "link", link)
			}
			return nil
		}
		f := fault.From(err)
		switch {
		case f.Type == fault.RepositoryAccessError:
		case f.Type == fault.InvalidRequestData:
			return fault.Client(f.Type, "The dependency %s cannot be checked out: its repository has no such commit", withoutSecrets(git.Text)).Because(err)
		case f.Origin == fault.OriginClient:
			return fault.Client(f.Type, "The dependency %s cannot be checked out: %s", withoutSecrets(git.Text), f.Message).Because(err)
		default:
			return fmt.Errorf("checking out %s: %w", withoutSecrets(git.Text), err)
		}
		in.Log.InfoContext(ctx, "A git dependency cannot be cloned", "dependency", withoutSecrets(git.Text), "url", withoutSecrets(url), "reason", f.Message)
		if failed == nil || fault.IsClient(failed) && !fault.IsClient(err) {
			failed = err
		}
	}
	return CloneFault(failed, git.Text)
}

func packTree(ctx context.Context, fetcher resolver.Fetcher, tree *os.Root, git GitSource, forms []PackForm) (PackedGit, error) {
	manifest, err := readManifest(tree, git.Text)
	if err != nil {
		return PackedGit{}, err
	}
	p, err := ParsePackageJSON(manifest)
	if err != nil {
		return PackedGit{}, fault.Client(fault.InvalidFileFormat, "Could not process dependency %s: package.json is not valid JSON", withoutSecrets(git.Text)).Because(err)
	}
	if err := p.RefuseScripts(git.Text); err != nil {
		return PackedGit{}, err
	}
	list, err := packList(ctx, tree, manifest)
	if err != nil {
		return PackedGit{}, packFault(git, err)
	}
	out := PackedGit{PackageJSON: p}
	for _, form := range forms {
		file, err := storePacked(ctx, fetcher, tree, list, form)
		if err != nil {
			return PackedGit{}, packFault(git, err)
		}
		out.Files = append(out.Files, file)
	}
	return out, nil
}

// packFault names the dependency.
func packFault(git GitSource, err error) error {
	var limit *packLimitError
	if errors.As(err, &limit) {
		return fault.Client(fault.UnsupportedFeature, "The dependency %s cannot be packed: %s", withoutSecrets(git.Text), limit.reason).Because(err)
	}
	return fmt.Errorf("packing %s: %w", withoutSecrets(git.Text), err)
}

// packLimitError is a tree that is too large, or too odd, to be packed.
type packLimitError struct{ reason string }

func (e *packLimitError) Error() string { return e.reason }

// RefuseScripts refuses a package of a git repository that is not whole before its scripts ran. Fault:
// UnsupportedFeature, the client's.
func (p PackageJSON) RefuseScripts(source string) error {
	var found []string
	for _, name := range requiredScripts {
		if _, ok := p.Scripts[name]; ok {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return nil
	}
	slices.Sort(found)
	return fault.Client(fault.UnsupportedFeature, "The dependency %s is not supported because Cachito cannot execute the following required scripts of Git dependencies: %s",
		withoutSecrets(source), strings.Join(found, ", "))
}

func readManifest(tree *os.Root, source string) ([]byte, error) {
	info, err := tree.Lstat("package.json")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.Client(fault.InvalidRepoStructure, "Could not process dependency %s: no package.json file", withoutSecrets(source))
	case err != nil:
		return nil, fmt.Errorf("looking for the package.json of %s: %w", withoutSecrets(source), err)
	case !info.Mode().IsRegular():
		return nil, fault.Client(fault.InvalidRepoStructure, "Could not process dependency %s: package.json is not a regular file", withoutSecrets(source))
	case info.Size() > MaxPackageJSONBytes:
		return nil, fault.Client(fault.UnsupportedFeature, "Could not process dependency %s: package.json has more than %d bytes", withoutSecrets(source), MaxPackageJSONBytes)
	}
	data, err := tree.ReadFile("package.json")
	if err != nil {
		return nil, fmt.Errorf("reading the package.json of %s: %w", withoutSecrets(source), err)
	}
	return data, nil
}

// storePacked streams the archive into the cache.
func storePacked(ctx context.Context, fetcher resolver.Fetcher, tree *os.Root, list packedFiles, form PackForm) (resolver.File, error) {
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := writePacked(ctx, w, tree, list, form)
		w.CloseWithError(err)
		done <- err
	}()
	file, err := fetcher.Store(ctx, r)
	r.CloseWithError(errors.New("not read any more"))
	if written := <-done; written != nil && err == nil {
		err = written // it stored a part
	}
	return file, err
}
