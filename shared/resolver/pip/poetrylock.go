package pip

import (
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/resolver/pip/pep508"
)

// poetryLock is poetry.lock of lock-version 1.1 and 2.x. It has names and hashes of files, and no URLs: the
// index has those.
//
//	[[package]]
//	name = "six"
//	version = "1.16.0"
//	groups = ["main"]
//	files = [{ file = "six-1.16.0.tar.gz", hash = "sha256:.." }]
//
//	[metadata]
//	lock-version = "2.1"
type poetryLock struct {
	Packages []poetryPackage `toml:"package"`
	Metadata struct {
		LockVersion string                  `toml:"lock-version"`
		Files       map[string][]poetryFile `toml:"files"` // of version 1.1
	} `toml:"metadata"`
}

type poetryPackage struct {
	Name     string       `toml:"name"`
	Version  string       `toml:"version"`
	Category string       `toml:"category"` // until 1.5: "main" or "dev"
	Groups   []string     `toml:"groups"`   // from lock-version 2.1
	Files    []poetryFile `toml:"files"`
	Source   struct {
		Type              string `toml:"type"` // git, url, directory, file, legacy
		URL               string `toml:"url"`
		ResolvedReference string `toml:"resolved_reference"`
		Subdirectory      string `toml:"subdirectory"`
	} `toml:"source"`
}

type poetryFile struct {
	File string `toml:"file"`
	Hash string `toml:"hash"`
}

// isDev reports whether a package is for development only.
func (p *poetryPackage) isDev() bool {
	return p.Category == "dev" || len(p.Groups) > 0 && !slices.Contains(p.Groups, "main")
}

func (l *lockfile) parsePoetry(text string) error {
	var doc poetryLock
	if err := l.decode(text, &doc); err != nil {
		return err
	}
	if v := doc.Metadata.LockVersion; v != "1.1" && v != "2" && !strings.HasPrefix(v, "2.") {
		return l.unsupported("lock-version %q is not supported; 1.1 and 2.x are", v)
	}
	byName := map[string][]poetryFile{}
	for name, files := range doc.Metadata.Files {
		byName[pep508.Canonical(name)] = files
	}
	for i := range doc.Packages {
		p := &doc.Packages[i]
		if len(p.Files) == 0 {
			p.Files = byName[pep508.Canonical(p.Name)]
		}
		if err := l.addPoetry(p); err != nil {
			return err
		}
	}
	return nil
}

func (l *lockfile) addPoetry(p *poetryPackage) error {
	var hashes []string
	for _, f := range p.Files {
		if f.Hash != "" {
			hashes = append(hashes, f.Hash)
		}
	}
	switch p.Source.Type {
	case "git":
		return l.addGit(p.Name, p.Source.URL, p.Source.ResolvedReference, p.Source.Subdirectory, p.isDev())
	case "url":
		return l.addURL(p.Name, p.Source.URL, hashes, p.isDev())
	case "directory", "file":
		return l.addLocal(p.Name, p.Version, p.Source.URL)
	}
	r, err := l.pinned(p.Name, p.Version, p.isDev())
	if err != nil {
		return err
	}
	if len(hashes) == 0 {
		return missingHash(r.line, l.path)
	}
	r.hashes = hashes
	if p.Source.Type == "legacy" {
		if r.index, err = l.indexes.accept(p.Source.URL, l.path); err != nil {
			return err
		}
	}
	return nil
}
