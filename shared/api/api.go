// Package api serves Cachito's HTTP API: routes, order of checks, texts and forms as existing clients
// know them. Package managers, their options, purls and refusals come in as descriptors; none is named
// here. Long work is the pipeline's: a POST stores a request and sends one message.
//
// Start reading at routes.
package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/store"
)

// Config is what an operator decides about the API (api.md 7).
type Config struct {
	// PackageManagers that are enabled; others the API knows are refused when ordered.
	PackageManagers []string
	// DefaultPackageManagers of a request that names none.
	DefaultPackageManagers []string
	// MutuallyExclusive pairs may not both process the same path.
	MutuallyExclusive [][2]string
	MaxPerPage        int // 0 means 100
	// LogsEnabled switches the logs route and the logs key on.
	LogsEnabled         bool
	UserRepresentatives []string
	WorkerUsernames     []string
	LoginDisabled       bool
	// TrustUser records the user that an anonymous caller names (with LoginDisabled only).
	TrustUser bool
	// IdentityHeader is the header in which a trusted proxy tells who calls; empty: none is trusted.
	IdentityHeader string
	// PublicURL begins every link: scheme, host and prefix; empty: as the client addressed us.
	PublicURL string
	// Download is "stream" (default), "redirect" or "auto" (inline up to InlineBytes).
	Download string
}

// InlineBytes is up to which size Download "auto" answers with the bundle itself: Lambda's answers are
// limited to 6 MB, base64 included.
const InlineBytes = 4 << 20

// Deps are what the API works with.
type Deps struct {
	Store store.Store
	Queue queue.Queue
	Blobs blob.Blob
	// Managers are all package managers the API knows, in the API's order.
	Managers []resolver.Descriptor
	// Steps of a request for these managers; the first one is sent to the queue.
	Steps func(managers []string) []string
	// Expire does what follows from a request's becoming stale (api.md 15).
	Expire func(ctx context.Context, before request.Request) error
	// Health tells what works; nil: only the store is looked at.
	Health func(ctx context.Context) Health
	// Identify tells who calls; nil: Config.IdentityHeader, else a verified client certificate.
	Identify func(r *http.Request) string
	Log      *slog.Logger
	Clock    func() time.Time
}

type server struct {
	Config
	Deps
	rules       packages.Rules
	names       []string // of all managers
	routes      []route
	httpMetrics *httpMetrics
	post        *schema // body of POST /requests
	patch       *schema
	files       *schema
}

// New makes the handler. It refuses a configuration that cannot work, naming the setting.
func New(c Config, d Deps) (http.Handler, error) {
	s := &server{Config: c, Deps: d, rules: packages.Rules{}}
	if s.MaxPerPage <= 0 {
		s.MaxPerPage = 100
	}
	if s.Clock == nil {
		s.Clock = time.Now
	}
	for _, m := range d.Managers {
		s.names = append(s.names, m.Name)
		for _, r := range m.Types {
			s.rules[r.Type] = r
		}
	}
	if len(c.DefaultPackageManagers) == 0 {
		return nil, errors.New(`The configuration "CACHITO_DEFAULT_PACKAGE_MANAGERS" must be set`) //nolint:staticcheck // upstream's text
	}
	for _, list := range [][]string{c.PackageManagers, c.DefaultPackageManagers} {
		for _, name := range list {
			if !slices.Contains(s.names, name) {
				return nil, errors.New("package manager " + name + " is not known")
			}
		}
	}
	s.post, s.patch, s.files = postSchema(d.Managers), patchSchema(), configFilesSchema()
	s.routes = s.table()
	return s.middleware(http.HandlerFunc(s.serve)), nil
}

func (s *server) manager(name string) resolver.Descriptor {
	for _, m := range s.Managers {
		if m.Name == name {
			return m
		}
	}
	return resolver.Descriptor{}
}
