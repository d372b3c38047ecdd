package rubygems

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// Folders below deps/. Cachito's clients know the gems by folders of their names; Bundler wants them all in one
// folder, which holds links to them.
const (
	depsFolder  = Name
	cacheFolder = depsFolder + "/cache"
)

// path of a gem below deps/: rubygems/zeitwerk/zeitwerk-2.6.0.gem.
func (g gemFile) path() string { return path.Join(depsFolder, g.name, g.fileName()) }

// path of the tree below deps/, where Cachito has it:
// rubygems/github.com/RadPad/swagger-ui_rails/swagger-ui_rails-external-gitcommit-<commit>/app. A port is written
// behind the host with "_".
func (t gitTree) path() string {
	u, err := url.Parse(t.shown)
	if err != nil {
		panic("a URL that was checked: " + err.Error())
	}
	repo := strings.TrimSuffix(strings.TrimRight(u.Path, "/"), ".git")
	folder := path.Base(repo) + "-external-gitcommit-" + t.commit
	return path.Join(depsFolder, strings.ReplaceAll(u.Host, ":", "_"), repo, folder, "app")
}

// bundlerPrefix is what Bundler cuts off a repository's URL before it takes the last element for a name
// (bundler lib/bundler/source/git.rb, base_name, from 2.0 to 2.7).
var bundlerPrefix = regexp.MustCompile(`^(\w+://)?([^/:]+:)?(//\w*/)?(\w*/)*`)

// cacheName is the folder that Bundler looks for in its cache: swagger-ui_rails-7234e21e621b. Letters of the revision
// are as locked.
func cacheName(remote, revision string) string {
	name := strings.TrimRight(remote[len(bundlerPrefix.FindString(remote)):], "/")
	name = name[strings.LastIndexByte(name, '/')+1:]
	return strings.TrimSuffix(name, ".git") + "-" + revision[:12]
}

// layout is everything below deps/.
type layout struct {
	entries map[string]resolver.Entry
}

func newLayout() *layout { return &layout{entries: map[string]resolver.Entry{}} }

// add puts an entry to its place. Two that want one place are the lockfile's trouble.
func (l *layout) add(e resolver.Entry, what string) error {
	if _, taken := l.entries[e.Path]; taken {
		return fault.Client(fault.UnsupportedFeature, "Two dependencies of Gemfile.lock need the same place in the bundle, deps/%s; the second is %s", e.Path, what)
	}
	l.entries[e.Path] = e
	return nil
}

// addGem adds a gem and its link in the cache folder.
func (l *layout) addGem(g *gemFile) error {
	what := "the gem " + g.name + " " + g.version
	if err := l.add(resolver.Entry{Path: g.path(), File: &g.file}, what); err != nil {
		return err
	}
	link := path.Join(cacheFolder, g.fileName())
	if link == g.path() {
		return nil // the gem "cache"
	}
	return l.add(resolver.Entry{Path: link, Link: "../" + g.name + "/" + g.fileName()}, what)
}

// addTree adds a tree and its link in the cache folder. Bundler uses it without git. The file .bundlecache, by which it
// knows trees that it may delete when they are not locked any more, is left out: the tree is the commit's.
func (l *layout) addTree(t gitTree, entries []resolver.Entry) error {
	what := "the git repository " + t.shown + " at " + t.commit
	folder := t.path()
	for _, name := range t.names {
		link := resolver.Entry{Path: path.Join(cacheFolder, name), Link: path.Join("..", strings.TrimPrefix(folder, depsFolder+"/"))}
		if path.Base(path.Dir(l.entries[link.Path].Link)) == path.Base(path.Dir(link.Link)) {
			continue // a fork at the same commit is the same tree
		}
		if err := l.add(link, what); err != nil {
			return err
		}
	}
	for _, e := range entries {
		e.Path = path.Join(folder, e.Path)
		if err := l.add(e, what); err != nil {
			return err
		}
	}
	return nil
}

// sorted gives the entries by path. Nothing lies below a file or link.
func (l *layout) sorted() ([]resolver.Entry, error) {
	if len(l.entries) == 0 {
		return []resolver.Entry{{Path: depsFolder, Dir: true}}, nil
	}
	out := make([]resolver.Entry, 0, len(l.entries))
	for _, e := range l.entries {
		for dir := path.Dir(e.Path); dir != "."; dir = path.Dir(dir) {
			if above, ok := l.entries[dir]; ok && !above.Dir {
				return nil, fault.Client(fault.UnsupportedFeature, "Two dependencies of Gemfile.lock need the same place in the bundle: deps/%s and deps/%s", dir, e.Path)
			}
		}
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b resolver.Entry) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

// cachePath is the cache folder as seen from a package's folder (relative to the repository's root).
func cachePath(dir string) string {
	up := "../"
	if dir != "." {
		up = strings.Repeat("../", strings.Count(dir, "/")+2)
	}
	return fmt.Sprintf("%sdeps/%s", up, cacheFolder)
}
