package fetch

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// serve runs a handler on loopback and returns its base URL and host:port.
func serve(t *testing.T, h http.HandlerFunc) (base, host string) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL, strings.TrimPrefix(srv.URL, "http://")
}

// client makes one whose pauses take no time and are recorded.
func client(t *testing.T, s Settings) (*Client, *[]time.Duration) {
	t.Helper()
	c, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	var pauses []time.Duration
	c.wait = func(ctx context.Context, d time.Duration) error {
		pauses = append(pauses, d)
		return ctx.Err()
	}
	return c, &pauses
}

func read(t *testing.T, c *Client, url string, header http.Header) (string, error) {
	t.Helper()
	resp, err := c.Get(t.Context(), url, header)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

func TestGetRetries(t *testing.T) {
	for _, tc := range []struct {
		name      string
		statuses  []int // then 200
		header    http.Header
		wantTries int
		wantCode  int // of the StatusError; 0: success
		wantPause time.Duration
	}{
		{name: "503 twice, then 200", statuses: []int{503, 503}, wantTries: 3, wantPause: backoffFactor * 2},
		{name: "500 for ever", statuses: []int{500, 500, 500, 500, 500, 500, 500}, wantTries: 6, wantCode: 500},
		{name: "404 is final", statuses: []int{404}, wantTries: 1, wantCode: 404},
		{name: "501 is final", statuses: []int{501}, wantTries: 1, wantCode: 501},
		{name: "429 with Retry-After", statuses: []int{429}, header: http.Header{"Retry-After": {"7"}}, wantTries: 2, wantPause: 7 * time.Second},
		{name: "Retry-After is bounded", statuses: []int{429}, header: http.Header{"Retry-After": {"86400"}}, wantTries: 2, wantPause: MaxRetryAfter},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tries := 0
			base, host := serve(t, func(w http.ResponseWriter, r *http.Request) {
				tries++
				if tries <= len(tc.statuses) {
					for k, v := range tc.header {
						w.Header()[k] = v
					}
					http.Error(w, "trouble", tc.statuses[tries-1])
					return
				}
				io.WriteString(w, "hello")
			})
			c, pauses := client(t, Settings{AllowHosts: []string{host}})
			got, err := read(t, c, base+"/x?token=geheim", nil)
			if tries != tc.wantTries {
				t.Errorf("got %d tries, want %d", tries, tc.wantTries)
			}
			if tc.wantCode == 0 {
				if err != nil || got != "hello" {
					t.Errorf("got %q, %v; want hello", got, err)
				}
			} else {
				var status *StatusError
				if !errors.As(err, &status) || status.Code != tc.wantCode || status.URL != base+"/x" || status.Body != "trouble\n" {
					t.Errorf("got %#v, want StatusError %d", err, tc.wantCode)
				}
				if strings.Contains(fmt.Sprint(err), "geheim") {
					t.Errorf("the error shows the query: %v", err)
				}
			}
			if tc.wantPause != 0 {
				last := (*pauses)[len(*pauses)-1]
				if last > tc.wantPause || last < tc.wantPause*8/10 {
					t.Errorf("last pause %v, want up to a fifth less than %v", last, tc.wantPause)
				}
			}
		})
	}
}

func TestConnectionErrorsAreRetried(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := l.Addr().String()
	l.Close()
	c, pauses := client(t, Settings{AllowHosts: []string{host}})
	if _, err := read(t, c, "http://u:secret@"+host+"/", nil); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v, want an error without the password", err)
	}
	if len(*pauses) != MaxRetries {
		t.Errorf("got %d retries, want %d", len(*pauses), MaxRetries)
	}
}

func TestRefused(t *testing.T) {
	internal, internalHost := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "metadata") })
	base, host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
	})
	c, pauses := client(t, Settings{AllowHosts: []string{host}})
	_, internalPort, _ := net.SplitHostPort(internalHost)
	for name, raw := range map[string]string{
		"loopback address":      internal,
		"localhost by name":     "http://localhost:" + internalPort,
		"IPv6 loopback":         "http://[::1]:" + internalPort,
		"v4-mapped":             "http://[::ffff:127.0.0.1]:" + internalPort,
		"decimal address":       "http://0:" + internalPort,
		"metadata":              "http://169.254.169.254/latest/meta-data",
		"file":                  "file:///etc/passwd",
		"ftp":                   "ftp://example.org/x",
		"no host":               "http:///x",
		"redirect to loopback":  base + "?to=" + url.QueryEscape(internal),
		"redirect to file":      base + "?to=" + url.QueryEscape("file:///etc/passwd"),
		"redirect to a private": base + "?to=" + url.QueryEscape("http://10.0.0.1/"),
		"redirect loop":         base + "?to=" + url.QueryEscape("/?to=/"),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := read(t, c, raw, nil)
			var refused *RefusedError
			if name == "decimal address" && err != nil && !errors.As(err, &refused) {
				return // the resolver does not know such a name: as good
			}
			if !errors.As(err, &refused) {
				t.Fatalf("got %q, %v; want RefusedError", got, err)
			}
		})
	}
	if len(*pauses) != 0 {
		t.Errorf("refused requests were tried again %d times", len(*pauses))
	}
}

