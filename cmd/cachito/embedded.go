package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/cachito-serverless/cachito/shared/api"
	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/blob/dir"
	"github.com/cachito-serverless/cachito/shared/config"
	"github.com/cachito-serverless/cachito/shared/fetch"
	"github.com/cachito-serverless/cachito/shared/gitrepo"
	"github.com/cachito-serverless/cachito/shared/pipeline"
	queuesqlite "github.com/cachito-serverless/cachito/shared/queue/sqlite"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/all"
	storesqlite "github.com/cachito-serverless/cachito/shared/store/sqlite"
)

// places are where the embedded adapters keep things.
type places struct {
	database string // file
	blobs    string
	git      string
	tools    string
	work     string
	lock     string // file; empty: shared with others, nothing is exclusive
}

// servicePlaces is the layout of a service's data folder.
func servicePlaces(data string) places {
	return places{
		database: filepath.Join(data, "cachito.db"),
		blobs:    filepath.Join(data, "blobs"),
		git:      filepath.Join(data, "git"),
		tools:    filepath.Join(data, "toolchains"),
		work:     filepath.Join(data, "work"),
		lock:     filepath.Join(data, "lock"),
	}
}

// home is the product with its embedded adapters: the API's handler and the pipeline behind it.
type home struct {
	handler  http.Handler
	pipeline *pipeline.Pipeline
	git      *gitrepo.Client
	managers []resolver.Descriptor // that are enabled
	closers  []func() error        // run last to first
}

func (h *home) close() error {
	var errs []error
	for i := len(h.closers) - 1; i >= 0; i-- {
		errs = append(errs, h.closers[i]())
	}
	return errors.Join(errs...)
}

// openService opens the home of a service, which has its data folder for itself.
func openService(cfg config.Config, log *slog.Logger) (*home, error) {
	return openHome(cfg, servicePlaces(cfg.DataDir), nil, log)
}

// openHome wires everything. local maps repository URLs to folders on this machine (fetch).
func openHome(cfg config.Config, at places, local map[string]pipeline.LocalRepo, log *slog.Logger) (_ *home, err error) {
	h := &home{}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	ctx := context.Background()
	for _, d := range []string{filepath.Dir(at.database), at.blobs, at.git, at.work} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("making the data folders: %w", err)
		}
	}
	if at.lock != "" {
		unlock, err := dir.Lock(at.lock)
		if err != nil {
			return nil, fmt.Errorf("CACHITO_DATA_DIR: %w", err)
		}
		h.closers = append(h.closers, func() error { unlock(); return nil })
	}
	store, err := storesqlite.Open(ctx, at.database)
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	h.closers = append(h.closers, store.Close)
	queue, err := queuesqlite.New(ctx, store.DB(), time.Now)
	if err != nil {
		return nil, fmt.Errorf("opening the queue: %w", err)
	}
	h.closers = append(h.closers, queue.Close)
	blobs, err := dir.Open(at.blobs)
	if err != nil {
		return nil, fmt.Errorf("opening the storage: %w", err)
	}
	h.closers = append(h.closers, blobs.Close)
	if at.lock != "" { // nobody else writes here: what a killed process began can go
		if err := blobs.RemoveAbandoned(); err != nil {
			return nil, fmt.Errorf("clearing the storage: %w", err)
		}
	}
	network, err := newFetch(cfg)
	if err != nil {
		return nil, err
	}
	h.git, err = gitrepo.New(gitrepo.Settings{
		Fetch: network, CacheDir: at.git, CacheMaxBytes: cfg.CacheMaxBytes,
		SSHKeyFile: cfg.SSHKey, KnownHostsFile: cfg.KnownHosts,
		MaxBytes: cfg.SourceMaxBytes, MaxTreeBytes: cfg.SourceMaxTreeBytes, MaxEntries: cfg.SourceMaxEntries, Timeout: cfg.SourceTimeout,
	})
	if err != nil {
		return nil, err
	}
	if cfg.ToolDir != "" {
		at.tools = cfg.ToolDir
	}
	known := all.List()
	enabled, err := resolver.Enabled(known, cfg.PackageManagers)
	if err != nil {
		return nil, usagef("CACHITO_PACKAGE_MANAGERS: %v", err)
	}
	settings, err := resolverSettings(cfg, enabled, at.tools)
	if err != nil {
		return nil, err
	}
	h.managers = enabled
	h.pipeline, err = pipeline.New(pipeline.Settings{
		Resolvers: settings, Workers: cfg.Workers,
		Lifetime: cfg.Lifetime, LifetimeFailed: cfg.LifetimeFailed,
		RefreshTags: cfg.TagsRefresh, CacheMaxBytes: cfg.CacheMaxBytes, Local: local,
	}, pipeline.Deps{
		Store: store, Queue: queue, Blobs: blobs, Managers: known,
		Git: h.git, Fetch: network, WorkDir: at.work, Log: log, Clock: time.Now,
	})
	if err != nil {
		return nil, err
	}
	negotiator, err := newNegotiator(cfg)
	if err != nil {
		return nil, err
	}
	h.handler, err = newAPI(cfg, enabled, known, api.Deps{Store: store, Queue: queue, Accept: acceptor(store, queue), Blobs: blob.Blob(blobs), Log: log, Expire: h.pipeline.Expire, Health: health(store, queue, blobs), Negotiator: negotiator})
	return h, err
}

