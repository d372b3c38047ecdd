package api_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

// BenchmarkReads asks an API with 10,000 stored requests for what clients ask for most.
func BenchmarkReads(b *testing.B) {
	w := newWorld(b, settings())
	for range 10000 {
		if _, err := w.store.Create(b.Context(), store.New{Repo: repo, Ref: ref, PackageManagers: []string{"gomod"}, Steps: []string{"source", "resolve-gomod", "bundle"}, User: user}); err != nil {
			b.Fatal(err)
		}
	}
	for id := int64(1); id <= 10000; id += 3 {
		if _, err := w.store.Update(b.Context(), id, store.Update{State: request.StateFailed, Reason: "no such commit"}); err != nil {
			b.Fatal(err)
		}
	}
	for _, target := range []string{
		"/api/v1/requests/5000", "/api/v1/requests", "/api/v1/requests?page=900", "/api/v1/requests?state=failed&page=300",
		"/api/v1/requests?per_page=100&verbose=true", "/api/v1/requests/latest?repo_name=release-engineering/retrodep&ref=" + ref,
	} {
		b.Run(target, func(b *testing.B) {
			for b.Loop() {
				r := httptest.NewRequest(http.MethodGet, target, nil)
				out := httptest.NewRecorder()
				w.handler.ServeHTTP(out, r)
				if out.Code != http.StatusOK {
					b.Fatalf("status %d: %s", out.Code, out.Body)
				}
			}
		})
	}
}
