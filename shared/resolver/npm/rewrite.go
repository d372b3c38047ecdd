package npm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

// maxConfigFileBytes bounds a rewritten lockfile that is offered as a configuration file besides lying in
// the bundle: those go through the database, the API and the clients in one piece.
const maxConfigFileBytes = 4 << 20

// sections of a package.json and of lockfile entries that hold specifications.
var sections = map[string]bool{
	"dependencies": true, "devDependencies": true, "optionalDependencies": true, "peerDependencies": true,
}

// rewrite changes the files of a project whose specifications or sources lead to the network.
func (r *run) rewrite(ctx context.Context, p *project) error {
	manifest, err := r.readSmall(path.Join(p.dir, "package.json"))
	if err != nil {
		return err
	}
	o := p.overrides(manifest)
	if err := r.rewriteLockfile(ctx, p, o); err != nil {
		return err
	}
	if err := r.rewritePackageJSON(p.realDir, o); err != nil {
		return err
	}
	for _, folder := range p.folders {
		if !r.isFile(path.Join(p.dir, folder, "package.json")) {
			continue
		}
		dir, err := r.realDir(path.Join(p.dir, folder))
		if err != nil {
			return err
		}
		// npm reads overrides of the root alone.
		if err := r.rewritePackageJSON(dir, overrides{}); err != nil {
			return err
		}
	}
	return nil
}

// reference is how a file of the bundle is named from the project's folder.
//
//	npm/a/a-1.0.0.tgz, from the root -> file:../deps/npm/a/a-1.0.0.tgz
func (p *project) reference(file int) string {
	up := "../"
	if p.realDir != "." {
		up = strings.Repeat("../", strings.Count(p.realDir, "/")+2)
	}
	return "file:" + up + "deps/" + p.files[file].path
}

// rewriteLockfile streams the lockfile through a temporary file, since only its end shows whether anything
// has changed.
func (r *run) rewriteLockfile(ctx context.Context, p *project, o overrides) error {
	in, err := r.in.Source.Open(p.lockPath)
	if err != nil {
		return fmt.Errorf("opening %s: %w", p.lockPath, err)
	}
	defer in.Close()
	const temporary = "package-lock.json"
	out, err := r.in.Scratch.Create(temporary)
	if err != nil {
		return fmt.Errorf("making a temporary file for %s: %w", p.lockPath, err)
	}
	defer r.in.Scratch.Remove(temporary)
	defer out.Close()
	l := &lockEditor{editor: newEditor(in, out), p: p, overrides: o}
	if err := l.document(l.member); err != nil {
		return fmt.Errorf("rewriting %s: %w", p.lockPath, err)
	}
	if !l.changed {
		return nil
	}
	size, err := out.Seek(0, io.SeekCurrent)
	if err == nil {
		_, err = out.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("rewriting %s: %w", p.lockPath, err)
	}
	name := path.Join(p.realDir, path.Base(p.lockPath))
	if size > maxConfigFileBytes {
		file, err := r.in.Fetcher.Store(ctx, out)
		if err != nil {
			return fmt.Errorf("storing %s: %w", p.lockPath, err)
		}
		r.in.Log.WarnContext(ctx, "The rewritten lockfile is in the bundle, but too large to be a configuration file as well", "file", p.lockPath, "bytes", size)
		r.changed[name] = resolver.Entry{Path: name, File: &file}
		return nil
	}
	content, err := io.ReadAll(out)
	if err != nil {
		return fmt.Errorf("rewriting %s: %w", p.lockPath, err)
	}
	r.changed[name] = resolver.Entry{Path: name, Inline: content}
	return nil
}

// lockEditor rewrites a lockfile. It meets the entries in the order in which parseLockfile did.
type lockEditor struct {
	*editor
	overrides
	p    *project
	next int
}

func (l *lockEditor) member(key string) error {
	switch key {
	case "packages":
		_, err := l.members(func(key string) error { return l.entry(key, false) }, nil)
		return err
	case "dependencies":
		return l.legacy()
	}
	return l.copy()
}

func (l *lockEditor) legacy() error {
	_, err := l.members(func(key string) error { return l.entry(key, true) }, nil)
	return err
}

func (l *lockEditor) entry(key string, legacy bool) error {
	rule := l.p.rewrites[l.next]
	l.next++
	e := entryEditor{lockEditor: l, how: rule.how, legacy: legacy}
	if rule.file != none {
		e.reference, e.file = l.p.reference(rule.file), &l.p.files[rule.file]
	}
	if !legacy && key == "" {
		e.direct = l.overrides.direct
	}
	_, err := l.members(e.member, e.last)
	return err
}

