package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cachito-serverless/cachito/shared/blob/dir"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
	"github.com/cachito-serverless/cachito/shared/store/sqlite"
	"github.com/cachito-serverless/cachito/shared/store/sqlite/sqlitetest"
)

const (
	packagesKey = "bundles/bench/packages.json"
	// Dependencies of the complete request, half of them modules and half Go packages.
	dependencies = 300
	// kinds of requests: 1 is complete, 2 in progress; of all, 60 % are complete, 15 failed, 20 stale, 5 in progress.
	kinds = 20
	// managed are the kinds whose package manager is npm.
	managed = 5
)

// seed makes the data folder of a service with n requests, and tells how long that took. Each has four
// variables and five states, as upstream's in docs/benchmark.md.
func seed(ctx context.Context, data string, n int64) (took time.Duration, err error) {
	started := time.Now()
	if err := os.MkdirAll(data, 0o755); err != nil {
		return 0, err
	}
	if err := seedPackages(ctx, filepath.Join(data, "blobs")); err != nil {
		return 0, err
	}
	s, err := sqlite.Open(ctx, filepath.Join(data, "cachito.db"))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for i := range kinds {
		if err := seedKind(ctx, s, i); err != nil {
			return 0, fmt.Errorf("storing request %d: %w", i+1, err)
		}
	}
	if err := sqlitetest.Copy(ctx, s.DB(), n); err != nil {
		return 0, fmt.Errorf("storing %d requests: %w", n, err)
	}
	return time.Since(started), nil
}

func seedPackages(ctx context.Context, folder string) error {
	blobs, err := dir.Open(folder)
	if err != nil {
		return err
	}
	var data packages.Data
	version := "v1.0.0"
	for _, kind := range []string{"go-package", "gomod"} {
		p := packages.Package{Name: "example.org/application", Type: kind, Version: &version}
		for i := range dependencies / 2 {
			v := fmt.Sprintf("v1.%d.0", i)
			p.Dependencies = append(p.Dependencies, packages.Dependency{Name: fmt.Sprintf("example.org/dependency%03d", i), Type: kind, Version: &v})
		}
		data.Packages = append(data.Packages, p)
	}
	var encoded bytes.Buffer
	if err := packages.Encode(&encoded, data); err != nil {
		return err
	}
	return errors.Join(blobs.Put(ctx, packagesKey, encoded.Bytes(), false), blobs.Close())
}

// seedKind stores request i+1 as a service would have.
func seedKind(ctx context.Context, s *sqlite.Store, i int) error {
	manager := "gomod"
	if i%managed == managed-1 {
		manager = "npm"
	}
	steps := []string{"source", "resolve-" + manager, "bundle"}
	req, err := s.Create(ctx, store.New{
		Repo: sqlitetest.RepoURL(int64(i)), Ref: sqlitetest.Ref(int64(i)), PackageManagers: []string{manager}, Steps: steps,
	})
	if err != nil {
		return err
	}
	two, all, key := int64(2), int64(dependencies), packagesKey
	last := store.Update{State: request.StateInProgress, Reason: request.ReasonAggregate}
	switch {
	case i == 1:
		// Nobody works on it, and it is not to be sent again.
		for _, step := range steps {
			if err := s.Lease(ctx, req.ID, step, time.Now().AddDate(1, 0, 0)); err != nil {
				return err
			}
		}
	case i < 13:
		last = store.Update{State: request.StateComplete, Reason: request.ReasonComplete, PackagesCount: &two, DependenciesCount: &all, PackagesKey: &key}
	case i < 16:
		last = store.Update{State: request.StateFailed, Reason: "The go.mod file is missing", ErrorOrigin: "client", ErrorType: "InvalidRepoStructure"}
	default:
		last = store.Update{State: request.StateStale, Reason: request.ReasonExpired}
	}
	for _, change := range []store.Update{
		{State: request.StateInProgress, Reason: request.ReasonSource},
		{State: request.StateInProgress, Reason: `Fetching the ` + manager + ` dependencies at the "." directory`},
		{
			State: request.StateInProgress, Reason: request.ReasonBundle,
			EnvironmentVariables: map[string]request.EnvironmentVariable{
				"GOCACHE": {Value: "deps/gomod", Kind: "path"}, "GOPATH": {Value: "deps/gomod", Kind: "path"},
				"GOMODCACHE": {Value: "deps/gomod/pkg/mod", Kind: "path"}, "GOSUMDB": {Value: "off", Kind: "literal"},
			},
		},
		last,
	} {
		if _, err := s.Update(ctx, req.ID, change); err != nil {
			return err
		}
	}
	return nil
}
