package berry

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript/javascripttest"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

const (
	commit = javascripttest.Commit
	yarnJS = "console.log('yarn')\n"
)

// newWorld serves what a scenario has below registry/. In the scenario's other files ZIP(<cache key>,<file>) is the
// checksum of Yarn's zip of a tarball, by the last part of its path, SHA512(<file>) that of the file itself, and
// YARNJS that of Yarn in a tarball of cli-dist.
func newWorld(t testing.TB, s resolvertest.Scenario) *javascripttest.World {
	t.Helper()
	w := javascripttest.NewWorld(t, s, map[string][]string{releasePackage: {releaseMember, yarnJS}})
	yarn := sha512.Sum512([]byte(yarnJS))
	pairs := []string{"YARNJS", hex.EncodeToString(yarn[:])}
	for url, name := range w.Names {
		file := path.Base(url)
		sum := sha512.Sum512(w.Files[url])
		pairs = append(pairs, "SHA512("+file+")", hex.EncodeToString(sum[:]))
		for _, key := range []string{"7", "8", "10", "10c0"} {
			form, ok := parseForm(key)
			if !ok {
				t.Fatalf("the cache key %s has no form", key)
			}
			digest, err := newZipper(nil).sum(t.Context(), bytes.NewReader(w.Files[url]), int64(len(w.Files[url])), name, form)
			if err != nil {
				t.Fatal(err)
			}
			pairs = append(pairs, "ZIP("+key+","+file+")", digest)
		}
	}
	w.Expand(s, pairs...)
	return w
}

// alone is the resolver of requests that have nothing but projects of Yarn 2 and newer.
type alone struct{ entries int }

func (a alone) Resolve(ctx context.Context, in resolver.Input) (resolver.Output, error) {
	in.Fetcher = javascript.WordFaults(in.Fetcher)
	p := New(Settings{Registry: javascript.Registry{Base: "https://" + javascripttest.AskedHost + "/", Hosts: []string{javascripttest.NPMHost}}, JSR: "https://" + javascripttest.JSRHost + "/", Sums: &Sums{}}, in, &a.entries)
	projects, err := javascript.Open(ctx, packageType, in.Options, p.Open, func(p *Project) packages.Package { return p.Package })
	if err != nil {
		return resolver.Output{}, err
	}
	for _, project := range projects {
		if err := p.Fetch(ctx, project); err != nil {
			return resolver.Output{}, err
		}
	}
	out, err := p.Output(ctx, false)
	for _, project := range projects {
		out.Packages = append(out.Packages, project.Package)
	}
	return out, err
}

// resolve resolves a scenario.
func resolve(t testing.TB, s resolvertest.Scenario) resolvertest.Result {
	t.Helper()
	w := newWorld(t, s)
	s.Git = w.Git
	return s.Run(t, alone{1000}, w.Fetcher(t))
}

// check resolves a scenario that is given as text, and compares what it wants.
func check(t *testing.T, text string) resolvertest.Result {
	t.Helper()
	return javascripttest.Check(t, text, resolve)
}

var update = resolvertest.UpdateFlag()

func TestScenarios(t *testing.T) {
	resolvertest.RunFolder(t, "testdata", nil, *update, func(t *testing.T, s resolvertest.Scenario) resolvertest.Result {
		return resolve(t, s)
	})
}

// project is a repository whose package.json has the members, with a lockfile of Yarn 4 with the entries.
func project(members, entries string) string {
	return "-- repo/package.json --\n{\"name\": \"app\", \"version\": \"1.0.0\", " + members + "}\n" +
		"-- repo/.yarnrc.yml --\nyarnPath: .yarn/releases/yarn-4.9.4.cjs\n-- repo/.yarn/releases/yarn-4.9.4.cjs --\n" +
		"-- repo/yarn.lock --\n__metadata:\n  version: 8\n  cacheKey: 10c0\n\n" + entries + root
}

// root is the entry of the project itself.
const root = `
"app@workspace:.":
  version: 0.0.0-use.local
  resolution: "app@workspace:."
  languageName: unknown
  linkType: soft
`

// entryOf is an entry of a lockfile.
func entryOf(key, resolution string, more ...string) string {
	return fmt.Sprintf("%q:\n  version: 1.0.0\n  resolution: %q\n%s  linkType: hard\n\n", key, resolution, strings.Join(append(more, ""), "\n"))
}

// refused is what a case wants that ends in a fault of the client's.
func refused(kind, text string) string {
	return "-- want/error --\nclient " + kind + "\n" + text + "\n"
}

// keys of a map, sorted.
func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