// entryEditor rewrites one entry.
//
// A legacy entry that has a URL as its version gets the plain version, "resolved" and "integrity", as if it
// came from the registry. With the file in "version" and nothing else, npm 11 takes the version from the
// file's name and then finds lockfile and package.json out of step. For the same reason a lockfile of version
// 1 gets an "integrity" where it has none.
type entryEditor struct {
	*lockEditor
	how    rewriteForm
	legacy bool
	// file is what the entry is rewritten to, by reference; nil: it stays.
	file      *wanted
	reference string
	// What was written so far.
	hasResolved, hasIntegrity bool
	direct                    map[string]string
}

func (e *entryEditor) member(key string) error {
	switch {
	case key == "dependencies" && e.legacy:
		return e.lockEditor.legacy()
	case key == "requires" && e.legacy, sections[key] && !e.legacy:
		return e.specs(e.direct)
	case e.file == nil:
		return e.copy()
	case key == "resolved":
		if e.how != inResolved {
			return e.drop() // `false`
		}
		e.hasResolved = true
		return e.replace(e.reference)
	case key == "version" && e.how == inVersion:
		if err := e.replace(e.file.version); err != nil {
			return err
		}
		return e.addResolved()
	case key == "version" && e.how == addResolved:
		if err := e.copy(); err != nil {
			return err
		}
		return e.addResolved()
	case key == "integrity":
		if e.file.kind != javascript.FromGit && len(e.file.digests) == 0 {
			return e.drop() // an empty one
		}
		e.hasIntegrity = true
		if e.file.kind == javascript.FromGit {
			return e.replace(e.file.sri) // instead of that of an archive of npm's making
		}
	case key == "from" && e.how == inVersion:
		return e.drop()
	}
	return e.copy()
}

func (e *entryEditor) addResolved() error {
	if e.hasResolved {
		return nil
	}
	e.hasResolved = true
	return e.add("resolved", e.reference)
}

// last adds what the entry lacks.
func (e *entryEditor) last() error {
	if e.file == nil {
		return nil
	}
	if err := e.addResolved(); err != nil {
		return err
	}
	if !e.legacy || e.hasIntegrity || e.file.sri == "" {
		return nil
	}
	return e.add("integrity", e.file.sri)
}

// specs edits an object of specifications: what leads to the network becomes empty, or what direct says.
// Empty is accepted by npm 6 to 12 whatever version the lockfile has; file: is not, within a third party's
// entry it is taken as relative to that party's folder.
func (e *editor) specs(direct map[string]string) error {
	_, err := e.members(func(name string) error {
		return e.text(func(spec string) string {
			if !leadsToNetwork(spec) {
				return spec
			}
			return direct[name]
		})
	}, nil)
	return err
}

// rewritePackageJSON rewrites the package.json of a folder, in the work tree as well: it may be a workspace
// of one path of the request and a path itself.
func (r *run) rewritePackageJSON(dir string, o overrides) error {
	name := path.Join(dir, "package.json")
	content, err := r.readSmall(name)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	e := newEditor(bytes.NewReader(content), &out)
	err = e.document(packageJSONEditor(e, o))
	var syntax *syntaxError
	if errors.As(err, &syntax) {
		return fault.Client(fault.InvalidFileFormat, "The file %s is not valid JSON: %s", name, err).Because(err)
	}
	if err != nil {
		return fmt.Errorf("rewriting %s: %w", name, err)
	}
	if !e.changed {
		return nil
	}
	r.changed[name] = resolver.Entry{Path: name, Inline: out.Bytes()}
	// A new file: the old one may be shared with others (a hard link).
	if err := r.in.Source.Remove(name); err != nil {
		return fmt.Errorf("rewriting %s: %w", name, err)
	}
	if err := r.in.Source.WriteFile(name, out.Bytes(), 0o644); err != nil {
		return fmt.Errorf("rewriting %s: %w", name, err)
	}
	return nil
}

// packageJSONEditor edits the members of a package.json.
func packageJSONEditor(e *editor, o overrides) func(key string) error {
	return func(key string) error {
		switch {
		case sections[key]:
			return e.specs(o.direct)
		case key == "overrides" && o.value != nil:
			return e.overrides("", o.value)
		}
		return e.copy()
	}
}
