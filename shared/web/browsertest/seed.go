package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/blob/dir"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/requestlog"
	"github.com/cachito-serverless/cachito/shared/store"
	storesqlite "github.com/cachito-serverless/cachito/shared/store/sqlite"
)

// seed writes requests as the pipeline would.
type seed struct {
	store *storesqlite.Store
	blobs *dir.Blob
	now   time.Time // of whatever is written next
}

func openSeed(ctx context.Context, folder string) (*seed, error) {
	if err := os.MkdirAll(filepath.Join(folder, "blobs"), 0o700); err != nil {
		return nil, err
	}
	s := &seed{}
	var err error
	if s.blobs, err = dir.Open(filepath.Join(folder, "blobs")); err != nil {
		return nil, err
	}
	s.store, err = storesqlite.Open(ctx, filepath.Join(folder, "cachito.db"), storesqlite.WithClock(func() time.Time { return s.now }))
	return s, err
}

func (s *seed) close() error { return errors.Join(s.store.Close(), s.blobs.Close()) }

// told is what a made-up request is to be.
type told struct {
	repo         string
	ago, took    time.Duration
	managers     []string
	flags        []string
	user         string
	packages     []packages.Package
	variables    map[string]request.EnvironmentVariable
	files        map[string]string
	failed       string // the reason
	stale        bool
	log          []string
	replacements []request.Replacement
	options      map[string]json.RawMessage
}

// steps of a request, as the pipeline names them.
func steps(managers []string) []string {
	names := []string{"source"}
	for _, m := range managers {
		names = append(names, "resolve-"+m)
	}
	return append(names, "bundle")
}

// create stores a request that is in progress.
func (s *seed) create(ctx context.Context, t told) (request.Request, error) {
	s.now = time.Now().Add(-t.ago)
	sum := sha256.Sum256([]byte(t.repo))
	return s.store.Create(ctx, store.New{
		Repo: t.repo, Ref: hex.EncodeToString(sum[:20]), PackageManagers: t.managers, Flags: t.flags, User: t.user,
		Packages: t.options, Replacements: t.replacements, Steps: steps(t.managers),
	})
}

// add stores a request and brings it to its end.
func (s *seed) add(ctx context.Context, t told) (int64, error) {
	req, err := s.create(ctx, t)
	if err != nil {
		return 0, fmt.Errorf("request for %s: %w", t.repo, err)
	}
	reasons := []string{request.ReasonSource}
	for _, m := range t.managers {
		reasons = append(reasons, "Fetching the "+m+` dependencies at the "." directory`)
	}
	if t.failed == "" {
		reasons = append(reasons, request.ReasonBundle, request.ReasonAggregate)
	}
	for _, reason := range reasons {
		s.now = s.now.Add(t.took / time.Duration(len(reasons)+1))
		if _, err := s.store.Update(ctx, req.ID, store.Update{State: request.StateInProgress, Reason: reason}); err != nil {
			return 0, err
		}
		t.log = append(t.log, reason)
	}
	if err := s.log(ctx, req.ID, t.log...); err != nil {
		return 0, err
	}
	if err := s.addFiles(ctx, req.ID, t.files); err != nil {
		return 0, err
	}
	s.now = s.now.Add(t.took / time.Duration(len(reasons)+1))
	end := store.Update{State: request.StateComplete, Reason: request.ReasonComplete, EnvironmentVariables: t.variables}
	if t.failed != "" {
		end = store.Update{State: request.StateFailed, Reason: t.failed, ErrorOrigin: "client", ErrorType: "InvalidChecksum"}
	} else if err := s.results(ctx, req, t, &end); err != nil {
		return 0, err
	}
	if _, err := s.store.Update(ctx, req.ID, end); err != nil {
		return 0, err
	}
	if t.stale {
		s.now = s.now.Add(time.Hour)
		if _, err := s.store.Update(ctx, req.ID, store.Update{State: request.StateStale, Reason: request.ReasonExpired, DropBundle: true}); err != nil {
			return 0, err
		}
	}
	return req.ID, nil
}

// results are a complete request's bundle and packages data.
func (s *seed) results(ctx context.Context, req request.Request, t told, end *store.Update) error {
	var data bytes.Buffer
	all := packages.Data{Packages: t.packages}
	all.Sort()
	if err := packages.Encode(&data, all); err != nil {
		return err
	}
	key := fmt.Sprintf("packages/%d", req.ID)
	if err := s.blobs.Put(ctx, key, data.Bytes(), true); err != nil {
		return err
	}
	bundle := bytes.Repeat([]byte("not really a bundle "), 50_000+int(req.ID))
	sum := sha256.Sum256(bundle)
	where := request.Bundle{Key: fmt.Sprintf("bundles/%d", req.ID), SHA256: hex.EncodeToString(sum[:]), Size: int64(len(bundle))}
	if err := s.blobs.Put(ctx, where.Key, bundle, true); err != nil {
		return err
	}
	n, m := packages.Counts(all)
	end.PackagesKey, end.Bundle, end.PackagesCount, end.DependenciesCount = &key, &where, &n, &m
	return nil
}

func (s *seed) addFiles(ctx context.Context, id int64, files map[string]string) error {
	for name, content := range files {
		text := base64.StdEncoding.EncodeToString([]byte(content))
		f := request.ConfigFile{Path: name, Key: request.ConfigFileKey(text)}
		if err := s.blobs.Put(ctx, f.Key, []byte(text), false); err != nil && !errors.Is(err, blob.ErrExists) {
			return err
		}
		if err := s.store.AddConfigFiles(ctx, id, []request.ConfigFile{f}); err != nil {
			return err
		}
	}
	return nil
}

// log adds lines to a request's log.
func (s *seed) log(ctx context.Context, id int64, lines ...string) error {
	w := requestlog.New(s.blobs, id, func() time.Time { return s.now })
	for _, line := range lines {
		w.Logger().InfoContext(ctx, line) //nolint:sloglint // what repositories say
	}
	return w.Close(ctx)
}
