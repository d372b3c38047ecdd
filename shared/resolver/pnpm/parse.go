package pnpm

import (
	"bytes"
	"io"
	"path"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/cachito-serverless/cachito/shared/fault"
)

// lockParser reads the pieces of a lockfile.
type lockParser struct {
	lock *lockfile
	left *int
	// major of the document's lockfileVersion; 0: not seen yet.
	major    int
	document int
	seen     map[string]bool // entries of the current section
	section  string
}

// parseLockfile reads a pnpm-lock.yaml. left is how many entries may still come. Faults are the client's and
// name the line: InvalidFileFormat, UnsupportedFeature.
func parseLockfile(r io.Reader, name string, left *int) (*lockfile, error) {
	p := &lockParser{lock: &lockfile{path: name}, left: left}
	s := &splitter{emit: p.piece, fault: document{path: name, line: 1}.fault}
	limited := &io.LimitedReader{R: r, N: MaxLockfileBytes + 1}
	if err := s.split(limited); err != nil {
		return nil, err
	}
	if limited.N <= 0 {
		return nil, fault.Client(fault.UnsupportedFeature, "The file %s has more than %d bytes, the limit", name, MaxLockfileBytes)
	}
	if p.major == 0 {
		return nil, fault.Client(fault.InvalidFileFormat, "%s: lockfileVersion is missing", name)
	}
	return p.lock, nil
}

func (p *lockParser) piece(pc piece) error {
	d := document{path: p.lock.path, line: pc.line}
	root, err := d.parse(pc.text)
	if err != nil {
		return err
	}
	if pc.document != p.document {
		p.document, p.major, p.section = pc.document, 0, ""
	}
	if pc.section != p.section {
		p.section, p.seen = pc.section, map[string]bool{}
	}
	if p.major == 0 && pc.section != "lockfileVersion" {
		if root == nil {
			return nil
		}
		// pnpm writes it first: what follows can only be read with it.
		return d.fault(1, "lockfileVersion must come first")
	}
	if pc.whole {
		return d.each(root, pc.section, func(name string, _, value *yaml.Node) error { return p.whole(d, name, value) })
	}
	return d.each(root, pc.section, func(key string, keyNode, value *yaml.Node) error {
		return p.member(d, pc, key, keyNode, value)
	})
}

// whole reads a section that came in one piece.
func (p *lockParser) whole(d document, name string, value *yaml.Node) error {
	switch name {
	case "lockfileVersion":
		version, err := d.text(value, name)
		if err == nil {
			p.major, err = checkVersion(version)
			p.lock.old = p.major == oldMajor
		}
		return err
	case "packages", "snapshots", "importers": // {} as a rule
		return d.each(value, name, func(key string, keyNode, value *yaml.Node) error {
			return p.member(d, piece{section: name, whole: true}, key, keyNode, value)
		})
	case "dependencies", "devDependencies", "optionalDependencies":
		// Of the only project, in a lockfile of version 6.
		return p.importerSection(d, p.importerAt("."), name, value)
	}
	return nil
}

// member reads an entry of a large section.
func (p *lockParser) member(d document, pc piece, key string, keyNode, value *yaml.Node) error {
	if p.seen[key] {
		return d.fault(keyNode.Line, "%.200q is there twice in %s", key, pc.section)
	}
	p.seen[key] = true
	switch pc.section {
	case "packages":
		return p.pkg(d, pc, key, keyNode, value)
	case "snapshots":
		return p.snapshot(d, key, value)
	default:
		return p.importer(d, key, keyNode.Line, value)
	}
}

