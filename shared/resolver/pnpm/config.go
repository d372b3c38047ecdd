package pnpm

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

const (
	npmrcName     = ".npmrc"
	workspaceName = "pnpm-workspace.yaml"
	// maxConfigBytes bounds either.
	maxConfigBytes = 1 << 20
)

// config is what the repository's files say of registries, and those files without it: in the bundle, pnpm has
// to read from the bundle.
type config struct {
	// registry and scopes ("@scope" -> URL) end in "/"; an empty registry is the configured one.
	registry string
	scopes   map[string]string
	// changed are new contents of files, by path in the repository.
	changed map[string][]byte
	// extra are packages that only the configuration names (configDependencies).
	extra []*entry
}

// readConfig reads .npmrc and pnpm-workspace.yaml beside the lockfile. .npmrc files of other projects of the
// workspace count when pnpm is started there, so that they must not name registries either.
func (r *run) readConfig(ctx context.Context, p *project) (config, error) {
	c := config{scopes: map[string]string{}, changed: map[string][]byte{}}
	root, err := r.workspaceRoot(p)
	if err != nil {
		return c, err
	}
	var dirs []string
	for _, i := range p.lock.importers {
		if i.dir != "." {
			dirs = append(dirs, i.dir)
		}
	}
	if root != "." {
		dirs = append(dirs, root)
	}
	for _, dir := range append(dirs, ".") { // the lockfile's own comes last: it counts most
		name, data, err := r.configFile(p, path.Join(dir, npmrcName))
		if err != nil {
			return c, err
		}
		if data == nil {
			continue
		}
		found := config{scopes: map[string]string{}}
		rest, err := r.readNPMRC(ctx, path.Join(p.dir, dir, npmrcName), data, &found)
		if err != nil {
			return c, err
		}
		if dir == "." || dir == root {
			c.take(found)
		}
		c.change(name, data, rest)
	}
	if p.lock.old {
		if err := c.hideRegistry(r, p); err != nil {
			return c, err
		}
	}
	name, data, err := r.configFile(p, path.Join(root, workspaceName))
	if err != nil || data == nil {
		return c, err
	}
	rest, err := r.readWorkspace(ctx, path.Join(p.dir, root, workspaceName), data, p, &c)
	if err == nil {
		c.change(name, data, rest)
	}
	return c, err
}

// workspaceRoot is the folder of the pnpm-workspace.yaml that pnpm reads, relative to the lockfile's: as a rule the same,
// or one above it, whose projects have lockfiles of their own (shared-workspace-lockfile=false).
func (r *run) workspaceRoot(p *project) (string, error) {
	up := "."
	for dir := path.Clean(p.dir); ; dir = path.Dir(dir) {
		switch _, err := r.in.Source.Stat(path.Join(dir, workspaceName)); {
		case err == nil:
			return up, nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", fault.Client(fault.InvalidRepoStructure, "File check failed for pnpm: %s must be a file of the repository", path.Join(dir, workspaceName)).Because(err)
		case dir == ".":
			return ".", nil
		}
		up = path.Join(up, "..")
	}
}

// take notes registries of a file that counts more than those before.
func (c *config) take(found config) {
	if found.registry != "" {
		c.registry = found.registry
	}
	maps.Copy(c.scopes, found.scopes)
}

// change notes a file's new content, if lines are gone. It is never empty: a file of nothing is none in a bundle.
func (c *config) change(name string, data, rest []byte) {
	if len(rest) == len(data) {
		return
	}
	if len(rest) == 0 {
		rest = []byte("\n")
	}
	c.changed[name] = rest
}

// unusedRegistry is a registry that nothing is asked of.
const unusedRegistry = "registry=http://localhost/\n"

// hideRegistry makes pnpm 8 blind to the bundle's registry, whose URL it fails to read: it insists on a host. Its
// lockfiles have the path of each file instead (edits).
func (c *config) hideRegistry(r *run, p *project) error {
	name, data, err := r.configFile(p, npmrcName)
	if err != nil {
		return err
	}
	if data == nil {
		name = path.Join(p.realDir, npmrcName)
	} else if changed, ok := c.changed[name]; ok {
		data = changed
	}
	if len(data) > 0 && data[len(data)-1] != '\n' {
		data = append(data, '\n')
	}
	c.changed[name] = append(data, unusedRegistry...)
	return nil
}

// configFile gives a file with its real path in the repository; nil when it is not there.
func (r *run) configFile(p *project, name string) (real string, data []byte, err error) {
	full := path.Join(p.dir, name)
	info, err := r.in.Source.Stat(full)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, nil
	}
	if err != nil || !info.Mode().IsRegular() {
		return "", nil, fault.Client(fault.InvalidRepoStructure, "File check failed for pnpm: %s must be a file of the repository", full)
	}
	if real, err = javascript.RealPath(r.in.Source, full); err != nil {
		return "", nil, fault.Client(fault.InvalidRepoStructure, "The file %s leads out of the repository", full).Because(err)
	}
	data, err = r.readSmall(full, maxConfigBytes)
	return real, data, err
}

var scopedRegistry = regexp.MustCompile(`^(@[^:/\s]+):registry$`)

