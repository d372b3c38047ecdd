package rubygems

import (
	"context"
	"net/http"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
	"github.com/cachito-serverless/cachito/shared/resolver/rubygems/rubygemstest"
)

var update = resolvertest.UpdateFlag()

// gemHost is where the scenarios' gems are, whatever remote their lockfiles name.
const gemHost = "gems.example"

// TestScenarios. Files of a scenario's registry are gems' (registry/NAME-VERSION/FILE) or git repositories'
// (registry/git/HOST/PATH@COMMIT/FILE).
func TestScenarios(t *testing.T) {
	gem := rubygemstest.Gem{Name: "a", Version: "1.0", Files: map[string]string{"lib/a.rb": "puts 1\n"}}.Build()
	expand := map[string]string{"THE_REF": resolvertest.Ref, "SUM_OF_A": sum256(gem)}
	resolvertest.RunFolder(t, "testdata", expand, *update, func(t *testing.T, s resolvertest.Scenario) resolvertest.Result {
		return runScenario(t, s)
	})
}

func runScenario(t testing.TB, s resolvertest.Scenario) resolvertest.Result {
	t.Helper()
	registry, git := serve(t, s)
	return runWith(t, s, registry, git)
}

func runWith(t testing.TB, s resolvertest.Scenario, registry http.Handler, git resolver.Repositories) resolvertest.Result {
	t.Helper()
	s.Git = git
	return s.Run(t, newResolver(t), resolvertest.NewFetcher(t, map[string]http.Handler{gemHost: registry}))
}

func newResolver(t testing.TB) resolver.Resolver {
	t.Helper()
	r, err := New(resolver.Settings{Values: map[string]string{"url": "https://" + gemHost + "/", "remote": "https://rubygems.org/"}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var gemFolder = regexp.MustCompile(`^(.+?)-([0-9][0-9A-Za-z.]*)(?:-(.+))?$`)

// serve makes gems and repositories of the scenario's registry files.
func serve(t testing.TB, s resolvertest.Scenario) (*rubygemstest.Registry, gitHost) {
	t.Helper()
	gems, git := map[string]rubygemstest.Gem{}, gitHost{}
	for name, content := range s.Registry {
		if rest, ok := strings.CutPrefix(name, "git/"); ok {
			repo, file, _ := strings.Cut(rest, "@")
			commit, file, _ := strings.Cut(file, "/")
			key := "https://" + repo + "@" + commit
			if git[key] == nil {
				git[key] = map[string]string{}
			}
			git[key][file] = string(content)
			continue
		}
		folder, file, _ := strings.Cut(name, "/")
		m := gemFolder.FindStringSubmatch(folder)
		if m == nil {
			t.Fatalf("registry/%s is no gem", name)
		}
		g, ok := gems[folder]
		if !ok {
			g = rubygemstest.Gem{Name: m[1], Version: m[2], Platform: m[3], Files: map[string]string{}}
		}
		g.Files[file] = string(content)
		gems[folder] = g
	}
	registry := rubygemstest.NewRegistry()
	for _, g := range gems {
		registry.Set(g.FileName(), g.Build())
	}
	return registry, git
}

// gitHost is a git host made of maps: "URL@commit" -> file -> content. A content that begins with "-> " is a link's
// target; files below "submodule/" are those of a submodule.
type gitHost map[string]map[string]string

func (gitHost) Resolve(context.Context, string, string) (string, error) {
	return "", fault.Server(fault.RepositoryAccessError, "no ref is ever asked for")
}

func (h gitHost) CheckOut(_ context.Context, url, commit string, into *os.Root, options ...resolver.CheckOutOption) (resolver.Checkout, error) {
	files, ok := h[url+"@"+commit]
	if !ok {
		return resolver.Checkout{}, fault.Client(fault.RepositoryAccessError, "Failed cloning the Git repository")
	}
	for name, content := range files {
		if strings.HasPrefix(name, "submodule/") && len(options) == 0 {
			if err := into.MkdirAll("submodule", 0o755); err != nil {
				return resolver.Checkout{}, err
			}
			continue
		}
		if err := into.MkdirAll(path.Dir(name), 0o755); err != nil {
			return resolver.Checkout{}, err
		}
		var err error
		switch target, isLink := strings.CutPrefix(content, "-> "); {
		case isLink:
			err = into.Symlink(strings.TrimSpace(target), name)
		case strings.HasPrefix(content, "#!"):
			err = into.WriteFile(name, []byte(content), 0o755)
		default:
			err = into.WriteFile(name, []byte(content), 0o644)
		}
		if err != nil {
			return resolver.Checkout{}, err
		}
	}
	return resolver.Checkout{CommitTime: resolvertest.CommitTime}, nil
}
