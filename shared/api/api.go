// Package api serves Cachito's HTTP API: routes, order of checks, texts and forms as existing clients
// know them. Package managers, their options, purls and refusals come in as descriptors; none is named
// here. Long work is the pipeline's: a POST stores a request and sends one message.
//
// Start reading at routes.
package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/store"
	"github.com/cachito-serverless/cachito/shared/telemetry"
	"github.com/cachito-serverless/cachito/shared/web"
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
	// TrustedProxies are the networks from which IdentityHeader and X-Forwarded-* count; empty: they count from
	// everybody who can reach the service.
	TrustedProxies []netip.Prefix
	// PublicURL begins every link: scheme, host and prefix; empty: as the client addressed us.
	PublicURL string
	// TrustForwarded builds links from X-Forwarded-Proto, -Host and -Prefix, which a proxy sets; only
	// without PublicURL.
	TrustForwarded bool
	// Download is DownloadStream (the default), DownloadRedirect or DownloadAuto.
	Download string
	// MaxAnswerBytes is what the transport takes of one answer (LambdaAnswerBytes): larger ones are stored,
	// and the client is redirected. 0: there is no limit.
	MaxAnswerBytes int64
	// LargeAnswers is how many answers made of more than largeDataBytes of packages data are made at
	// once, each in up to three times as much memory; 0 means 2. Clients wait for LargeAnswerWait (0 means
	// 10 s), then they are asked to come again.
	LargeAnswers    int
	LargeAnswerWait time.Duration
	// Version of the program, for the documents that name it.
	Version string
}

// How downloads are answered, where the storage has URLs of its own.
const (
	DownloadStream   = "stream"
	DownloadRedirect = "redirect"
	DownloadAuto     = "auto" // the bundle itself up to InlineBytes, else a redirect
)

// InlineBytes is up to which size Download "auto" answers with the bundle itself: Lambda's answers are
// limited to 6 MB, base64 included.
const InlineBytes = 4 << 20

// Deps are what the API works with.
type Deps struct {
	Store store.Store
	Queue queue.Queue
	Blobs blob.Blob
	// Managers are all package managers, in the API's order. Orders cannot name those with OptIn unless
	// they are enabled: to Cachito's clients they do not exist.
	Managers []resolver.Descriptor
	// Steps of a request for these managers; the first one is sent to the queue.
	Steps func(managers []string) []string
	// Accept stores a request and sends the message of its first step, both or neither, where store and queue
	// can do that together; nil: one after the other.
	Accept func(ctx context.Context, n store.New, step string) (request.Request, error)
	// Expire does what follows from a request's becoming stale (api.md 15).
	Expire func(ctx context.Context, before request.Request) error
	// Health tells what works; nil: store, queue and storage are asked, and the workers are in this
	// process.
	Health func(ctx context.Context) Health
	// Identify tells who calls, instead of Config.IdentityHeader and client certificates: a gateway's word.
	Identify func(r *http.Request) string
	// Negotiator judges Kerberos tickets; nil: they are neither asked for nor looked at.
	Negotiator Negotiator
	// Metrics and Tracer tell operators what goes on; nil: nobody is told.
	Metrics *telemetry.Metrics
	Tracer  telemetry.Tracer
	Log     *slog.Logger
	Clock   func() time.Time
}

type server struct {
	Config
	Deps
	rules       packages.Rules
	names       []string // of all managers
	orders      request.Rules
	routes      []route
	httpMetrics *httpMetrics
	texts       texts
	description description
	pages       *web.Pages
	origins     *http.CrossOriginProtection
	answers     largeAnswers
}

// New makes the handler. It refuses a configuration that cannot work, naming the setting.
func New(c Config, d Deps) (http.Handler, error) {
	s := &server{Config: c, Deps: d, rules: packages.Rules{}, httpMetrics: newHTTPMetrics(), answers: newLargeAnswers(c)}
	s.orders = request.Rules{Enabled: c.PackageManagers, Defaults: c.DefaultPackageManagers, Exclusive: c.MutuallyExclusive}
	if s.MaxPerPage <= 0 {
		s.MaxPerPage = 100
	}
	if s.Clock == nil {
		s.Clock = time.Now
	}
	var heardOf []resolver.Descriptor
	for _, m := range d.Managers {
		for _, r := range m.Types {
			s.rules[r.Type] = r // requests of a manager that was enabled once are still shown
		}
		if m.OptIn && !slices.Contains(c.PackageManagers, m.Name) {
			continue
		}
		heardOf = append(heardOf, m)
		s.names = append(s.names, m.Name)
		s.orders.Managers = append(s.orders.Managers, orderRule(m))
	}
	switch c.Download {
	case "", DownloadStream, DownloadRedirect, DownloadAuto:
	default:
		return nil, fmt.Errorf("download mode %q is not known", c.Download)
	}
	if len(c.DefaultPackageManagers) == 0 {
		return nil, errors.New(`The configuration "CACHITO_DEFAULT_PACKAGE_MANAGERS" must be set`)
	}
	for _, list := range [][]string{c.PackageManagers, c.DefaultPackageManagers} {
		for _, name := range list {
			if !slices.Contains(s.names, name) {
				return nil, fmt.Errorf("package manager %q is not known; there are %s", name, strings.Join(s.names, ", "))
			}
		}
	}
	var err error
	if s.origins, err = trustedOrigins(c.PublicURL); err != nil {
		return nil, err
	}
	s.pages, err = web.New(web.Deps{
		Store: d.Store, Blobs: d.Blobs, API: s, Base: s.baseFor, Managers: heardOf,
		Enabled: c.PackageManagers, Defaults: c.DefaultPackageManagers, Steps: d.Steps,
		LogsEnabled: c.LogsEnabled, Log: d.Log, Clock: s.Clock,
	})
	if err != nil {
		return nil, err
	}
	s.routes = s.table()
	if s.description, err = describe(s.orders); err != nil {
		return nil, err
	}
	return s, nil
}

// orderRule is what an order may say about a package manager.
func orderRule(d resolver.Descriptor) request.Manager {
	m := request.Manager{Name: d.Name, Flags: d.Flags, WholeTree: d.NeedsSubmodules, RefusesReplacements: d.RefusesReplacements}
	for _, o := range d.Options {
		m.Options = append(m.Options, request.Option(o))
	}
	return m
}
