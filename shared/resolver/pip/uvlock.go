package pip

import (
	"net/url"
	"strings"
)

// uvLock is uv.lock, version 1.
//
//	version = 1
//	[[package]]
//	name = "six"
//	version = "1.16.0"
//	source = { registry = "https://index.example/simple" }
//	sdist = { url = "https://files.example/six-1.16.0.tar.gz", hash = "sha256:.." }
//	wheels = [{ url = "https://files.example/six-1.16.0-py2.py3-none-any.whl", hash = "sha256:.." }]
type uvLock struct {
	Version  int         `toml:"version"`
	Packages []uvPackage `toml:"package"`
}

type uvPackage struct {
	Name    string `toml:"name"`
	Version string `toml:"version"`
	Source  struct {
		Registry     string `toml:"registry"`
		Git          string `toml:"git"` // https://host/repo?rev=v1&subdirectory=d#<commit>
		URL          string `toml:"url"`
		Editable     string `toml:"editable"`
		Virtual      string `toml:"virtual"`
		Directory    string `toml:"directory"`
		Path         string `toml:"path"`
		Subdirectory string `toml:"subdirectory"`
	} `toml:"source"`
	Sdist                *uvFile                   `toml:"sdist"`
	Wheels               []uvFile                  `toml:"wheels"`
	Dependencies         []uvDependency            `toml:"dependencies"`
	OptionalDependencies map[string][]uvDependency `toml:"optional-dependencies"`
	// DevDependencies by group.
	DevDependencies map[string][]uvDependency `toml:"dev-dependencies"`
}

type uvFile struct {
	URL  string `toml:"url"`
	Path string `toml:"path"`
	Hash string `toml:"hash"`
}

type uvDependency struct {
	Name string `toml:"name"`
}

// local is the place of a package of the repository, "" for others.
func (p *uvPackage) local() string {
	for _, place := range []string{p.Source.Editable, p.Source.Virtual, p.Source.Directory, p.Source.Path} {
		if place != "" {
			return place
		}
	}
	return ""
}

func (l *lockfile) parseUV(text string) error {
	var doc uvLock
	if err := l.decode(text, &doc); err != nil {
		return err
	}
	if doc.Version != 1 {
		return l.unsupported("version %d of the format is not supported, only 1 is", doc.Version)
	}
	runtime := doc.runtime()
	for i := range doc.Packages {
		p := &doc.Packages[i]
		if err := l.addUV(p, !runtime[p.Name]); err != nil {
			return err
		}
	}
	return nil
}

func (l *lockfile) addUV(p *uvPackage, dev bool) error {
	switch {
	case p.local() != "":
		return l.addLocal(p.Name, p.Version, p.local())
	case p.Source.Git != "":
		return l.addUVGit(p, dev)
	}
	var files []lockedFile
	for _, f := range append(p.sdists(), p.Wheels...) {
		if f.URL == "" { // of a registry that is a folder
			return l.unsupported("%s %s is not at a URL, but at %q", p.Name, p.Version, f.Path)
		}
		one := lockedFile{name: fileName(f.URL), url: f.URL}
		if f.Hash != "" {
			one.hashes = []string{f.Hash}
		}
		files = append(files, one)
	}
	if p.Source.URL == "" {
		return l.addIndexed(p.Name, p.Version, files, dev)
	}
	// A file at a URL: the lockfile lists it once more, with its hash.
	var hashes []string
	for _, f := range files {
		hashes = append(hashes, f.hashes...)
	}
	if p.Sdist != nil && p.Sdist.Hash != "" {
		hashes = []string{p.Sdist.Hash}
	}
	return l.addURL(p.Name, p.Source.URL, hashes, dev)
}

// addUVGit adds a package that uv has from git: https://host/repo?rev=v1&subdirectory=d#<commit>.
func (l *lockfile) addUVGit(p *uvPackage, dev bool) error {
	_, commit, _ := strings.Cut(p.Source.Git, "#")
	subdirectory := p.Source.Subdirectory
	if u, err := url.Parse(p.Source.Git); err == nil && subdirectory == "" {
		subdirectory = u.Query().Get("subdirectory")
	}
	return l.addGit(p.Name, p.Source.Git, commit, subdirectory, dev)
}

func (p *uvPackage) sdists() []uvFile {
	if p.Sdist == nil || p.Source.URL != "" {
		return nil
	}
	return []uvFile{*p.Sdist}
}

// runtime are the packages that those of the repository need outside of their development groups. When
// nothing needs anything, all are.
func (doc *uvLock) runtime() map[string]bool {
	byName := map[string][]*uvPackage{}
	needed := map[string]bool{}
	var queue []string
	for i := range doc.Packages {
		p := &doc.Packages[i]
		byName[p.Name] = append(byName[p.Name], p)
		if p.local() != "" {
			needed[p.Name] = true
			queue = append(queue, p.Name)
		}
	}
	if len(queue) == 0 {
		for name := range byName {
			needed[name] = true
		}
	}
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		for _, p := range byName[name] {
			lists := [][]uvDependency{p.Dependencies}
			for _, extra := range p.OptionalDependencies {
				lists = append(lists, extra)
			}
			for _, list := range lists {
				for _, d := range list {
					if !needed[d.Name] {
						needed[d.Name] = true
						queue = append(queue, d.Name)
					}
				}
			}
		}
	}
	return needed
}