// readNPMRC takes the registries out of an .npmrc (https://docs.npmjs.com/cli/configuring-npm/npmrc) and gives the
// rest of its lines.
func (r *run) readNPMRC(ctx context.Context, where string, data []byte, c *config) ([]byte, error) {
	var rest []byte
	for line := range bytes.Lines(data) {
		key, value, _ := strings.Cut(strings.TrimSpace(string(line)), "=")
		value, _, _ = strings.Cut(value, " ;")
		value, _, _ = strings.Cut(value, " #")
		key, value = unquote(key), unquote(value)
		scope := ""
		if m := scopedRegistry.FindStringSubmatch(key); m != nil {
			scope = m[1]
		} else if key != "registry" {
			rest = append(rest, line...)
			continue
		}
		if err := r.setRegistry(ctx, where, scope, value, c); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

func unquote(text string) string { return strings.Trim(strings.TrimSpace(text), `"'`) }

// setRegistry notes a registry of the repository's configuration.
func (r *run) setRegistry(ctx context.Context, where, scope, value string, c *config) error {
	if strings.Contains(value, "${") {
		r.in.Log.WarnContext(ctx, "A registry that depends on the environment is not followed", "file", where, "registry", value)
		return nil
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fault.Client(fault.InvalidFileFormat, "%s: the registry %s is not an http or https URL without user info", where, quoted(javascript.ReportedSource(value)))
	}
	value = strings.TrimSuffix(value, "/") + "/"
	if scope == "" {
		c.registry = value
		return nil
	}
	c.scopes[scope] = value
	r.scopes[scope] = true
	return nil
}

// readWorkspace takes the registries out of a pnpm-workspace.yaml, and gives the rest of its lines. What pnpm 10
// keeps of configDependencies there, and not in the lockfile, is added.
func (r *run) readWorkspace(ctx context.Context, where string, data []byte, p *project, c *config) ([]byte, error) {
	d := document{path: where, line: 1}
	root, err := d.parse(data)
	if err != nil || root == nil {
		return data, err
	}
	drop := map[int]bool{} // first lines of members that go
	var lines []int
	err = d.each(root, "the file", func(key string, at, value *yaml.Node) error {
		lines = append(lines, at.Line)
		switch key {
		case "registry":
			drop[at.Line] = true
			text, err := d.text(value, key)
			if err != nil || text == "" {
				return err
			}
			return r.setRegistry(ctx, where, "", text, c)
		case "registries":
			drop[at.Line] = true
			return d.each(value, key, func(scope string, _, value *yaml.Node) error {
				text, err := d.text(value, "the registry of "+quoted(scope))
				if err != nil || text == "" {
					return err
				}
				if scope == "default" {
					scope = ""
				} else if !scopedRegistry.MatchString(scope + ":registry") {
					return d.fault(value.Line, "%s is not a scope", quoted(scope))
				}
				return r.setRegistry(ctx, where, scope, text, c)
			})
		case "configDependencies":
			return r.configDependencies(d, value, p, c)
		}
		return nil
	})
	if err != nil || len(drop) == 0 {
		return data, err
	}
	if root.Style&yaml.FlowStyle != 0 {
		return nil, d.fault(1, "the registries cannot be taken out of a file that is written in brackets; write one key a line")
	}
	return dropMembers(data, lines, drop), nil
}

// dropMembers cuts members of a mapping out of a text, by their first lines.
func dropMembers(data []byte, lines []int, drop map[int]bool) []byte {
	slices.Sort(lines)
	var rest []byte
	number, dropping := 0, false
	for line := range bytes.Lines(data) {
		number++
		if slices.Contains(lines, number) {
			dropping = drop[number]
		}
		if !dropping {
			rest = append(rest, line...)
		}
	}
	return rest
}

// configDependencies reads {name: "<version>+<integrity>"}, as pnpm 10 has it, and {name: {integrity: the same}}.
// pnpm 11 keeps versions here, and the rest in the lockfile.
func (r *run) configDependencies(d document, value *yaml.Node, p *project, c *config) error {
	return d.each(value, "configDependencies", func(name string, at, value *yaml.Node) error {
		if tarball := member(value, "tarball"); tarball != nil {
			return fault.Client(fault.UnsupportedFeature, "%s, line %d: the configuration dependency %s has a tarball URL, which is not supported", d.path, d.line+at.Line-1, quoted(name))
		}
		if inner := member(value, "integrity"); inner != nil {
			value = inner
		}
		text, err := d.text(value, "the version of "+quoted(name))
		if err != nil {
			return err
		}
		version, sri, ok := strings.Cut(text, "+")
		if !ok {
			return nil
		}
		if r.entriesLeft--; r.entriesLeft < 0 {
			return d.fault(at.Line, "the request has more than %d packages, the limit", MaxEntries)
		}
		e := &entry{key: name + "@" + version, name: name, version: version, line: d.line + at.Line - 1, file: d.path}
		e.resolution.integrity = sri
		if !slices.ContainsFunc(p.lock.entries, func(have *entry) bool { return have.key == e.key }) {
			c.extra = append(c.extra, e)
		}
		return nil
	})
}

// registryOf is the registry that pnpm would ask for a package.
func (r *run) registryOf(p *project, name string) string {
	scope, _, scoped := strings.Cut(name, "/")
	if own := p.config.scopes[scope]; scoped && own != "" {
		return own
	}
	if scoped && scope == jsrScope {
		return r.jsrRegistry
	}
	if p.config.registry != "" {
		return p.config.registry
	}
	return r.registry.Base
}