func TestRedirectsDropSecretsAcrossHosts(t *testing.T) {
	seen := make(chan http.Header, 2)
	other, otherHost := serve(t, func(w http.ResponseWriter, r *http.Request) { seen <- r.Header })
	base, host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header
		http.Redirect(w, r, other+"/final?sig=1", http.StatusFound)
	})
	c, _ := client(t, Settings{AllowHosts: []string{host, otherHost}})
	resp, err := c.Get(t.Context(), strings.Replace(base, "//", "//u:secret@", 1)+"/a", http.Header{"X-Auth-Token": {"t"}, "Accept": {"text/plain"}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if first := <-seen; first.Get("Authorization") == "" || first.Get("X-Auth-Token") != "t" {
		t.Errorf("first host did not get the credentials: %v", first)
	}
	second := <-seen
	for _, name := range []string{"Authorization", "X-Auth-Token", "Referer"} {
		if v := second.Get(name); v != "" {
			t.Errorf("second host got %s: %s", name, v)
		}
	}
	if second.Get("Accept") != "text/plain" {
		t.Error("harmless headers should follow")
	}
	if want := other + "/final"; resp.URL != want {
		t.Errorf("got URL %s, want %s", resp.URL, want)
	}
}

func TestMirrorsAndCredentials(t *testing.T) {
	base, host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/m/o/redirect" {
			http.Redirect(w, r, "/m/o/final", http.StatusFound)
			return
		}
		user, password, _ := r.BasicAuth()
		fmt.Fprintf(w, "%s %s %s:%s %s", r.URL.Path, r.Host, user, password, r.Header.Get("Authorization"))
	})
	c, _ := client(t, Settings{
		AllowHosts:  []string{host},
		Mirrors:     []Mirror{{"https://git.example/", base + "/"}, {"https://git.example/o/", base + "/m/o/"}, {"https://bare.example", base}},
		Credentials: Credentials{Netrc: []Machine{{Name: host, Login: "u", Password: "p w"}}},
	})
	for raw, want := range map[string]string{
		"https://git.example/x":             "/x " + host + " u:p w",
		"https://git.example/o/r":           "/m/o/r " + host + " u:p w",
		"https://git.example/o/redirect":    "/m/o/final " + host + " u:p w",
		"https://me:mine@git.example/o/r":   "/m/o/r " + host + " u:p w",
		base + "/direct":                    "/direct " + host + " u:p w",
		"http://me:mine@" + host + "/d":     "/d " + host + " me:mine",
		"http://me:mi%40e@" + host + "/%2F": "// " + host + " me:mi@e",
	} {
		got, err := read(t, c, raw, nil)
		if err != nil || !strings.HasPrefix(got, want+" ") {
			t.Errorf("%s: got %q, %v; want %q", raw, got, err, want)
		}
	}
	// The rest of the URL must not complete the mirror's host to another one.
	if _, err := read(t, c, "https://bare.example.evil.invalid/x", nil); err == nil {
		t.Error("a mirror was applied to another host")
	}
}

func TestIdleBody(t *testing.T) {
	release := make(chan struct{})
	base, host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "beginning")
		w.(http.Flusher).Flush()
		<-release
	})
	defer close(release)
	c, _ := client(t, Settings{AllowHosts: []string{host}, Timeouts: Timeouts{Idle: 50 * time.Millisecond}})
	got, err := read(t, c, base, nil)
	if !errors.Is(err, errStalled) || got != "beginning" {
		t.Errorf("got %q, %v; want the beginning and a stall", got, err)
	}
}

func TestCompression(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	io.WriteString(z, "plain")
	z.Close()
	base, host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip") // some servers do for .tgz, whatever was asked
		w.Write(zipped.Bytes())
	})
	c, _ := client(t, Settings{AllowHosts: []string{host}})
	if got, err := read(t, c, base, nil); err != nil || got != zipped.String() {
		t.Errorf("stored bytes: got %q, %v", got, err)
	}
	if got, err := read(t, c, base, http.Header{"Accept-Encoding": {"gzip"}}); err != nil || got != "plain" {
		t.Errorf("compressed transfer: got %q, %v", got, err)
	}
}

