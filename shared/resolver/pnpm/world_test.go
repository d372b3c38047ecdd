package pnpm

import (
	"fmt"
	"maps"
	"testing"

	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript/javascripttest"
	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

const (
	npmHost   = javascripttest.NPMHost
	askedHost = javascripttest.AskedHost
	jsrHost   = javascripttest.JSRHost
	commit    = javascripttest.Commit
)

// newWorld serves what a scenario has below registry/, and gives its other files the digests.
func newWorld(t testing.TB, s resolvertest.Scenario) *javascripttest.World {
	t.Helper()
	w := javascripttest.NewWorld(t, s, nil)
	w.Expand(s)
	return w
}

func newResolver(t testing.TB, extra map[string]string) resolver.Resolver {
	t.Helper()
	values := map[string]string{
		"registry":       "https://" + askedHost + "/",
		"registry_hosts": fmt.Sprintf("[%q]", npmHost),
		"jsr_registry":   "https://" + jsrHost + "/",
	}
	maps.Copy(values, extra)
	r, err := New(resolver.Settings{Values: values})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// resolve resolves a scenario.
func resolve(t testing.TB, s resolvertest.Scenario) resolvertest.Result {
	t.Helper()
	w := newWorld(t, s)
	s.Git = w.Git
	return s.Run(t, newResolver(t, s.Request.Settings), w.Fetcher(t))
}

var update = resolvertest.UpdateFlag()

func TestScenarios(t *testing.T) {
	resolvertest.RunFolder(t, "testdata", nil, *update, func(t *testing.T, s resolvertest.Scenario) resolvertest.Result {
		return resolve(t, s)
	})
}