func (p *lockParser) pkg(d document, pc piece, key string, keyNode, value *yaml.Node) error {
	if *p.left--; *p.left < 0 {
		return fault.Client(fault.UnsupportedFeature, "%s: the lockfiles of one request have more than %d packages, the limit", p.lock.path, MaxEntries)
	}
	e := &entry{key: withoutPeers(key), line: d.line + keyNode.Line - 1}
	e.name, e.version = splitKey(e.key)
	var resolutionNode *yaml.Node
	err := d.each(value, "the package "+quoted(key), func(name string, at, value *yaml.Node) error {
		var err error
		switch name {
		case "resolution":
			resolutionNode = at
			e.resolution, err = p.resolution(d, key, value)
		case "name":
			if text, textErr := d.text(value, "name"); textErr != nil || e.name == "" {
				e.name, err = text, textErr
			}
		case "version":
			e.declared, err = d.text(value, "version")
		case "dependencies", "optionalDependencies":
			if p.major < 9 {
				err = p.needs(d, p.lock.graph.id(e.key), value)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	if resolutionNode == nil {
		return d.fault(keyNode.Line, "the package %s has no resolution", quoted(key))
	}
	if e.name == "" {
		return d.fault(keyNode.Line, "the package %s has no name", quoted(key))
	}
	if !pc.whole && resolutionNode.Line > keyNode.Line {
		e.at = placeOf(pc, value, resolutionNode)
	}
	p.lock.entries = append(p.lock.entries, e)
	return nil
}

// placeOf is where a member of a mapping is: from its key to the line of the next member. It is zero when the key
// is not at the beginning of its line, but for ": ", which YAML has there behind a long key.
func placeOf(pc piece, mapping, member *yaml.Node) span {
	last := 0
	for i := 0; i < len(mapping.Content); i += 2 {
		if n := mapping.Content[i]; n.Line > member.Line && (last == 0 || n.Line < last) {
			last = n.Line
		}
	}
	line := offsetOfLine(pc.text, member.Line)
	from := line + member.Column - 1
	if from >= len(pc.text) || len(bytes.Trim(pc.text[line:from], " :")) > 0 {
		return span{}
	}
	to := len(pc.text)
	if last > 0 {
		to = offsetOfLine(pc.text, last)
	} else {
		// Blank lines and comments behind the entry stay.
		for to > from {
			line := bytes.LastIndexByte(pc.text[from:to-1], '\n') + 1 + from
			if content := bytes.TrimSpace(pc.text[line:to]); line == from || len(content) > 0 && content[0] != '#' {
				break
			}
			to = line
		}
	}
	return span{pc.at + int64(from), pc.at + int64(to)}
}

func offsetOfLine(text []byte, line int) int {
	at := 0
	for ; line > 1; line-- {
		at += bytes.IndexByte(text[at:], '\n') + 1
	}
	return at
}

func (p *lockParser) resolution(d document, key string, value *yaml.Node) (resolution, error) {
	var r resolution
	err := d.each(value, "the resolution of "+quoted(key), func(name string, _, value *yaml.Node) error {
		to := map[string]*string{
			"integrity": &r.integrity, "tarball": &r.tarball, "type": &r.kind,
			"directory": &r.directory, "repo": &r.repo, "commit": &r.commit, "path": &r.path,
		}[name]
		if to == nil {
			return nil
		}
		var err error
		*to, err = d.text(value, "resolution."+name)
		return err
	})
	return r, err
}

func (p *lockParser) snapshot(d document, key string, value *yaml.Node) error {
	id := p.lock.graph.id(withoutPeers(key))
	for _, section := range []string{"dependencies", "optionalDependencies"} {
		if err := p.needs(d, id, member(value, section)); err != nil {
			return err
		}
	}
	return nil
}

// needs adds the dependencies of a package to the graph.
func (p *lockParser) needs(d document, id int32, value *yaml.Node) error {
	return d.each(value, "dependencies", func(name string, _, value *yaml.Node) error {
		ref, err := d.text(value, "the version of "+quoted(name))
		if err != nil {
			return err
		}
		to, ok, err := p.reference(d, name, ref, value.Line)
		if ok {
			p.lock.graph.needs[id] = append(p.lock.graph.needs[id], to)
		}
		return err
	})
}

// reference is the graph's id of what a dependency leads to; false for links.
func (p *lockParser) reference(d document, name, ref string, line int) (int32, bool, error) {
	key := refKey(name, ref, p.major == oldMajor)
	if key == "" {
		return 0, false, nil
	}
	if p.lock.graph.edges++; p.lock.graph.edges > maxEdges {
		return 0, false, d.fault(line, "the packages have more than %d dependencies, the limit", maxEdges)
	}
	return p.lock.graph.id(key), true, nil
}

func (p *lockParser) importer(d document, dir string, line int, value *yaml.Node) error {
	if path.IsAbs(dir) || path.Clean(dir) != dir || strings.HasPrefix(dir, "../") || dir == ".." {
		return d.fault(line, "the project %s is not a path below the lockfile's folder", quoted(dir))
	}
	if len(p.lock.importers) >= maxImporters {
		return fault.Client(fault.UnsupportedFeature, "%s has more than %d projects, the limit", p.lock.path, maxImporters)
	}
	i := p.importerAt(dir)
	return d.each(value, "the project "+quoted(dir), func(name string, _, value *yaml.Node) error {
		switch name {
		case "dependencies", "optionalDependencies", "devDependencies", "configDependencies", "packageManagerDependencies":
			return p.importerSection(d, i, name, value)
		}
		return nil
	})
}

// importerAt is the project of a folder; documents of one lockfile may share it.
func (p *lockParser) importerAt(dir string) *importer {
	for i := range p.lock.importers {
		if p.lock.importers[i].dir == dir {
			return &p.lock.importers[i]
		}
	}
	p.lock.importers = append(p.lock.importers, importer{dir: dir})
	return &p.lock.importers[len(p.lock.importers)-1]
}

// importerSection reads {name: {specifier: ..., version: ...}}.
func (p *lockParser) importerSection(d document, i *importer, section string, value *yaml.Node) error {
	return d.each(value, section, func(name string, at, value *yaml.Node) error {
		version := member(value, "version")
		if version == nil {
			return d.fault(at.Line, "%s in %s has no version", quoted(name), section)
		}
		ref, err := d.text(version, "the version of "+quoted(name))
		if err != nil {
			return err
		}
		id, ok, err := p.reference(d, name, ref, at.Line)
		switch {
		case err != nil || !ok:
			return err
		case section == "dependencies" || section == "optionalDependencies":
			i.runtime = append(i.runtime, id)
		default:
			i.dev = append(i.dev, id)
		}
		return nil
	})
}

// quoted shows a text of the file, shortened.
func quoted(text string) string {
	const enough = 200
	if len(text) > enough {
		text = text[:enough] + "..."
	}
	return `"` + strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, text) + `"`
}
