package gomod

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/fetch"
)

// upstream is one configured module proxy.
type upstream struct {
	base string // without trailing slash; empty: direct, from version control
	// anyError: after any error the next proxy is asked ("|" in GOPROXY), not only after "not found".
	anyError bool
}

// parseProxies reads a list in the form of GOPROXY. "direct" and "off" end the list; direct is an upstream
// without a URL (see direct).
func parseProxies(list string) ([]upstream, error) {
	var out []upstream
	for list != "" {
		entry, separator := list, byte(0)
		if i := strings.IndexAny(list, ",|"); i >= 0 {
			entry, separator, list = list[:i], list[i], list[i+1:]
		} else {
			list = ""
		}
		entry = strings.TrimSpace(entry)
		switch entry {
		case "":
			continue
		case "direct":
			out = append(out, upstream{})
			list = ""
			continue
		case "off":
			list = ""
			continue
		}
		u, err := url.Parse(entry)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("setting goproxy of gomod: want http or https URLs, got %q", fetch.Redact(entry))
		}
		out = append(out, upstream{base: strings.TrimRight(entry, "/"), anyError: separator == '|'})
	}
	if len(out) == 0 {
		return nil, errors.New("setting goproxy of gomod: want at least one http or https URL, got none")
	}
	return out, nil
}

// sumDB is the configured checksum database.
type sumDB struct {
	off bool
	// key is the database's name, with hash and key unless it is one that go knows.
	key string
	// url is where it is reached when no module proxy passes requests on.
	url string
}

// parseSumDB reads GOSUMDB's form: "name", "name+hash+key", either with a URL after a space, or "off".
// Empty is off.
func parseSumDB(text string) sumDB {
	words := strings.Fields(text)
	if len(words) == 0 || words[0] == "off" {
		return sumDB{off: true}
	}
	db := sumDB{key: words[0]}
	if len(words) > 1 {
		db.url = strings.TrimRight(words[1], "/")
	} else {
		name, _, _ := strings.Cut(words[0], "+")
		db.url = "https://" + name
	}
	return db
}

// name is the database's name, as it stands in the URLs of proxies.
func (db sumDB) name() string {
	name, _, _ := strings.Cut(db.key, "+")
	return name
}

// upstreamError is the answer of a module proxy (or of the checksum database) that is no success, or
// no answer.
type upstreamError struct {
	url    string // redacted
	status int    // 0: no answer
	cause  error
}

func (e *upstreamError) Error() string {
	if e.status != 0 {
		return fmt.Sprintf("reading %s: %d %s", e.url, e.status, http.StatusText(e.status))
	}
	return fmt.Sprintf("reading %s: %s", e.url, fault.From(e.cause).Message)
}

func (e *upstreamError) Unwrap() error { return e.cause }

func (e *upstreamError) notFound() bool {
	return e.status == http.StatusNotFound || e.status == http.StatusGone
}

func newUpstreamError(rawURL string, err error) *upstreamError {
	out := &upstreamError{url: fetch.Redact(rawURL), cause: err}
	var status *fetch.StatusError
	if errors.As(err, &status) {
		out.status = status.Code
	}
	return out
}

// ask tries the proxies in order, by the rules of GOPROXY. own is asked where the list says direct; nil:
// there is nothing that way.
func ask[T any](proxies []upstream, path string, get func(url string) (T, error), own func() (T, error)) (T, error) {
	var (
		none T
		last *upstreamError
	)
	for _, p := range proxies {
		u := p.base + "/" + path
		if p.base == "" {
			u = "direct: " + describePath(path)
			if own == nil {
				continue
			}
			get = func(string) (T, error) { return own() }
		}
		got, err := get(u)
		if err == nil {
			return got, nil
		}
		failed := newUpstreamError(u, err)
		// The first real trouble is worth more to the reader than a later "not found".
		if last == nil || last.notFound() {
			last = failed
		}
		if !failed.notFound() && !p.anyError {
			break
		}
	}
	return none, last
}
