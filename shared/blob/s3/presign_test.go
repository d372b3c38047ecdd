package s3

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/awsclient/awsclienttest"
)

func TestPresignGet(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			b := s.open(t, nil)
			const key = "bundles/a b+c/é.tar.gz"
			if err := b.Put(t.Context(), key, []byte("content"), true); err != nil {
				t.Fatal(err)
			}
			address, err := b.PresignGet(t.Context(), key, time.Minute, map[string]string{
				"response-content-type": "application/gzip", "Content-Disposition": "attachment; filename=cachito-1.tar.gz",
			})
			if err != nil {
				t.Fatal(err)
			}
			res, body := fetch(t, address)
			if res.StatusCode != http.StatusOK || body != "content" {
				t.Errorf("got %d, %q", res.StatusCode, body)
			}
			if got := res.Header.Get("Content-Type"); got != "application/gzip" {
				t.Errorf("Content-Type: got %q", got)
			}
			if got := res.Header.Get("Content-Disposition"); got != "attachment; filename=cachito-1.tar.gz" {
				t.Errorf("Content-Disposition: got %q", got)
			}
			if s.name != versitygw.name {
				return // the only one that checks signatures
			}
			res, _ = fetch(t, strings.Replace(address, "cachito-1", "cachito-2", 1))
			if res.StatusCode != http.StatusForbidden {
				t.Errorf("a changed URL: got %d, want 403", res.StatusCode)
			}
			address, err = b.PresignGet(t.Context(), key, time.Second, nil)
			if err != nil {
				t.Fatal(err)
			}
			if res, _ := fetch(t, address); res.StatusCode != http.StatusOK {
				t.Errorf("within its second: got %d", res.StatusCode)
			}
			time.Sleep(2100 * time.Millisecond) // times have whole seconds
			if res, _ := fetch(t, address); res.StatusCode != http.StatusForbidden {
				t.Errorf("an expired URL: got %d, want 403", res.StatusCode)
			}
		})
	}
}

func fetch(t *testing.T, address string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// TestPresignOffline needs no server: signing is arithmetic.
func TestPresignOffline(t *testing.T) {
	cfg := awsclienttest.Config("http://inside.example:9000", "key", "secret", nil)
	b := New(cfg, "bucket", WithPublicEndpoint("https://files.example"))
	address, err := b.PresignGet(t.Context(), "a/b", 90*time.Minute, map[string]string{"Cache-Control": "no-store", "content-encoding": "gzip"})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	for name, c := range map[string]struct{ got, want string }{
		"host": {u.Host, "files.example"}, "path": {u.Path, "/bucket/a/b"}, "life": {q.Get("X-Amz-Expires"), "5400"},
		"signed headers": {q.Get("X-Amz-SignedHeaders"), "host"},
		"cache control":  {q.Get("response-cache-control"), "no-store"}, "encoding": {q.Get("response-content-encoding"), "gzip"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", name, c.got, c.want)
		}
	}
	for name, c := range map[string]struct {
		ttl     time.Duration
		headers map[string]string
		want    string
	}{
		"too long":  {MaxPresign + time.Second, nil, "168h"},
		"too short": {0, nil, "life of 0s"},
		"header":    {time.Minute, map[string]string{"Digest": "x"}, `"Digest"`},
	} {
		if _, err := b.PresignGet(t.Context(), "k", c.ttl, c.headers); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q in it", name, err, c.want)
		}
	}
	plain := awsclienttest.Config("", "key", "secret", nil)
	plain.BaseEndpoint = nil
	address, err = New(plain, "bucket").PresignGet(t.Context(), "k", time.Minute, nil)
	if err != nil || !strings.HasPrefix(address, "https://bucket.s3.us-east-1.amazonaws.com/k?") {
		t.Errorf("AWS itself: got %q, %v", address, err)
	}
}
