package gomod

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/packages"
)

var drive = regexp.MustCompile(`^[A-Za-z]:`)

// isDirectory reports whether the replacement's "version" or path is a directory.
func isDirectory(text string) bool {
	return strings.HasPrefix(text, "./") || strings.HasPrefix(text, "../") || text == "." || text == ".." || isAbsolute(text)
}

// isAbsolute also knows the forms of other systems than the worker's.
func isAbsolute(text string) bool {
	return strings.HasPrefix(text, "/") || strings.HasPrefix(text, `\`) || drive.MatchString(text)
}

// isRelativeInside reports whether the clean relative path stays below what it is relative to.
func isRelativeInside(clean string) bool {
	return clean != ".." && !strings.HasPrefix(clean, "../") && !strings.HasPrefix(clean, "/")
}

// checkLocalVersion refuses directories that no bundle can hold. dir is what text is relative to.
func checkLocalVersion(dir, text string) error {
	if isAbsolute(text) {
		return fault.Client(fault.UnsupportedFeature, "Absolute paths to gomod dependencies are not supported: %s", text)
	}
	if strings.HasPrefix(text, ".") && !isRelativeInside(path.Join(dir, text)) {
		return errOutside(text)
	}
	return nil
}

func errOutside(text string) *fault.Error {
	return fault.Client(fault.ValidationError, "The local file dependency path %s is outside the repository", text)
}

// checkLocal refuses, before go reads anything there, the directories outside the repository that
// go.mod and go.work name, whether they are used or not.
func (f *moduleFiles) checkLocal(source *os.Root) error {
	for _, l := range f.local {
		text := l.text
		if !isAbsolute(text) && !strings.HasPrefix(text, ".") {
			text = "./" + text // use a, in go.work
		}
		if err := checkLocalVersion(l.base, text); err != nil {
			return err
		}
		if err := staysInside(source, path.Join(l.base, text), l.text); err != nil {
			return err
		}
	}
	if f.workPath != "" && len(f.goWork.Use) > 0 {
		root := path.Dir(f.workPath)
		listed := slices.ContainsFunc(f.goWork.Use, func(u *modfile.Use) bool { return path.Join(root, u.Path) == f.dir })
		if !listed {
			return errNotListed(f.dir)
		}
	}
	return nil
}

// staysInside follows links: os.Root refuses those that lead out.
func staysInside(source *os.Root, name, text string) error {
	_, err := source.Stat(name)
	if err == nil || errors.Is(err, fs.ErrNotExist) || isNotDir(err) {
		return nil // go says what is missing
	}
	return errOutside(text).Because(err)
}

func errNotListed(dir string) error {
	return fault.Client(fault.UnsupportedFeature, "%s is not listed in go.work", dir)
}

// checkLocalVersions checks every reported dependency, modules first.
func checkLocalVersions(dir string, r resolved) error {
	for _, p := range append([]packages.Package{r.module}, r.packages...) {
		for _, d := range p.Dependencies {
			if d.Version == nil {
				continue
			}
			if err := checkLocalVersion(dir, *d.Version); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkParents makes sure that every dependency in a parent directory leads to a module that this
// request processes too: else no purl names it.
func checkParents(all []resolved) error {
	for _, r := range all {
		for _, p := range append([]packages.Package{r.module}, r.packages...) {
			for _, d := range p.Dependencies {
				if d.Version == nil || !slices.Contains(strings.Split(*d.Version, "/"), "..") {
					continue
				}
				if !isProcessed(all, r, d.Name, *d.Version) {
					return fault.Client(fault.InvalidRequestData,
						"Could not find a Go module in this request containing %s while processing dependency %s of package %s. "+
							"Please tell Cachito to process the module which contains the dependency. Perhaps the parent module of %s?",
						d.Name, pyDependency(d), p.Name, r.module.Name)
				}
			}
		}
	}
	return nil
}

// isProcessed decides by directories, which is what the paths mean, then by names as upstream does.
func isProcessed(all []resolved, owner resolved, name, version string) bool {
	dir := path.Join(owner.dir, version)
	joined := path.Join(owner.module.Name, version)
	for _, r := range all {
		if within(dir, path.Clean(r.dir)) || covers(r.module.Name, name) || covers(r.module.Name, joined) {
			return true
		}
	}
	return false
}

// covers reports whether a module's name is that of the package or a parent of it.
func covers(moduleName, packageName string) bool {
	return packageName == moduleName || strings.HasPrefix(packageName, moduleName+"/")
}
