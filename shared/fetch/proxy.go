package fetch

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// MaxProxyRequestBytes bounds the body of a child's request: git's list of what it has.
const MaxProxyRequestBytes = 64 << 20

// Proxy is a reverse proxy on loopback, the only network of the commands we start: what they ask for
// goes out through the client's checks, mirrors and credentials.
//
//	http://127.0.0.1:<port>/<random token>/<http|https>/<host[:port]>/<path>?<query>
//
// Who does not know the token gets nothing. Only GET and POST are passed on; a child's own
// Authorization header is dropped.
type Proxy struct {
	client *Client
	token  string
	server *http.Server
	addr   string
	ctx    context.Context
	cancel context.CancelFunc

	mu    sync.Mutex
	users map[string]user // by token
}

type user struct {
	info *url.Userinfo
	host string // the only "host:port" that may see it
}

// Proxy starts a proxy for child processes. Close it when they have ended.
func (c *Client) Proxy() (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the loopback proxy: %w", err)
	}
	p := &Proxy{client: c, token: rand.Text(), addr: l.Addr().String(), users: map[string]user{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.server = &http.Server{
		Handler: p, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: MaxHeaderBytes,
		BaseContext: func(net.Listener) context.Context { return p.ctx },
	}
	go p.server.Serve(l)
	return p, nil
}

// URL is the proxy's base, without a slash at the end; append "/https/host/path".
func (p *Proxy) URL() string { return "http://" + p.addr + "/" + p.token }

// For gives the proxy's URL for an http or https URL. User info in raw stays here: the child sees
// another token instead.
func (p *Proxy) For(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || !isHTTP(u.Scheme) || u.Host == "" {
		return "", &RefusedError{URL: Redact(raw), Reason: "only http and https URLs can be reached"}
	}
	token := p.token
	if u.User != nil {
		token = rand.Text()
		p.mu.Lock()
		p.users[token] = user{info: u.User, host: hostPort(u)}
		p.mu.Unlock()
	}
	return p.wrap(token, u), nil
}

func (p *Proxy) wrap(token string, u *url.URL) string {
	out := url.URL{Scheme: "http", Host: p.addr, Path: "/" + token + "/" + u.Scheme + "/" + u.Host + u.Path, RawQuery: u.RawQuery}
	if u.RawPath != "" {
		out.RawPath = "/" + token + "/" + u.Scheme + "/" + u.Host + u.RawPath
	}
	return out.String()
}

// Close ends the proxy and every transfer through it.
func (p *Proxy) Close() error {
	p.cancel()
	return p.server.Close()
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, target, info, ok := p.target(r.URL)
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		http.Error(w, "only GET and POST are allowed", http.StatusMethodNotAllowed)
		return
	}
	var body io.Reader = http.MaxBytesReader(w, r.Body, MaxProxyRequestBytes)
	if r.Method == http.MethodGet {
		body = nil
	}
	out, err := http.NewRequestWithContext(r.Context(), r.Method, target.String(), body)
	if err != nil {
		http.Error(w, "the URL cannot be used", http.StatusBadRequest)
		return
	}
	copyHeader(out.Header, r.Header)
	out.Header.Del("Authorization")
	out.Header.Del("Cookie")
	if out.Header.Get("Accept-Encoding") == "" {
		out.Header.Set("Accept-Encoding", "identity") // or net/http would ask for gzip and decode it
	}
	out.ContentLength = r.ContentLength
	if body == nil {
		out.ContentLength = 0
	}
	if info != nil {
		withUser := *out.URL
		withUser.User = info
		out.URL = &withUser
	}
	resp, err := p.client.Transport().RoundTrip(out)
	if err != nil {
		status := http.StatusBadGateway
		var refused *RefusedError
		if errors.As(err, &refused) {
			status = http.StatusForbidden
		}
		http.Error(w, p.client.wrap(err, target).Error(), status)
		return
	}
	defer resp.Body.Close()
	if location := resp.Header.Get("Location"); location != "" && resp.StatusCode/100 == 3 {
		next, err := target.Parse(location)
		if err == nil {
			err = redirectAllowed(target, next)
		}
		if err != nil {
			http.Error(w, "the redirect is refused", http.StatusForbidden)
			return
		}
		if hostPort(next) != hostPort(target) {
			token = p.token
		}
		next.User = nil
		resp.Header.Set("Location", p.wrap(token, next))
	}
	copyHeader(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	if _, err := io.Copy(flushing{w}, resp.Body); err != nil {
		panic(http.ErrAbortHandler) // the child must see that the body is not whole
	}
}

// target takes /<token>/<scheme>/<host>/<path> apart.
func (p *Proxy) target(u *url.URL) (token string, target *url.URL, info *url.Userinfo, ok bool) {
	parts := strings.SplitN(strings.TrimPrefix(u.EscapedPath(), "/"), "/", 4)
	if len(parts) < 3 || !isHTTP(parts[1]) || parts[2] == "" || strings.ContainsAny(parts[2], "@%") {
		return "", nil, nil, false
	}
	p.mu.Lock()
	who, known := p.users[parts[0]]
	p.mu.Unlock()
	if parts[0] != p.token && !known {
		return "", nil, nil, false
	}
	rest := ""
	if len(parts) == 4 {
		rest = "/" + parts[3]
	}
	target, err := url.Parse(parts[1] + "://" + parts[2] + rest)
	if err != nil || target.Host != parts[2] {
		return "", nil, nil, false
	}
	target.RawQuery = u.RawQuery
	if known && hostPort(target) == who.host {
		info = who.info
	}
	return parts[0], target, info, true
}

// hopHeaders belong to one connection (RFC 9110, 7.6.1).
var hopHeaders = map[string]bool{
	"Connection": true, "Proxy-Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true,
	"Proxy-Authorization": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
	"Set-Cookie": true,
}

func copyHeader(to, from http.Header) {
	for name, values := range from {
		if !hopHeaders[name] {
			to[name] = values
		}
	}
}

type flushing struct{ w http.ResponseWriter }

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err == nil {
		err = http.NewResponseController(f.w).Flush()
	}
	return n, err
}
