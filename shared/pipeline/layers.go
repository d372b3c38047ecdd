package pipeline

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// layers is what the resolvers of one request add to its bundle, merged: files below deps/, files laid
// over app/, files at the root. Each list is sorted by path and names nothing twice.
type layers struct {
	deps, app, root []resolver.Entry
	env             map[string]request.EnvironmentVariable
}

// mergeLayers puts the outputs together, in the order of the descriptors' rank. Two resolvers that
// want different content in one place are a mistake of ours, not of the request.
func mergeLayers(managers []manager, outputs map[string]resolver.Output) (layers, error) {
	sorted := slices.Clone(managers)
	slices.SortFunc(sorted, func(a, b manager) int { return a.Rank - b.Rank })
	deps, app, root := newLayer("deps"), newLayer("app"), newLayer("")
	env := map[string]request.EnvironmentVariable{}
	for _, m := range sorted {
		out := outputs[m.Name]
		for _, set := range []struct {
			to      *layer
			entries []resolver.Entry
		}{{deps, out.Deps}, {app, out.Overlays}, {root, out.Root}} {
			for _, e := range set.entries {
				if err := set.to.add(m.Name, e); err != nil {
					return layers{}, err
				}
			}
		}
		for _, f := range out.ConfigFiles {
			to, rest := root, f.Path
			if inApp, ok := strings.CutPrefix(f.Path, "app/"); ok {
				to, rest = app, inApp
			} else if inDeps, ok := strings.CutPrefix(f.Path, "deps/"); ok {
				to, rest = deps, inDeps
			}
			if err := to.add(m.Name, resolver.Entry{Path: rest, Inline: f.Content}); err != nil {
				return layers{}, err
			}
		}
		for name, v := range out.EnvironmentVariables {
			env[name] = v
		}
	}
	return layers{deps: deps.sorted(), app: app.sorted(), root: root.sorted(), env: env}, nil
}

type layer struct {
	name    string
	entries map[string]resolver.Entry
	owner   map[string]string
}

func newLayer(name string) *layer {
	return &layer{name: name, entries: map[string]resolver.Entry{}, owner: map[string]string{}}
}

func (l *layer) add(owner string, e resolver.Entry) error {
	if e.Path == "" || path.Clean(e.Path) != e.Path || strings.HasPrefix(e.Path, "/") || e.Path == ".." || strings.HasPrefix(e.Path, "../") {
		return fmt.Errorf("resolver %s put a file at %q", owner, path.Join(l.name, e.Path))
	}
	if have, ok := l.entries[e.Path]; ok {
		if sameEntry(have, e) {
			return nil
		}
		return fault.ServerFinal(fault.CachitoError, "The package managers %s and %s wrote different content to %s",
			l.owner[e.Path], owner, path.Join(l.name, e.Path))
	}
	l.entries[e.Path], l.owner[e.Path] = e, owner
	return nil
}

func sameEntry(a, b resolver.Entry) bool {
	return same(a.File, b.File) && same(a.Part, b.Part) && bytes.Equal(a.Inline, b.Inline) && a.Link == b.Link && a.Dir == b.Dir &&
		a.Deleted == b.Deleted && a.Executable == b.Executable
}

func same[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

func (l *layer) sorted() []resolver.Entry {
	out := make([]resolver.Entry, 0, len(l.entries))
	for _, e := range l.entries {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b resolver.Entry) int { return strings.Compare(a.Path, b.Path) })
	return out
}
