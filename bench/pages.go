package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cachito-serverless/cachito/shared/client/clienttest"
	"github.com/cachito-serverless/cachito/shared/store/sqlite/sqlitetest"
)

const (
	// longLife keeps the service from expiring what was stored with times of the past.
	longLife = "CACHITO_REQUEST_LIFETIME=3650d"
	// pairs is how often the first and the last page are asked for, in turns.
	pairs = 200
	// maxLastPage is how many times as long as the first page the last one may take.
	maxLastPage = 2.0
)

// pages measures the first and the last page of long lists.
func (b *bench) pages(ctx context.Context) error {
	all := []string{
		"", "state=complete", "repo=" + url.QueryEscape(sqlitetest.RepoURL(7)), "ref=" + sqlitetest.Ref(7), "pkg_manager=gomod",
	}
	if err := b.pagesOf(ctx, 200_000, []string{"", "state=complete"}); err != nil {
		return err
	}
	return b.pagesOf(ctx, 1_000_000, all)
}

func (b *bench) pagesOf(ctx context.Context, n int64, filters []string) (err error) {
	progress("storing %d requests", n)
	data := filepath.Join(b.dir, fmt.Sprintf("pages-%d", n))
	took, err := seed(ctx, data, n)
	if err != nil {
		return err
	}
	b.notes = append(b.notes, fmt.Sprintf("Storing %d requests took %.0f s.", n, took.Seconds()))
	defer func() { err = errors.Join(err, clienttest.RemoveAll(data)) }()
	service, err := clienttest.Start(ctx, b.binary, data, longLife)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, service.Stop()) }()
	client := &http.Client{}
	for _, filter := range filters {
		list := fmt.Sprintf("/requests?per_page=20&%s", filter)
		raw, err := service.Client.JSON(ctx, list)
		if err != nil {
			return err
		}
		var first struct {
			Meta struct{ Pages, Total int }
		}
		if err := json.Unmarshal(raw, &first); err != nil {
			return err
		}
		at := func(page int) asked {
			return asked{url: fmt.Sprintf("%s/api/v1%s&page=%d", service.URL, strings.TrimSuffix(list, "&"), page)}
		}
		begin, end, err := inTurns(ctx, client, at(1), at(first.Meta.Pages))
		if err != nil {
			return err
		}
		ratio := end.Seconds() / begin.Seconds()
		name := "unfiltered"
		if filter != "" {
			name, _, _ = strings.Cut(filter, "=")
		}
		b.add(fmt.Sprintf("last page of %d (%s, %d stored) against the first", first.Meta.Pages, name, n),
			fmt.Sprintf("%.2f times as long (%.2f ms, %.2f ms)", ratio, milliseconds(end), milliseconds(begin)), "<= 2 times", ratio <= maxLastPage)
	}
	return nil
}

// inTurns asks for two things alternately and returns the medians.
func inTurns(ctx context.Context, client *http.Client, a, b asked) (first, second time.Duration, err error) {
	times := [2][]time.Duration{}
	for range pairs {
		for i, call := range []asked{a, b} {
			started := time.Now()
			if err := once(ctx, client, call); err != nil {
				return 0, 0, err
			}
			times[i] = append(times[i], time.Since(started))
		}
	}
	for i := range times {
		slices.Sort(times[i])
	}
	return times[0][pairs/2], times[1][pairs/2], nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
