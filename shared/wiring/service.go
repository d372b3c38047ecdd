// Package wiring puts the product together: what both homes, the one binary with everything embedded and the
// functions on AWS, make of their adapters and of the configuration. Package managers are handed in by main.
//
// It decides nothing: each setting goes to the package that it is for.
package wiring

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/config"
	"github.com/cachito-serverless/cachito/shared/fetch"
	"github.com/cachito-serverless/cachito/shared/gitrepo"
	"github.com/cachito-serverless/cachito/shared/pipeline"
	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/store"
	"github.com/cachito-serverless/cachito/shared/telemetry"
)

// version is set by the linker (-X .../shared/wiring.version=v1.2.3); else the build's own information counts.
var version string

// Version is what the program calls itself.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok && version == "" {
		return info.Main.Version
	}
	return version
}

// Adapters are the three ports, as one of the homes has them.
type Adapters struct {
	Store store.Store
	Queue queue.Queue
	Blobs blob.Blob
	// Accept is api.Deps.Accept, where store and queue can do both in one transaction; else nil.
	Accept func(ctx context.Context, n store.New, step string) (request.Request, error)
	// CheckBlobs tells whether the storage can be written to.
	CheckBlobs func(ctx context.Context) error
	// Telemetry is who is told what goes on; zero: nobody.
	Telemetry Telemetry
}

// Places are folders of this machine.
type Places struct {
	Git string // cache of git packs
	// GitMaxBytes is what Git may hold; 0: CACHITO_CACHE_MAX_BYTES.
	GitMaxBytes int64
	Tools       string // toolchains; CACHITO_TOOL_DIR wins
	Work        string // parent of scratch folders
}

// SettingError is a combination of settings that cannot be carried out; its text begins with their names.
type SettingError struct{ text string }

func (e *SettingError) Error() string { return e.text }

func settingf(format string, args ...any) error {
	return &SettingError{fmt.Sprintf(format, args...)}
}

// Fetch is the client for everything that is downloaded, counted in m.
func Fetch(cfg config.Config, m *telemetry.Metrics) (*fetch.Client, error) {
	credentials, err := fetch.LoadCredentials(cfg.Netrc, cfg.BearerTokens)
	if err != nil {
		return nil, settingf("CACHITO_NETRC, CACHITO_BEARER_TOKENS: %v", err)
	}
	s := fetch.Settings{
		Credentials: credentials, AllowHosts: cfg.AllowHosts, CACertFile: cfg.CACert,
		MaxConcurrent: cfg.MaxDownloads, PerHost: cfg.MaxDownloadsPerHost,
		HTTPSProxy: cfg.HTTPSProxy, HTTPProxy: cfg.HTTPProxy, NoProxy: cfg.NoProxy,
		Metrics: m,
	}
	for _, m := range cfg.Mirrors {
		s.Mirrors = append(s.Mirrors, fetch.Mirror(m))
	}
	client, err := fetch.New(s)
	if err != nil {
		return nil, settingf("network settings: %v", err)
	}
	return client, nil
}

// Pipeline makes the steps' handlers: of every enabled one of the package managers that are known. local maps
// repository URLs to folders on this machine; nil in a service.
func Pipeline(cfg config.Config, known []resolver.Descriptor, a Adapters, at Places, local map[string]pipeline.LocalRepo, log *slog.Logger) (*pipeline.Pipeline, error) {
	network, err := Fetch(cfg, a.Telemetry.Metrics)
	if err != nil {
		return nil, err
	}
	git, err := gitrepo.New(gitrepo.Settings{
		Fetch: network, CacheDir: at.Git, CacheMaxBytes: cmp.Or(at.GitMaxBytes, cfg.CacheMaxBytes),
		SSHKeyFile: cfg.SSHKey, KnownHostsFile: cfg.KnownHosts,
		MaxBytes: cfg.SourceMaxBytes, MaxTreeBytes: cfg.SourceMaxTreeBytes, MaxEntries: cfg.SourceMaxEntries, Timeout: cfg.SourceTimeout,
	})
	if err != nil {
		return nil, err
	}
	enabled, err := Enabled(cfg, known)
	if err != nil {
		return nil, err
	}
	settings, err := resolverSettings(cfg, enabled, at.Tools)
	if err != nil {
		return nil, err
	}
	return pipeline.New(pipeline.Settings{
		Resolvers: settings, Workers: cfg.Workers,
		Lifetime: cfg.Lifetime, LifetimeFailed: cfg.LifetimeFailed, ResendAfter: cfg.ResendAfter,
		RefreshTags: cfg.TagsRefresh, CacheMaxBytes: cfg.CacheMaxBytes, CacheGrace: cfg.CacheGrace, Local: local,
	}, pipeline.Deps{
		Store: a.Store, Queue: a.Queue, Blobs: a.Blobs, Managers: known,
		Git: git, Fetch: network, WorkDir: at.Work, Log: log, Metrics: a.Telemetry.Metrics, Tracer: a.Telemetry.Tracer, Clock: time.Now,
	})
}