func TestDownload(t *testing.T) {
	content := strings.Repeat("0123456789", 10_000)
	for _, tc := range []struct {
		name      string
		etag      string
		breaks    int // answers that break off in the middle
		changed   bool
		max       int64
		want      string
		wantRange bool
		wantErr   any
	}{
		{name: "whole", max: 1 << 20, want: content},
		{name: "truncated twice, resumed by range", etag: `"v1"`, breaks: 2, max: 1 << 20, want: content, wantRange: true},
		{name: "truncated, server sends all again", breaks: 1, max: 1 << 20, want: content},
		{name: "truncated, weak tag", etag: `W/"v1"`, breaks: 1, max: 1 << 20, want: content},
		{name: "changed in between", breaks: 1, changed: true, max: 1 << 20, wantErr: new(error)},
		{name: "truncated for ever", breaks: 99, max: 1 << 20, wantErr: new(*IncompleteError)},
		{name: "too large", max: 99_999, wantErr: new(*TooLargeError)},
		{name: "exactly the limit", max: 100_000, want: content},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var tries, ranges atomic.Int32
			base, host := serve(t, func(w http.ResponseWriter, r *http.Request) {
				n := int(tries.Add(1))
				if tc.etag != "" {
					w.Header().Set("ETag", tc.etag)
				}
				body, start := content, 0
				if tc.changed && n > 1 {
					body = "X" + content[1:]
				}
				if r.Header.Get("Range") != "" {
					ranges.Add(1)
					fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &start)
					w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, len(body)-1, len(body)))
				}
				w.Header().Set("Content-Length", fmt.Sprint(len(body)-start))
				if start > 0 {
					w.WriteHeader(http.StatusPartialContent)
				}
				if n <= tc.breaks {
					io.WriteString(w, body[start:start+(len(body)-start)/2])
					panic(http.ErrAbortHandler)
				}
				io.WriteString(w, body[start:])
			})
			c, _ := client(t, Settings{AllowHosts: []string{host}})
			var out bytes.Buffer
			got, err := c.Download(t.Context(), base, nil, &out, tc.max)
			if tc.wantErr != nil {
				if err == nil || !errors.As(err, tc.wantErr) {
					t.Fatalf("got %T %v, want %T", err, err, tc.wantErr)
				}
				if out.Len() > int(tc.max)+1 {
					t.Errorf("wrote %d bytes", out.Len())
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, out.String()); diff != "" || got.Bytes != int64(len(tc.want)) {
				t.Errorf("content differs (%d bytes)", got.Bytes)
			}
			if (ranges.Load() > 0) != tc.wantRange {
				t.Errorf("%d range requests, want some: %v", ranges.Load(), tc.wantRange)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	var running, most atomic.Int32
	base, host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		now := running.Add(1)
		defer running.Add(-1)
		for {
			old := most.Load()
			if now <= old || most.CompareAndSwap(old, now) {
				break
			}
		}
		time.Sleep(5 * time.Millisecond)
		io.WriteString(w, "x")
	})
	c, _ := client(t, Settings{AllowHosts: []string{host}, MaxConcurrent: 8, PerHost: 3})
	errs := make(chan error)
	for range 20 {
		go func() {
			_, err := read(t, c, base, nil)
			errs <- err
		}()
	}
	for range 20 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if got := most.Load(); got > 3 {
		t.Errorf("%d requests at once, want at most 3", got)
	}
	c.slots.mu.Lock()
	defer c.slots.mu.Unlock()
	if len(c.slots.hosts) != 0 || len(c.slots.all) != 0 {
		t.Errorf("%d hosts and %d places are still held", len(c.slots.hosts), len(c.slots.all))
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for name, s := range map[string]Settings{
		"mirror to file":          {Mirrors: []Mirror{{"https://x/", "file:///x"}}},
		"mirror without prefix":   {Mirrors: []Mirror{{"", "https://x/"}}},
		"mirror with credentials": {Mirrors: []Mirror{{"https://x/", "https://u:secret@y/"}}},
		"proxy by socks":          {HTTPSProxy: "socks5://u:secret@x:1"},
		"missing authorities":     {CACertFile: "/nonexistent.pem"},
	} {
		if _, err := New(s); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want an error without secrets", name, err)
		}
	}
}
