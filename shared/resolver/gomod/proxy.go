package gomod

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/module"
	modzip "golang.org/x/mod/zip"
	"golang.org/x/sync/singleflight"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/fetch"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// Limits of what a module proxy may answer; those of go itself where it has them.
const (
	MaxZipBytes   = modzip.MaxZipFile
	MaxGoModBytes = modzip.MaxGoMod
	MaxInfoBytes  = 1 << 20
	MaxListBytes  = 8 << 20
	// MaxSumDBBytes bounds an answer of the checksum database; tiles have 8 KB.
	MaxSumDBBytes = 1 << 20
)

// moduleProxy is a module proxy on loopback, the only network that the go command sees. It answers
// from the configured proxies, through the resolver's Fetcher, and remembers what it gave out.
//
// Protocol: https://go.dev/ref/mod#goproxy-protocol
type moduleProxy struct {
	ctx       context.Context // of everything that is fetched; ends with close
	stop      context.CancelFunc
	fetcher   resolver.Fetcher
	upstreams []upstream
	sumDB     sumDB
	budget    *unpackBudget
	onZip     func(bytes int64)
	direct    *direct

	base   string // "http://127.0.0.1:port/token", without trailing slash
	server *http.Server
	done   chan struct{}
	ahead  sync.WaitGroup // prefetching
	flight singleflight.Group

	mu       sync.Mutex
	files    map[string]resolver.File  // by path below base: .zip and .mod
	answers  map[string][]byte         // .info
	failures map[string]*upstreamError // by path; gone again after a success
}

// startProxy listens on a free port of loopback. The path begins with a random token, so that other
// users of the machine cannot use the proxy (or its credentials).
func startProxy(ctx context.Context, fetcher resolver.Fetcher, upstreams []upstream, db sumDB, budget *unpackBudget, onZip func(int64), own *direct) (*moduleProxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the module proxy: %w", err)
	}
	token := rand.Text()
	ctx, stop := context.WithCancel(ctx)
	if own != nil {
		own.ctx = ctx // close ends its work too
	}
	p := &moduleProxy{
		ctx: ctx, stop: stop, fetcher: fetcher, upstreams: upstreams, sumDB: db, budget: budget, onZip: onZip, direct: own,
		base:     "http://" + listener.Addr().String() + "/" + token,
		done:     make(chan struct{}),
		files:    map[string]resolver.File{},
		answers:  map[string][]byte{},
		failures: map[string]*upstreamError{},
	}
	p.server = &http.Server{
		Handler:           http.StripPrefix("/"+token+"/", http.HandlerFunc(p.serve)),
		ReadHeaderTimeout: 30 * time.Second,
	}
	go func() {
		defer close(p.done)
		p.server.Serve(listener) // ends with ErrServerClosed
	}()
	return p, nil
}

// close ends the server and the prefetching, and waits until nothing uses the Fetcher any more.
func (p *moduleProxy) close() {
	p.stop()
	p.server.Close()
	<-p.done
	p.ahead.Wait()
}

func (p *moduleProxy) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "only GET is known here", http.StatusMethodNotAllowed)
		return
	}
	// The escaped path: what go sent is what the upstream proxy gets.
	name := r.URL.Path
	if db, ok := strings.CutPrefix(name, "sumdb/"); ok {
		p.serveSumDB(w, name, db)
		return
	}
	kind, err := checkProxyPath(name)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	switch kind {
	case ".zip", ".mod":
		f, err := p.file(name)
		if err != nil {
			refuse(w, err)
			return
		}
		if err := p.send(w, f); err != nil {
			panic(http.ErrAbortHandler) // half an answer must not look like a whole one
		}
	default:
		body, err := p.answer(name, kind)
		if err != nil {
			refuse(w, err)
			return
		}
		w.Write(body)
	}
}

