package api_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/api"
	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver/all"
	"github.com/cachito-serverless/cachito/shared/store"
)

// FuzzOrder sends bodies to POST /requests: whatever comes is stored, or refused as the client's mistake.
func FuzzOrder(f *testing.F) {
	for _, seed := range []string{
		`{"repo": "https://github.com/o/r.git", "ref": "c50b93a32df1c9d700e3e80996845bc2e13be848"}`,
		`{"repo": "", "ref": "c50b93a32df1c9d700e3e80996845bc2e13be848", "pkg_managers": ["npm", "yarn"], "packages": {"npm": [{"path": "a"}], "yarn": []}}`,
		`{"repo": "r", "ref": "c50b93a32df1c9d700e3e80996845bc2e13be848", "pkg_managers": ["pip"], "packages": {"pip": [{"requirements_files": ["a", ".."]}]}}`,
		`{"repo": "r", "ref": "c50b93a32df1c9d700e3e80996845bc2e13be848", "flags": ["cgo-disable"], "dependency_replacements": [{"name": "n", "type": "gomod", "version": "v1"}]}`,
		`{"repo": "r", "ref": "c50b93a32df1c9d700e3e80996845bc2e13be848", "user": "u"}`,
		`{"ref": 1e400, "flags": {"a": [null, true, -0.0]}}`, "\ufeff[]", `{"a": "\ud800"}`, ``, `null`, `{"packages": {"gomod": [{}]}}`,
	} {
		f.Add([]byte(seed))
	}
	accepts := &accepting{}
	handler, err := api.New(settings(), api.Deps{
		Store: accepts, Queue: accepts, Managers: all.List(), Log: slog.New(slog.DiscardHandler),
		Steps: func([]string) []string { return []string{"source"} },
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		accepts.orders, accepts.messages = nil, 0
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/requests", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set(identityHeader, user)
		out := httptest.NewRecorder()
		handler.ServeHTTP(out, r)
		created := 0
		if out.Code == http.StatusCreated {
			created = 1
		} else if out.Code < 400 || out.Code > 499 {
			t.Fatalf("%q: status %d: %s", body, out.Code, out.Body)
		}
		if problems := wellFormed(out.Body.Bytes()); problems != nil {
			t.Fatalf("%q: %v: %s", body, problems, out.Body)
		}
		if len(accepts.orders) != created || accepts.messages != created {
			t.Fatalf("%q: status %d, %d orders stored and %d messages sent", body, out.Code, len(accepts.orders), accepts.messages)
		}
		for _, o := range accepts.orders {
			if len(o.Ref) != 40 || len([]rune(o.Repo)) > 200 || o.User != user && o.SubmittedBy != user {
				t.Fatalf("%q: stored %+v", body, o)
			}
		}
	})
}

// accepting is a store and a queue that take everything: the databases would make fuzzing too slow.
type accepting struct {
	store.Store
	queue.Queue
	orders   []store.New
	messages int
}

func (a *accepting) Close() error { return nil }

func (a *accepting) Create(_ context.Context, n store.New) (request.Request, error) {
	a.orders = append(a.orders, n)
	return request.Request{ID: 1, Repo: n.Repo, Ref: n.Ref, State: request.StateInProgress, PackageManagers: n.PackageManagers, Flags: n.Flags, User: n.User}, nil
}

func (a *accepting) Send(context.Context, queue.Message, time.Duration) error {
	a.messages++
	return nil
}