func newFetch(cfg config.Config) (*fetch.Client, error) {
	credentials, err := fetch.LoadCredentials(cfg.Netrc, cfg.BearerTokens)
	if err != nil {
		return nil, usagef("CACHITO_NETRC, CACHITO_BEARER_TOKENS: %v", err)
	}
	s := fetch.Settings{
		Credentials: credentials, AllowHosts: cfg.AllowHosts, CACertFile: cfg.CACert,
		MaxConcurrent: cfg.MaxDownloads, PerHost: cfg.MaxDownloadsPerHost,
		HTTPSProxy: cfg.HTTPSProxy, HTTPProxy: cfg.HTTPProxy, NoProxy: cfg.NoProxy,
	}
	for _, m := range cfg.Mirrors {
		s.Mirrors = append(s.Mirrors, fetch.Mirror(m))
	}
	client, err := fetch.New(s)
	if err != nil {
		return nil, usagef("network settings: %v", err)
	}
	return client, nil
}

// resolverSettings hands every package manager the settings that it declares.
func resolverSettings(cfg config.Config, enabled []resolver.Descriptor, toolDir string) (map[string]resolver.Settings, error) {
	tools, err := filepath.Abs(toolDir)
	if err != nil {
		return nil, fmt.Errorf("CACHITO_TOOL_DIR: %w", err)
	}
	settings := map[string]resolver.Settings{}
	for _, d := range enabled {
		environment := map[string]request.EnvironmentVariable{}
		for name, v := range cfg.DefaultEnvironment[d.Name] {
			environment[name] = request.EnvironmentVariable(v)
		}
		settings[d.Name] = resolver.Settings{Values: cfg.Managers[d.Name], Environment: environment, Local: resolver.LocalSettings{ToolDir: tools}}
	}
	return settings, nil
}

func newAPI(cfg config.Config, enabled, known []resolver.Descriptor, deps api.Deps) (http.Handler, error) {
	deps.Managers, deps.Steps, deps.Clock = known, pipeline.Steps, time.Now
	names := make([]string, 0, len(enabled))
	for _, d := range enabled {
		names = append(names, d.Name)
	}
	return api.New(api.Config{
		PackageManagers: names, DefaultPackageManagers: cfg.DefaultPackageManagers, MutuallyExclusive: cfg.MutuallyExclusive,
		MaxPerPage: cfg.MaxPerPage, LogsEnabled: cfg.LogsEnabled,
		UserRepresentatives: cfg.UserRepresentatives, WorkerUsernames: cfg.WorkerUsernames,
		LoginDisabled: cfg.LoginDisabled, TrustUser: cfg.TrustUser, IdentityHeader: cfg.IdentityHeader, TrustedProxies: cfg.TrustedProxies,
		PublicURL: cfg.PublicURL, TrustForwarded: cfg.TrustForwarded, Download: cfg.Download,
		LargeAnswers: cfg.LargeAnswers, Version: programVersion(),
	}, deps)
}
