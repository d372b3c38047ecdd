package pip

import (
	"maps"
	"slices"
	"strings"
)

// pylock is pylock.toml (PEP 751), lock-version 1.x.
//
//	lock-version = "1.0"
//	[[packages]]
//	name = "six"
//	version = "1.16.0"
//	sdist = { name = "six-1.16.0.tar.gz", url = "https://..", hashes = { sha256 = ".." } }
type pylock struct {
	LockVersion string          `toml:"lock-version"`
	Packages    []pylockPackage `toml:"packages"`
}

type pylockPackage struct {
	Name    string       `toml:"name"`
	Version string       `toml:"version"`
	Sdist   *pylockFile  `toml:"sdist"`
	Wheels  []pylockFile `toml:"wheels"`
	Archive *pylockFile  `toml:"archive"`
	VCS     *struct {
		Type         string `toml:"type"`
		URL          string `toml:"url"`
		Path         string `toml:"path"`
		CommitID     string `toml:"commit-id"`
		Subdirectory string `toml:"subdirectory"`
	} `toml:"vcs"`
	Directory *struct {
		Path string `toml:"path"`
	} `toml:"directory"`
}

type pylockFile struct {
	Name         string            `toml:"name"`
	URL          string            `toml:"url"`
	Path         string            `toml:"path"`
	Hashes       map[string]string `toml:"hashes"`
	Subdirectory string            `toml:"subdirectory"`
}

// checksums are the hashes as "algorithm:digest", sha256 first, so that it is the one that is reported.
func (f *pylockFile) checksums() []string {
	var list []string
	for _, algorithm := range slices.Sorted(maps.Keys(f.Hashes)) {
		text := algorithm + ":" + f.Hashes[algorithm]
		if algorithm == "sha256" {
			list = append([]string{text}, list...)
			continue
		}
		list = append(list, text)
	}
	return list
}

func (l *lockfile) parsePylock(text string) error {
	var doc pylock
	if err := l.decode(text, &doc); err != nil {
		return err
	}
	if major, _, _ := strings.Cut(doc.LockVersion, "."); major != "1" {
		return l.unsupported("lock-version %q is not supported, 1.x is", doc.LockVersion)
	}
	for i := range doc.Packages {
		if err := l.addPylock(&doc.Packages[i]); err != nil {
			return err
		}
	}
	return nil
}

func (l *lockfile) addPylock(p *pylockPackage) error {
	switch {
	case p.Directory != nil:
		return l.addLocal(p.Name, p.Version, p.Directory.Path)
	case p.VCS != nil && p.VCS.Type != "git":
		return l.unsupported("%s comes from %s; only git is supported", p.Name, p.VCS.Type)
	case p.VCS != nil && p.VCS.URL == "":
		return l.addLocal(p.Name, p.Version, p.VCS.Path)
	case p.VCS != nil:
		return l.addGit(p.Name, p.VCS.URL, p.VCS.CommitID, p.VCS.Subdirectory, false)
	case p.Archive != nil && p.Archive.URL == "":
		return l.addLocal(p.Name, p.Version, p.Archive.Path)
	case p.Archive != nil:
		return l.addURL(p.Name, p.Archive.URL, p.Archive.checksums(), false)
	}
	var files []lockedFile
	all := p.Wheels
	if p.Sdist != nil {
		all = append([]pylockFile{*p.Sdist}, all...)
	}
	for i := range all {
		f := &all[i]
		if f.URL == "" {
			return l.unsupported("%s %s is not at a URL, but at %q", p.Name, p.Version, f.Path)
		}
		name := f.Name
		if name == "" {
			name = fileName(f.URL)
		}
		files = append(files, lockedFile{name: name, url: f.URL, hashes: f.checksums()})
	}
	return l.addIndexed(p.Name, p.Version, files, false)
}
