package gitrepo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"

	"github.com/cachito-serverless/cachito/shared/fetch"
)

// httpSession speaks smart HTTP (gitprotocol-http(5)). Each fetch is a request of its own.
type httpSession struct {
	client *http.Client
	base   url.URL // after redirects
	ar     *packp.AdvRefs
}

func (c *Client) openHTTP(ctx context.Context, u remoteURL) (session, error) {
	s := &httpSession{client: c.settings.Fetch.HTTPClient(), base: *u.URL}
	s.base.Path = strings.TrimSuffix(s.base.Path, "/")
	s.base.RawPath = strings.TrimSuffix(s.base.RawPath, "/")
	query := s.base.RawQuery
	s.base.RawQuery = ""

	at := s.base.JoinPath("info/refs")
	at.RawQuery = "service=git-upload-pack"
	if query != "" {
		at.RawQuery = query + "&" + at.RawQuery
	}
	resp, err := s.do(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	const answer = "application/x-git-upload-pack-advertisement"
	if got := resp.Header.Get("Content-Type"); got != answer {
		return nil, &notGitError{fmt.Sprintf("the answer has the type %q, want %q: no git repository, or a server without smart HTTP", cut(got), answer)}
	}
	if final := resp.Request.URL; final.Host != at.Host || final.Path != at.Path || final.Scheme != at.Scheme {
		base, ok := strings.CutSuffix(final.Path, "/info/refs")
		if !ok {
			return nil, &notGitError{"the redirect leads to something else than a list of refs"}
		}
		user := s.base.User
		if final.Host != s.base.Host {
			user = nil
		}
		s.base = url.URL{Scheme: final.Scheme, Host: final.Host, User: user, Path: base}
	}
	s.ar, err = readRefs(resp.Body)
	return s, err
}

// notGitError is an answer of something that is no git server.
type notGitError struct{ reason string }

func (e *notGitError) Error() string { return e.reason }

func (s *httpSession) refs() *packp.AdvRefs { return s.ar }

func (s *httpSession) close() {}

func (s *httpSession) fetch(ctx context.Context, want packRequest) (io.ReadCloser, error) {
	body, err := want.encode(s.ar.Capabilities)
	if err != nil {
		return nil, err
	}
	resp, err := s.do(ctx, http.MethodPost, s.base.JoinPath("git-upload-pack"), body)
	if err != nil {
		return nil, err
	}
	p, err := openPack(resp.Body, want.depth)
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	return p, nil
}

// do sends a request. User info goes into a header at once, so that no error can show it.
func (s *httpSession) do(ctx context.Context, method string, at *url.URL, body []byte) (*http.Response, error) {
	bare := *at
	bare.User = nil
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, bare.String(), r)
	if err != nil {
		return nil, fmt.Errorf("asking %s: the URL cannot be used", fetch.Redact(bare.String()))
	}
	if user := fetch.Login(at); user != nil {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
	// git's own name: some hosts answer nothing but git.
	req.Header.Set("User-Agent", "git/2.40 (cachito-serverless)")
	if body != nil {
		req.Header.Set("Content-Type", "application/x-git-upload-pack-request")
		req.Header.Set("Accept", "application/x-git-upload-pack-result")
		req.Header.Set("Accept-Encoding", "identity") // a pack is compressed
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, fetch.Unwrap(err, bare.String())
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		return nil, &fetch.StatusError{URL: fetch.Redact(resp.Request.URL.String()), Code: resp.StatusCode, Body: string(text), Header: resp.Header}
	}
	return resp, nil
}
