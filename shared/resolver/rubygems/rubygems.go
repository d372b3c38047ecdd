// Package rubygems resolves Ruby gems: it fetches what a Gemfile.lock locks, and lays it out so that
// `bundle install` finds everything in the bundle. The Gemfile and the gemspecs, which are programs, are never
// read.
//
//	lockfile.go   Gemfile.lock -> sections and gems, pure
//	rules.go      what Cachito takes of them, and in which words it refuses the rest
//	gems.go       files of the registry; metadata.go looks into them
//	gittrees.go   repositories of git gems
//	paths.go      gems in the repository itself
//	layout.go     where everything lies below deps/
//	config.go     .bundle/config
//
// Settings (resolver.Settings.Values):
//
//	url     where gems come from, a base URL that ends in a slash
//	remote  the only remote that a Gemfile.lock may name for them
package rubygems

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/purl"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

const lockfileName = "Gemfile.lock"

type settings struct {
	url, remote string
}

// rubyGems implements resolver.Resolver.
type rubyGems struct {
	settings settings
}

// New makes the resolver; one may serve many requests at a time.
func New(s resolver.Settings) (resolver.Resolver, error) {
	r := &rubyGems{settings{url: s.Values["url"], remote: s.Values["remote"]}}
	for name, text := range map[string]string{"url": r.settings.url, "remote": r.settings.remote} {
		if u, err := url.Parse(text); err != nil || u.Host == "" || !strings.HasSuffix(text, "/") {
			return nil, fmt.Errorf("setting %s of rubygems: want a URL that ends in a slash, got %q", name, text)
		}
	}
	return r, nil
}

// withoutTrees are the releases of Bundler that want a bare repository in the cache folder, which no other takes.
var withoutTrees = regexp.MustCompile(`^2\.5\.(?:1[7-9]|2[0-3])$`)

// run is one Resolve.
type run struct {
	settings settings
	in       resolver.Input
	gems     gemSet
	trees    []gitTree
	known    map[string]int // trees by their path
}

// pkg is what one path led to.
type pkg struct {
	packages.Package
	locked locked
	// dir is the package's folder, links on the way followed.
	dir string
}

// Resolve implements resolver.Resolver.
func (g *rubyGems) Resolve(ctx context.Context, in resolver.Input) (resolver.Output, error) {
	paths, err := resolver.OptionPaths(Name, in.Options, ".")
	if err != nil {
		return resolver.Output{}, err
	}
	r := &run{settings: g.settings, in: in, gems: gemSet{}, known: map[string]int{}}
	var found []pkg
	for _, p := range paths {
		if err := in.Reason(ctx, fmt.Sprintf("Fetching dependencies at the '%s' directory", p)); err != nil {
			return resolver.Output{}, err
		}
		one, err := r.read(ctx, p)
		if err != nil {
			return resolver.Output{}, err
		}
		found = append(found, one)
	}
	return r.output(ctx, found)
}

// read reads the lockfile of a path and notes what is to be fetched.
func (r *run) read(ctx context.Context, dir string) (pkg, error) {
	name := path.Join(dir, lockfileName)
	lock, err := r.readLockfile(name)
	if err != nil {
		return pkg{}, err
	}
	out := pkg{}
	if out.locked, err = lock.check(r.settings.remote); err != nil {
		return pkg{}, err
	}
	if out.dir, err = realPath(r.in.Source, ".", dir); err != nil {
		return pkg{}, fmt.Errorf("finding the package %s: %w", dir, err)
	}
	for _, g := range out.locked.registry {
		if err := r.gems.add(g, name); err != nil {
			return pkg{}, err
		}
	}
	for _, g := range out.locked.git {
		r.addTree(g.tree)
	}
	for _, g := range out.locked.local {
		if err := checkLocal(r.in.Source, dir, g); err != nil {
			return pkg{}, err
		}
	}
	if len(out.locked.skipped) > 0 {
		r.in.Log.WarnContext(ctx, "Gems of other platforms are left out: the build makes them from their source", "file", name, "gems", someOf(out.locked.skipped))
	}
	if len(out.locked.git) > 0 && withoutTrees.MatchString(lock.bundler) {
		r.in.Log.WarnContext(ctx, "Bundler 2.5.17 to 2.5.23 cannot install git gems without network: build with an older or newer one",
			"file", name, "bundled_with", lock.bundler)
	}
	out.Package = r.describe(dir, out.locked)
	return out, nil
}

// someOf shortens a list for the log.
func someOf(list []string) []string {
	const most = 20
	if len(list) <= most {
		return list
	}
	return append(slices.Clone(list[:most]), fmt.Sprintf("and %d more", len(list)-most))
}

