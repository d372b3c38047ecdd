// Package pipeline runs a request from its acceptance to its bundle: the steps source, resolve (one
// per package manager, side by side) and bundle, and the reaper that heals what a crash left behind.
//
// Every step can run twice, side by side with itself, or die at any instruction:
//   - it first looks whether its output exists (the key is a hash of its input) and then skips the
//     work, but still records that it is done and sends its successors;
//   - outputs are written whole and published under their name by a conditional put;
//   - a state changes only from the state it was read in;
//   - a message is acknowledged only after the successors were sent.
//
// The package knows neither Lambda nor a package manager by name. Start reading at Handle.
package pipeline

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/fetch"
	"github.com/cachito-serverless/cachito/shared/gitrepo"
	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/store"
	"github.com/cachito-serverless/cachito/shared/telemetry"
)

// Names of steps, which are the names of their queues as well.
const (
	StepSource    = "source"
	StepBundle    = "bundle"
	resolvePrefix = "resolve-"
)

// Timing of the steps.
const (
	// Visibility is how long a message stays invisible between two heartbeats of its worker.
	Visibility = 2 * time.Minute
	// HeartbeatEvery is how often a running step extends its message and lease and looks
	// whether its request is still wanted.
	HeartbeatEvery = 5 * time.Second
	// RepeatPause is how long a message for a step that is running here already is put off.
	RepeatPause = 30 * time.Second
	// RetryPause is the pause before the second try of a step whose fault may pass; it doubles.
	RetryPause = 2 * time.Second
	// RetryPauseMax bounds that pause.
	RetryPauseMax = time.Minute
	// ResendAfter is how much older than its queue's oldest message a lost step must be, unless the
	// settings say otherwise.
	ResendAfter = 15 * time.Minute
	// MaxIdleRuns is how often in a row a step may reach its time limit without getting further before
	// its request fails.
	MaxIdleRuns = 3
	// MaxResends is how often the reaper sends a lost step again before the request fails.
	MaxResends = 3
)

// Settings of a pipeline.
type Settings struct {
	// Resolvers holds the settings of each enabled package manager.
	Resolvers map[string]resolver.Settings
	// Workers is how many steps of one queue run at once; 0 means 2.
	Workers int
	// Lifetime of complete and in_progress requests, and of failed ones, after their last update.
	Lifetime, LifetimeFailed time.Duration
	// RefreshTags takes a new snapshot of a source's version tags instead of the first one.
	RefreshTags bool
	// ReapEvery is how often the embedded reaper runs; 0 means every minute.
	ReapEvery time.Duration
	// ResendAfter is how much older than its queue's oldest message a lost step must be; 0 means the
	// constant of that name.
	ResendAfter time.Duration
	// CacheMaxBytes bounds what is in Blobs; 0 means no limit.
	CacheMaxBytes int64
	// CacheGrace is how long after its last use an object stays, however full the cache is; 0 means an
	// hour. Last uses are renewed four times in it, which costs money on S3.
	CacheGrace time.Duration
	// Local maps a repository's URL to a folder on this machine that stands for it (one-shot fetch
	// of a folder). Never set in a service.
	Local map[string]LocalRepo
}

// LocalRepo is a repository on this machine.
type LocalRepo struct {
	Path string
	// Dirty takes the work tree as it is, with uncommitted changes.
	Dirty bool
}

// Deps are what a pipeline works with.
type Deps struct {
	Store    store.Store
	Queue    queue.Queue
	Blobs    blob.Blob
	Managers []resolver.Descriptor
	Git      *gitrepo.Client
	Fetch    *fetch.Client
	// WorkDir is the parent of scratch folders.
	WorkDir string
	Log     *slog.Logger
	// Metrics and Tracer tell operators what goes on; nil: nobody is told.
	Metrics *telemetry.Metrics
	Tracer  telemetry.Tracer
	Clock   func() time.Time
}

// Pipeline runs steps. Its methods may be called concurrently.
type Pipeline struct {
	Deps
	settings  Settings
	resolvers map[string]manager
	fetcher   *cache
	renewer   renewer
	pruneSize int // pruneSlice
	// placeBytes is the constant of that name.
	placeBytes int64

	mu      sync.Mutex
	running map[stepID]bool
}

type manager struct {
	resolver.Descriptor
	resolver.Resolver
	settings resolver.Settings
}

type stepID struct {
	request int64
	step    string
}

// New makes a pipeline. Every package manager in s.Resolvers must be in d.Managers and resolvable.
func New(s Settings, d Deps) (*Pipeline, error) {
	if d.Clock == nil {
		d.Clock = time.Now
	}
	if d.Log == nil {
		return nil, errors.New("pipeline: no logger")
	}
	if s.Workers <= 0 {
		s.Workers = 2
	}
	if s.ReapEvery <= 0 {
		s.ReapEvery = time.Minute
	}
	if s.ResendAfter <= 0 {
		s.ResendAfter = ResendAfter
	}
	if s.CacheGrace <= 0 {
		s.CacheGrace = pruneGrace
	}
	p := &Pipeline{Deps: d, settings: s, resolvers: map[string]manager{}, running: map[stepID]bool{}, pruneSize: pruneSlice, placeBytes: placeBytes}
	p.renewer = renewer{blobs: d.Blobs, clock: d.Clock, every: s.CacheGrace / renewals}
	if longest := p.longestLifetime(); longest > 0 {
		p.renewer.every = min(p.renewer.every, longest/renewals)
	}
	p.fetcher = newCache(d.Blobs, d.Fetch, d.Metrics, p.renewer)
	for _, desc := range d.Managers {
		rs, ok := s.Resolvers[desc.Name]
		if !ok {
			continue
		}
		if desc.New == nil {
			return nil, fmt.Errorf("package manager %s cannot be enabled: this program has no resolver for it", desc.Name)
		}
		r, err := desc.New(rs)
		if err != nil {
			return nil, fmt.Errorf("package manager %s: %w", desc.Name, err)
		}
		p.resolvers[desc.Name] = manager{Descriptor: desc, Resolver: r, settings: rs}
	}
	for name := range s.Resolvers {
		if _, ok := p.resolvers[name]; !ok {
			return nil, fmt.Errorf("package manager %s is not known", name)
		}
	}
	return p, nil
}

// Steps of a request for these package managers, as they are stored with it.
func Steps(managers []string) []string {
	steps := []string{StepSource}
	for _, m := range managers {
		steps = append(steps, resolvePrefix+m)
	}
	return append(steps, StepBundle)
}

// Queues that the pipeline's workers receive from.
func (p *Pipeline) Queues() []string {
	var names []string
	for _, d := range p.Managers {
		if _, ok := p.resolvers[d.Name]; ok {
			names = append(names, d.Name)
		}
	}
	return Steps(names)
}