// checkProxyPath makes sure that a path is one of the protocol, and says which: ".zip", ".mod",
// ".info", "list" or "latest".
func checkProxyPath(name string) (kind string, err error) {
	if escaped, ok := strings.CutSuffix(name, "/@latest"); ok {
		_, err = module.UnescapePath(escaped)
		return "latest", err
	}
	escaped, rest, ok := strings.Cut(name, "/@v/")
	if !ok {
		return "", fmt.Errorf("unknown request %q", name)
	}
	if _, err = module.UnescapePath(escaped); err != nil {
		return "", err
	}
	if rest == "list" {
		return "list", nil
	}
	for _, kind := range []string{".zip", ".mod", ".info"} {
		if v, ok := strings.CutSuffix(rest, kind); ok {
			_, err = module.UnescapeVersion(v)
			return kind, err
		}
	}
	return "", fmt.Errorf("unknown request %q", name)
}

// file returns a .zip or .mod file, fetched once.
func (p *moduleProxy) file(name string) (resolver.File, error) {
	got, err, _ := p.flight.Do(name, func() (any, error) {
		p.mu.Lock()
		f, known := p.files[name]
		p.mu.Unlock()
		if known {
			return f, nil
		}
		limit := int64(MaxGoModBytes)
		isZip := strings.HasSuffix(name, ".zip")
		if isZip {
			limit = MaxZipBytes
		}
		f, err := ask(p.upstreams, name, func(url string) (resolver.File, error) {
			f, err := p.fetcher.Fetch(p.ctx, resolver.Artifact{URL: url, MaxBytes: limit, Describe: describePath(name)})
			if err == nil && isZip {
				err = p.checkZip(name, f)
			}
			return f, err
		}, func() (resolver.File, error) { return p.direct.file(name) })
		p.record(name, err)
		if err != nil {
			return nil, err
		}
		p.mu.Lock()
		p.files[name] = f
		p.mu.Unlock()
		if isZip && p.onZip != nil && !isToolchain(name) {
			p.onZip(f.Size)
		}
		return f, nil
	})
	if err != nil {
		return resolver.File{}, err
	}
	return got.(resolver.File), nil
}

func (p *moduleProxy) checkZip(name string, f resolver.File) error {
	r, err := p.fetcher.Open(p.ctx, f)
	if err != nil {
		return err
	}
	defer r.Close()
	budget := p.budget
	if isToolchain(name) {
		budget = nil // not unpacked into the request's cache
	}
	return checkModuleZip(r, f.Size, describePath(name), budget)
}

func isToolchain(name string) bool { return strings.HasPrefix(name, toolchainModule+"/") }

// known returns a file that was given out before.
func (p *moduleProxy) known(name string) (resolver.File, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, ok := p.files[name]
	return f, ok
}

// answer returns a .info file, a list or the latest version. A .info file is reduced to what never
// changes; that of a pseudo-version follows from its name.
func (p *moduleProxy) answer(name, kind string) ([]byte, error) {
	if kind != ".info" {
		return p.get(name, MaxListBytes, nil)
	}
	got, err, _ := p.flight.Do(name, func() (any, error) {
		p.mu.Lock()
		body, known := p.answers[name]
		p.mu.Unlock()
		if known {
			return body, nil
		}
		body = pseudoInfo(name)
		if body == nil {
			raw, err := p.get(name, MaxInfoBytes, func() ([]byte, error) { return p.direct.answer(name) })
			if err != nil {
				return nil, err
			}
			body = lockedInfo(raw)
		}
		p.mu.Lock()
		p.answers[name] = body
		p.mu.Unlock()
		return body, nil
	})
	if err != nil {
		return nil, err
	}
	return got.([]byte), nil
}

func (p *moduleProxy) get(name string, limit int64, own func() ([]byte, error)) ([]byte, error) {
	body, err := ask(p.upstreams, name, func(url string) ([]byte, error) { return p.getURL(url, limit) }, own)
	p.record(name, err)
	return body, err
}

