package pip

import (
	"testing"

	"github.com/cachito-serverless/cachito/shared/resolver/resolvertest"
)

var update = resolvertest.UpdateFlag()

func TestScenarios(t *testing.T) {
	resolvertest.RunFolder(t, "testdata", nil, *update, func(t *testing.T, s resolvertest.Scenario) resolvertest.Result {
		w := newWorld(t, &s)
		return s.Run(t, newResolver(t, s.Request.Settings), w.fetcher(t))
	})
}