func (r *run) readLockfile(name string) (lockfile, error) {
	f, err := r.in.Source.Open(name)
	if err != nil {
		return lockfile{}, noLockfile(name).Because(err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return lockfile{}, fmt.Errorf("reading %s: %w", name, err)
	case !info.Mode().IsRegular():
		return lockfile{}, noLockfile(name)
	case info.Size() > MaxLockfileBytes:
		return lockfile{}, fault.Client(fault.UnsupportedFeature, "%s has %d bytes; the limit is %d", name, info.Size(), MaxLockfileBytes)
	}
	lock, err := parseLockfile(io.LimitReader(f, MaxLockfileBytes))
	if bad, ok := errors.AsType[*formatError](err); ok {
		return lockfile{}, fault.Client(fault.InvalidFileFormat, "The lock file %s has an unexpected format (%v)", name, bad)
	}
	return lock, err
}

// noLockfile is also the answer for links that lead nowhere or out of the repository.
func noLockfile(name string) *fault.Error {
	return fault.Client(fault.ValidationError, "Gemfile.lock at path %s does not exist or is not a regular file.", name)
}

// describe is what is reported of a package.
func (r *run) describe(dir string, l locked) packages.Package {
	p := packages.Package{Name: repositoryName(r.in.Repo.URL), Type: Name, Version: &r.in.Repo.Ref}
	if dir != "." {
		p.Name, p.Path = p.Name+"/"+dir, dir
	}
	type identity struct{ name, version string }
	seen := map[identity]bool{}
	add := func(name, version string) {
		if id := (identity{name, version}); !seen[id] {
			seen[id] = true
			p.Dependencies = append(p.Dependencies, packages.Dependency{Name: name, Type: Name, Version: &version})
		}
	}
	for _, g := range l.registry {
		add(g.name, g.version)
	}
	for _, g := range l.git {
		add(g.name, g.version())
	}
	for _, g := range l.local {
		add(g.name, g.version())
	}
	return p
}

// repositoryName is the last part of a repository's URL, without ".git".
func repositoryName(repo string) string {
	repo = strings.TrimRight(repo, "/")
	return strings.TrimSuffix(repo[strings.LastIndexAny(repo, "/:")+1:], ".git")
}

// addTree notes a git tree: each is fetched once, with its submodules if one of its gems wants them.
func (r *run) addTree(t gitTree) {
	place := t.path()
	i, ok := r.known[place]
	if !ok {
		r.known[place] = len(r.trees)
		r.trees = append(r.trees, t)
		return
	}
	known := &r.trees[i]
	known.submodules = known.submodules || t.submodules
	if !slices.Contains(known.names, t.names[0]) {
		known.names = append(known.names, t.names[0])
	}
}

// output fetches everything and lays it out.
func (r *run) output(ctx context.Context, found []pkg) (resolver.Output, error) {
	var (
		out  resolver.Output
		data packages.Data
	)
	for _, p := range found {
		out.Packages = append(out.Packages, p.Package)
	}
	data.Packages = slices.Clone(out.Packages)
	data.Sort()
	if err := data.Check(); err != nil {
		return resolver.Output{}, err
	}
	gems, deps := r.gems.sorted(), newLayout()
	if err := r.fetchGems(ctx, gems); err != nil {
		return resolver.Output{}, err
	}
	trees, err := r.fetchTrees(ctx, r.trees, progressOf(gems))
	if err != nil {
		return resolver.Output{}, err
	}
	for i, t := range r.trees {
		if err := deps.addTree(t, trees[i]); err != nil {
			return resolver.Output{}, err
		}
	}
	for _, g := range gems {
		if err := deps.addGem(g); err != nil {
			return resolver.Output{}, err
		}
	}
	if out.Deps, err = deps.sorted(); err != nil {
		return resolver.Output{}, err
	}
	if out.Checksums, out.Unverified, err = verification(gems); err != nil {
		return resolver.Output{}, err
	}
	for _, p := range found {
		f, err := r.config(ctx, p.dir, p.locked.git)
		if err != nil {
			return resolver.Output{}, err
		}
		out.ConfigFiles = append(out.ConfigFiles, f)
		out.Overlays = append(out.Overlays, resolver.Entry{Path: strings.TrimPrefix(f.Path, "app/"), Inline: f.Content})
	}
	return out, nil
}

// verification says which file stands for each gem, and which gems no lockfile vouches for.
func verification(gems []*gemFile) (checksums map[string][]string, unverified []string, err error) {
	checksums = map[string][]string{}
	for _, g := range gems {
		text, err := purl.Gem(g.name, &g.version)
		if err != nil {
			return nil, nil, err
		}
		checksums[text] = []string{g.file.SHA256}
		if g.unverified() {
			unverified = append(unverified, text)
		}
	}
	return checksums, unverified, nil
}