func (p *moduleProxy) getURL(url string, limit int64) ([]byte, error) {
	resp, err := p.fetcher.Get(p.ctx, url, nil, limit)
	if err != nil {
		return nil, err
	}
	if resp.Status != http.StatusOK {
		return nil, &fetch.StatusError{URL: fetch.Redact(url), Code: resp.Status}
	}
	return resp.Body, nil
}

// serveSumDB passes requests to the checksum database on: through the module proxies, else to itself.
func (p *moduleProxy) serveSumDB(w http.ResponseWriter, name, db string) {
	host, request, ok := strings.Cut(db, "/")
	used := p.sumDB
	if used.off {
		used = parseSumDB(host) // go's own default: toolchains are always verified
	}
	if !ok || host != used.name() {
		http.Error(w, "unknown checksum database", http.StatusNotFound)
		return
	}
	if request == "supported" {
		return // 200: otherwise go would go there itself
	}
	body, err := p.get(name, MaxSumDBBytes, nil)
	var failed *upstreamError
	if errors.As(err, &failed) && failed.status != 0 {
		direct := used.url + "/" + request
		if own, ownErr := p.getURL(direct, MaxSumDBBytes); ownErr == nil {
			body, err = own, nil
		} else {
			err = newUpstreamError(direct, ownErr)
		}
		p.record(name, err)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	w.Write(body)
}

func (p *moduleProxy) send(w http.ResponseWriter, f resolver.File) error {
	r, err := p.fetcher.Open(p.ctx, f)
	if err != nil {
		return err
	}
	defer r.Close()
	w.Header().Set("Content-Length", strconv.FormatInt(f.Size, 10))
	_, err = io.Copy(w, io.NewSectionReader(r, 0, f.Size))
	return err
}

func (p *moduleProxy) record(name string, err error) {
	var failed *upstreamError
	p.mu.Lock()
	defer p.mu.Unlock()
	if errors.As(err, &failed) {
		p.failures[name] = failed
	} else {
		delete(p.failures, name)
	}
}

// failure finds the recorded failure of the first URL of ours that the text names; nil if there is none.
func (p *moduleProxy) failure(text string) *upstreamError {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found *upstreamError
	first := len(text)
	for name, failed := range p.failures {
		if at := strings.Index(text, p.base+"/"+name+":"); at >= 0 && at < first {
			found, first = failed, at
		}
	}
	return found
}

// original replaces our loopback URLs in a text by those of the proxies that were asked.
func (p *moduleProxy) original(text string) string {
	p.mu.Lock()
	for name, failed := range p.failures {
		text = strings.ReplaceAll(text, p.base+"/"+name+":", failed.url+":")
	}
	p.mu.Unlock()
	return strings.ReplaceAll(text, p.base, fetch.Redact(p.upstreams[0].base))
}

// refuse answers an error. go prints the body: it is left out where the status says it all.
func refuse(w http.ResponseWriter, err error) {
	status := http.StatusServiceUnavailable
	var failed *upstreamError
	if errors.As(err, &failed) {
		switch {
		case failed.notFound():
			status = failed.status
		case failed.status >= 400 && failed.status < 500, fault.IsClient(err):
			status = http.StatusForbidden
		}
		if failed.status != 0 {
			w.WriteHeader(status)
			return
		}
	}
	http.Error(w, err.Error(), status)
}

// describePath names a file of the protocol in errors: "rsc.io/quote@v1.5.2.zip".
func describePath(name string) string {
	escaped, rest, _ := strings.Cut(name, "/@v/")
	path, err := module.UnescapePath(escaped)
	if err != nil {
		return name
	}
	return path + "@" + rest
}

// proxyPath is the path of a file of a module in the protocol, and in go's own cache: kind is ".zip",
// ".mod", ".info" or ".ziphash". Empty for what is no module version.
func proxyPath(m module.Version, kind string) string {
	path, err := module.EscapePath(m.Path)
	if err != nil {
		return ""
	}
	v, err := module.EscapeVersion(m.Version)
	if err != nil {
		return ""
	}
	return path + "/@v/" + v + kind
}
