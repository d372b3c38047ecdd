package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cachito-serverless/cachito/shared/client/clienttest"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
	"github.com/cachito-serverless/cachito/shared/store/sqlite"
)

const (
	storedRequests = 10_000
	apiCalls       = 400
	maxAPIMedian   = 5 * time.Millisecond
)

// api measures reading with many requests stored.
func (b *bench) api(ctx context.Context) (err error) {
	progress("storing %d requests", storedRequests)
	data := filepath.Join(b.dir, "api-data")
	if err := os.MkdirAll(data, 0o755); err != nil {
		return err
	}
	if err := fill(ctx, filepath.Join(data, "cachito.db")); err != nil {
		return fmt.Errorf("filling the store: %w", err)
	}
	service, err := clienttest.Start(ctx, b.binary, data, "CACHITO_REQUEST_LIFETIME=365d")
	if err != nil {
		return err
	}
	defer func() {
		if stopErr := service.Stop(); err == nil {
			err = stopErr
		}
	}()
	for _, route := range []struct {
		name string
		path func(i int) string
	}{
		{"GET one request", func(i int) string { return fmt.Sprintf("/requests/%d", 1+i*7919%storedRequests) }},
		{"GET a list page", func(i int) string { return fmt.Sprintf("/requests?page=%d", 1+i*31%(storedRequests/10)) }},
		{"GET a list page, one state", func(i int) string {
			return fmt.Sprintf("/requests?state=complete&page=%d", 1+i*31%(storedRequests/10))
		}},
	} {
		times := make([]time.Duration, 0, apiCalls)
		for i := range apiCalls {
			started := time.Now()
			if _, err := service.Client.JSON(ctx, route.path(i)); err != nil {
				return err
			}
			times = append(times, time.Since(started))
		}
		slices.Sort(times)
		median := times[len(times)/2]
		b.add(fmt.Sprintf("%s, %d stored", route.name, storedRequests),
			fmt.Sprintf("%.2f ms at the median, %.2f ms at 95 %%", milliseconds(median), milliseconds(times[len(times)*95/100])),
			"< 5 ms", median < maxAPIMedian)
	}
	return nil
}

// fill stores complete requests as a service would have.
func fill(ctx context.Context, file string) (err error) {
	s, err := sqlite.Open(ctx, file)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := s.Close(); err == nil {
			err = closeErr
		}
	}()
	for i := range storedRequests {
		req, err := s.Create(ctx, store.New{
			Repo: fmt.Sprintf("https://git.example/team/project%d.git", i%100), Ref: fmt.Sprintf("%040x", i),
			PackageManagers: []string{"gomod"}, Packages: map[string]json.RawMessage{"gomod": json.RawMessage(`[{"path": "."}]`)},
			Steps: []string{"source", "resolve-gomod", "bundle"},
		})
		if err != nil {
			return err
		}
		for _, change := range []store.Update{
			{State: request.StateInProgress, Reason: request.ReasonSource},
			{State: request.StateInProgress, Reason: request.ReasonBundle},
			{State: request.StateComplete, Reason: request.ReasonComplete},
		} {
			if _, err := s.Update(ctx, req.ID, change); err != nil {
				return err
			}
		}
	}
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
