package fetch

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestProxy(t *testing.T) {
	_, internal := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "internal") })
	base, host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/redirect" {
			http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
			return
		}
		body, _ := io.ReadAll(r.Body)
		user, password, _ := r.BasicAuth()
		fmt.Fprintf(w, "%s %s %q %s:%s %s", r.Method, r.URL.RequestURI(), body, user, password, r.Header.Get("X-Own"))
	})
	c, _ := client(t, Settings{AllowHosts: []string{host}, Mirrors: []Mirror{{"https://git.example/", base + "/mirror/"}}})
	p, err := c.Proxy()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	child := &http.Client{}
	send := func(method, url, body string) (int, string) {
		t.Helper()
		r, err := http.NewRequest(method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Own", "kept")
		r.Header.Set("Authorization", "Basic Y2hpbGQ6Y2hpbGQ=")
		resp, err := child.Do(r)
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b)
	}
	withUser, err := p.For("http://u:secret@" + host + "/private?q=1")
	if err != nil || strings.Contains(withUser, "secret") {
		t.Fatalf("got %s, %v", withUser, err)
	}
	otherHost := strings.Replace(withUser, host, "git.example", 1)
	otherHost = strings.Replace(otherHost, "/http/", "/https/", 1)
	for _, tc := range []struct {
		name, method, url, body string
		status                  int
		want                    string
	}{
		{"get with query", "GET", p.URL() + "/http/" + host + "/a%2Fb/c?x=1&y=%20", "", 200, `GET /a%2Fb/c?x=1&y=%20 "" : kept`},
		{"post", "POST", p.URL() + "/http/" + host + "/git-upload-pack", "want x", 200, `POST /git-upload-pack "want x" : kept`},
		{"mirror", "GET", p.URL() + "/https/git.example/o/r", "", 200, `GET /mirror/o/r "" : kept`},
		{"user info", "GET", withUser, "", 200, `GET /private?q=1 "" u:secret kept`},
		{"user info is for one host", "GET", otherHost, "", 200, `GET /mirror/private?q=1 "" : kept`},
		{"redirect stays inside", "GET", p.URL() + "/http/" + host + "/redirect?to=/z", "", 200, `GET /z "" : kept`},
		{"other method", "PUT", p.URL() + "/http/" + host + "/x", "", 405, "only GET and POST"},
		{"wrong token", "GET", "http://" + p.addr + "/guess/http/" + host + "/x", "", 404, "not found"},
		{"refused host", "GET", p.URL() + "/http/" + internal + "/x", "", 403, "loopback"},
		{"refused redirect", "GET", p.URL() + "/http/" + host + "/redirect?to=" + url.QueryEscape("http://"+internal+"/"), "", 403, "loopback"},
		{"redirect to file", "GET", p.URL() + "/http/" + host + "/redirect?to=file:///etc/passwd", "", 403, "refused"},
		{"scheme", "GET", p.URL() + "/file/etc/passwd", "", 404, "not found"},
		{"user in host", "GET", p.URL() + "/http/u:p@" + host + "/", "", 404, "not found"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status, got := send(tc.method, tc.url, tc.body)
			if status != tc.status || !strings.Contains(got, tc.want) {
				t.Errorf("got %d %q, want %d %q", status, got, tc.status, tc.want)
			}
		})
	}
	var refused *RefusedError
	if _, err := p.For("ssh://host/x"); !errors.As(err, &refused) {
		t.Errorf("ssh: got %v, want RefusedError", err)
	}
}

func TestProxyShowsTruncation(t *testing.T) {
	_, host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	c, _ := client(t, Settings{AllowHosts: []string{host}})
	p, err := c.Proxy()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	resp, err := http.Get(p.URL() + "/http/" + host + "/")
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("the child took half a body for a whole one")
	}
}

func TestThroughHTTPProxy(t *testing.T) {
	var asked string
	outer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.String()
		io.WriteString(w, "by proxy")
	}))
	defer outer.Close()
	c, _ := client(t, Settings{HTTPProxy: outer.URL})
	c.guard.resolve = nil // literal addresses need none
	if got, err := read(t, c, "http://203.0.113.9/x", nil); err != nil || got != "by proxy" || asked != "http://203.0.113.9/x" {
		t.Errorf("got %q, %v (asked %s)", got, err, asked)
	}
	var refused *RefusedError
	if _, err := read(t, c, "http://10.0.0.1/x", nil); !errors.As(err, &refused) {
		t.Errorf("a private address behind a proxy: got %v, want RefusedError", err)
	}
	// The exception for the proxy itself is not one for whoever names its address.
	if _, err := read(t, c, outer.URL, nil); !errors.As(err, &refused) {
		t.Errorf("the proxy's own address: got %v, want RefusedError", err)
	}
}
