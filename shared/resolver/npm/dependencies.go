package npm

import (
	"slices"
	"strings"
	"unicode"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

// dependency is what one or several entries of a lockfile stand for.
type dependency struct {
	name string
	// version as it is reported: a plain one, or the source. Empty until the archive was read, for a registry
	// tarball of which the lockfile has the URL alone.
	version      string
	dev, bundled bool
	// file is the index of its file; none for what is bundled or part of the repository.
	file int
}

const none = -1

// maxSameName bounds the files of one name among which an override's is looked for.
const maxSameName = 100

// wanted is a file that is to be in the bundle. Several dependencies never share one, several entries do.
type wanted struct {
	kind    javascript.Kind
	name    string
	version string // of registry tarballs; empty: that of the archive
	source  string // as in the lockfile; empty when it has no URL
	digests []integrity.Digest
	git     javascript.GitSource
	// file and path below deps/, once it is there.
	file resolver.File
	path string
	// sri is the integrity of the file as it came, where a rewritten lockfile may need it.
	sri string
	// dependency is the index of what it was first wanted for.
	dependency int
}

// plan is what a lockfile leads to.
type plan struct {
	deps  []dependency
	files []wanted
	// rewrites has what becomes of each entry of the lockfile.
	rewrites []rewrite
	// installed has the files that are not the registry's, by the names they are installed under: the first
	// maxSameName of each.
	installed map[string][]int
	// sources has the tarballs by their URL without a fragment, the first of each.
	sources map[string]int
	// folders of the repository that are packages, relative to the lockfile's.
	folders []string
}

// rewrite says where an entry's file is named.
type rewrite struct {
	file int // none: the entry stays
	how  rewriteForm
}

type rewriteForm int

const (
	// inResolved: "resolved" has a URL and gets the file.
	inResolved rewriteForm = iota
	// inVersion: a legacy entry whose "version" is the URL.
	inVersion
	// addResolved: there is no URL at all (omit-lockfile-registry-resolved).
	addResolved
)

// planner makes a plan.
type planner struct {
	plan
	registry javascript.Registry
	file     string // the lockfile's path, for faults
	local    func(name, source string) error
	byFile   map[fileKey]int
	byDep    map[depKey]int
}

type fileKey struct{ name, version, source, integrity string }

type depKey struct {
	name, version string
	file          int // told apart while the version is not known
}

// makePlan says what is to be reported and fetched for a lockfile. local checks a file: dependency. Faults
// are the client's.
func makePlan(lock lockfile, file string, registry javascript.Registry, local func(name, source string) error) (plan, error) {
	p := &planner{registry: registry, file: file, local: local, byFile: map[fileKey]int{}, byDep: map[depKey]int{}}
	p.installed, p.sources = map[string][]int{}, map[string]int{}
	p.rewrites = make([]rewrite, len(lock.entries))
	for i, e := range lock.entries {
		p.rewrites[i] = rewrite{none, e.form()}
		// What is reported comes from one half of a version 2 lockfile, the other is only kept in step.
		if e.legacy != (lock.format == "1") || e.link || !e.legacy && e.key == "" {
			continue
		}
		at, err := p.add(e)
		if err != nil {
			return plan{}, err
		}
		p.rewrites[i].file = at
		if at == none || p.files[at].kind == javascript.FromRegistry {
			continue
		}
		if list := p.installed[e.installedName()]; len(list) < maxSameName && !slices.Contains(list, at) {
			p.installed[e.installedName()] = append(list, at)
		}
	}
	if lock.format == "2" {
		for i, e := range lock.entries {
			if e.legacy {
				p.rewrites[i].file = p.known(e)
			}
		}
	}
	return p.plan, nil
}

// form says where an entry names its file.
func (e entry) form() rewriteForm {
	switch {
	case e.resolved != "":
		return inResolved
	case e.legacy && e.source() != "":
		return inVersion
	}
	return addResolved
}

// source is where an entry's package comes from; empty for a registry package without a URL.
func (e entry) source() string {
	switch {
	case e.resolved != "":
		return e.resolved
	case e.legacy:
		if isPlainVersion(e.version) || strings.HasPrefix(e.version, "npm:") {
			return ""
		}
		return e.version
	case e.local() || e.version == "":
		return "file:" + e.key
	}
	return ""
}

// plainVersion of a registry package: what the lockfile says, without an alias; empty when it has a URL there.
func (e entry) plainVersion() string {
	if !e.legacy {
		return e.version
	}
	if _, version, ok := aliasOf(e.version); ok {
		return version
	}
	if isPlainVersion(e.version) {
		return e.version
	}
	return ""
}

// isPlainVersion tells "1.0.0" from "github:a/b", "file:x" and URLs.
func isPlainVersion(v string) bool {
	return v != "" && !strings.ContainsAny(v, ":/#")
}

func (p *planner) add(e entry) (int, error) {
	name := e.packageName()
	if strings.ContainsFunc(name, unicode.IsControl) || strings.ContainsFunc(e.source(), unicode.IsControl) {
		return none, fault.Client(fault.InvalidFileFormat, "The lock file %s has a control character in the entry %q", p.file, e.key)
	}
	if e.bundled && e.resolved == "" {
		return none, p.addBundled(e, name)
	}
	source := e.source()
	kind := javascript.FromRegistry
	if source != "" {
		var err error
		if kind, err = p.registry.Classify(name, source); err != nil {
			return none, err
		}
	}
	if kind == javascript.FromFile {
		if err := p.local(name, source); err != nil {
			return none, err
		}
		p.folders = append(p.folders, strings.TrimPrefix(source, "file:"))
		p.report(dependency{name: name, version: source, dev: e.dev, file: none})
		return none, nil
	}
	if err := javascript.CheckName(p.file, name); err != nil {
		return none, err
	}
	at, err := p.want(e, kind, name, source)
	if err != nil {
		return none, err
	}
	version := source
	if kind == javascript.FromRegistry {
		version = e.plainVersion()
	}
	p.files[at].dependency = p.report(dependency{name: name, version: version, dev: e.dev, file: at})
	return at, nil
}

func (p *planner) addBundled(e entry, name string) error {
	if e.version == "" {
		return fault.Client(fault.ValidationError, "The lock file %s has an unexpected format (missing key: 'version')", p.file)
	}
	if err := javascript.CheckName(p.file, name); err != nil {
		return err
	}
	version := e.plainVersion()
	if version == "" {
		version = e.version
	}
	p.report(dependency{name: name, version: version, dev: e.dev, bundled: true, file: none})
	return nil
}

// want notes the file of an entry.
func (p *planner) want(e entry, kind javascript.Kind, name, source string) (int, error) {
	w := wanted{kind: kind, name: name, source: source}
	if kind == javascript.FromRegistry {
		w.version = e.plainVersion()
		if w.version == "" && source == "" {
			return none, fault.Client(fault.ValidationError, "The lock file %s has an unexpected format (missing key: 'version')", p.file)
		}
		if w.version != "" {
			if err := javascript.CheckVersion(p.file, name, w.version); err != nil {
				return none, err
			}
		}
	}
	key := keyOf(e, kind, name, source)
	if at, ok := p.byFile[key]; ok {
		return at, nil
	}
	var err error
	if kind == javascript.FromGit {
		w.git, err = javascript.ParseGit(name, source)
	} else {
		w.digests, err = javascript.ParseIntegrity(name, source, e.integrity)
	}
	if err != nil {
		return none, err
	}
	if kind == javascript.FromURL && len(w.digests) == 0 {
		return none, javascript.MissingIntegrity(name, source)
	}
	p.files = append(p.files, w)
	at := len(p.files) - 1
	p.byFile[key] = at
	if url := withoutFragment(source); url != "" && kind != javascript.FromGit {
		if _, ok := p.sources[url]; !ok {
			p.sources[url] = at
		}
	}
	return at, nil
}

func withoutFragment(source string) string {
	source, _, _ = strings.Cut(source, "#")
	return source
}

func keyOf(e entry, kind javascript.Kind, name, source string) fileKey {
	key := fileKey{name: name, source: source, integrity: e.integrity}
	switch kind {
	case javascript.FromRegistry:
		key.version = e.plainVersion()
	case javascript.FromGit:
		key.integrity = "" // npm's digest of an archive of its own making
	}
	return key
}

// known finds the file of an entry in the half of a version 2 lockfile that is not reported.
func (p *planner) known(e entry) int {
	if e.bundled && e.resolved == "" {
		return none
	}
	name, source := e.packageName(), e.source()
	kind := javascript.FromRegistry
	if source != "" {
		var err error
		if kind, err = p.registry.Classify(name, source); err != nil || kind == javascript.FromFile {
			return none
		}
	}
	if at, ok := p.byFile[keyOf(e, kind, name, source)]; ok {
		return at
	}
	// A registry's URL as the version: the other half has the plain version beside the URL.
	if at, ok := p.sources[withoutFragment(source)]; ok && p.files[at].name == name && p.files[at].source == source {
		return at
	}
	return none
}

// report notes a dependency, or merges it with the one of equal name and version.
func (p *planner) report(d dependency) int {
	key := depKey{name: d.name, version: d.version}
	if d.version == "" {
		key.file = d.file + 1
	}
	at, ok := p.byDep[key]
	if !ok {
		p.deps = append(p.deps, d)
		p.byDep[key] = len(p.deps) - 1
		return len(p.deps) - 1
	}
	known := &p.deps[at]
	known.dev = known.dev && d.dev
	known.bundled = known.bundled && d.bundled
	if known.file == none {
		known.file = d.file
	}
	return at
}
