package pip

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/html"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/fetch"
	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/pip/pep508"
)

const (
	// MaxPageBytes bounds a project's page; the largest of the public index have some 25 MB.
	MaxPageBytes = 48 << 20
	// maxPages are read at a time: each is in memory.
	maxPages = 8
	// maxTagBytes bounds one tag of an HTML page.
	maxTagBytes = 1 << 20
	// acceptPages prefers JSON (PEP 691), then HTML of the same version, then any HTML (PEP 503).
	acceptPages = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
)

// distribution is a file that an index offers for a project.
type distribution struct {
	file           string // its name
	url            string // absolute, without fragment
	digests        []integrity.Digest
	yanked         bool
	requiresPython string
}

// errPage: an index answered with something that is no page of a project.
var errPage = errors.New("the answer is not a page of a package index")

// readPage asks an index for a project's files. keep says which file names matter; others are not
// kept in memory. A project that the index does not know has no files.
func readPage(ctx context.Context, f resolver.Fetcher, index, project string, keep func(file string) bool) ([]distribution, error) {
	address := index + pep508.Canonical(project) + "/"
	resp, err := f.Get(ctx, address, http.Header{"Accept": {acceptPages}}, MaxPageBytes)
	if err != nil {
		return nil, queryFailed(err)
	}
	switch {
	case resp.Status == http.StatusNotFound || resp.Status == http.StatusGone:
		return nil, nil
	case resp.Status < 200 || resp.Status > 299:
		blame := fault.Server
		if resp.Status >= 400 && resp.Status < 500 {
			blame = fault.Client // 401, 403: the index is not open to us
		}
		return nil, blame(fault.NetworkError, "PyPI query failed: %s answered %d %s", fetch.Redact(address), resp.Status, http.StatusText(resp.Status))
	}
	list, err := parsePage(resp, project, keep)
	if err != nil {
		return nil, fault.Server(fault.NetworkError, "PyPI query failed: %s: %v", fetch.Redact(address), err)
	}
	return list, nil
}

// queryFailed puts upstream's words before what went wrong.
func queryFailed(err error) error {
	var f *fault.Error
	if !errors.As(err, &f) || f.Type != fault.NetworkError {
		return err
	}
	out := *f
	out.Message = "PyPI query failed: " + f.Message
	return out.Because(err)
}

func parsePage(resp resolver.Response, project string, keep func(string) bool) ([]distribution, error) {
	base, err := url.Parse(resp.URL)
	if err != nil {
		return nil, errPage
	}
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case err == nil && strings.HasSuffix(kind, "json"), err != nil && bytes.HasPrefix(bytes.TrimSpace(resp.Body), []byte("{")):
		return parseJSONPage(bytes.NewReader(resp.Body), base, project, keep)
	case err != nil, strings.HasSuffix(kind, "html"):
		return parseHTMLPage(bytes.NewReader(resp.Body), base, keep)
	}
	return nil, fmt.Errorf("%w: its type is %q", errPage, kind)
}

// jsonFile is a file of PEP 691's answer. yanked is false, true or the reason.
type jsonFile struct {
	Filename       string            `json:"filename"`
	URL            string            `json:"url"`
	Hashes         map[string]string `json:"hashes"`
	RequiresPython *string           `json:"requires-python"`
	Yanked         any               `json:"yanked"`
}

// parseJSONPage reads PEP 691's form, one file at a time.
//
//	{"meta": {"api-version": "1.0"}, "name": "six", "files": [{"filename": "six-1.0.tar.gz", "url": "..", "hashes": {"sha256": ".."}}]}
func parseJSONPage(r io.Reader, base *url.URL, project string, keep func(string) bool) ([]distribution, error) {
	d := json.NewDecoder(r)
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errPage
	}
	var list []distribution
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, errPage
		}
		switch key {
		case "meta":
			var meta struct {
				Version string `json:"api-version"`
			}
			if err := d.Decode(&meta); err != nil {
				return nil, errPage
			}
			if major, _, _ := strings.Cut(meta.Version, "."); major != "1" {
				return nil, fmt.Errorf("%w: version %q of the format is not known", errPage, meta.Version)
			}
		case "name":
			var name string
			if err := d.Decode(&name); err != nil {
				return nil, errPage
			}
			if pep508.Canonical(name) != pep508.Canonical(project) {
				return nil, fmt.Errorf("the index answered for the project %q", name)
			}
		case "files":
			if list, err = decodeFiles(d, base, keep); err != nil {
				return nil, err
			}
		default:
			var skipped json.RawMessage
			if err := d.Decode(&skipped); err != nil {
				return nil, errPage
			}
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, errPage
	}
	return list, nil
}

func decodeFiles(d *json.Decoder, base *url.URL, keep func(string) bool) ([]distribution, error) {
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil, errPage
	}
	var list []distribution
	for d.More() {
		var f jsonFile
		if err := d.Decode(&f); err != nil {
			return nil, errPage
		}
		if !keep(f.Filename) {
			continue
		}
		u, err := base.Parse(f.URL)
		if err != nil {
			continue
		}
		one := distribution{file: f.Filename, url: withoutFragment(u), yanked: f.Yanked != nil && f.Yanked != false}
		if f.RequiresPython != nil {
			one.requiresPython = *f.RequiresPython
		}
		for algorithm, digits := range f.Hashes {
			one.addDigest(algorithm, digits)
		}
		list = append(list, one)
	}
	_, err := d.Token()
	return list, err
}

func withoutFragment(u *url.URL) string {
	out := *u
	out.Fragment, out.RawFragment = "", ""
	return out.String()
}

// addDigest keeps a digest whose algorithm is known; others say nothing.
func (d *distribution) addDigest(algorithm, digits string) {
	if digest, err := integrity.FromHex(strings.ToLower(algorithm), digits); err == nil {
		d.digests = append(d.digests, digest)
	}
}

// parseHTMLPage reads PEP 503's form: every link is a file, and its fragment a digest.
//
//	<a href="../../packages/six-1.0.tar.gz#sha256=.." data-yanked="" data-requires-python="&gt;=3">six-1.0.tar.gz</a>
func parseHTMLPage(r io.Reader, base *url.URL, keep func(string) bool) ([]distribution, error) {
	z := html.NewTokenizer(r)
	z.SetMaxBuf(maxTagBytes)
	var list []distribution
	var link map[string]string // of the <a> that is open
	var text strings.Builder
	for {
		switch z.Next() {
		case html.ErrorToken:
			if errors.Is(z.Err(), io.EOF) {
				return list, nil
			}
			return nil, errPage
		case html.StartTagToken, html.SelfClosingTagToken:
			name, attributes := tag(z)
			switch name {
			case "base":
				if u, err := base.Parse(attributes["href"]); err == nil && attributes["href"] != "" {
					base = u
				}
			case "a":
				link = attributes
				text.Reset()
			}
		case html.TextToken:
			if link != nil && text.Len() < pep508.MaxBytes {
				text.Write(z.Text())
			}
		case html.EndTagToken:
			if name, _ := tag(z); name != "a" || link == nil {
				continue
			}
			if d, ok := linked(link, strings.TrimSpace(text.String()), base); ok && keep(d.file) {
				list = append(list, d)
			}
			link = nil
		}
	}
}

func tag(z *html.Tokenizer) (string, map[string]string) {
	name, more := z.TagName()
	element, attributes := string(name), map[string]string{}
	for more {
		var key, value []byte
		key, value, more = z.TagAttr()
		attributes[string(key)] = string(value)
	}
	return element, attributes
}

// linked makes a file of a link: its name is the last element of the URL, as pip has it, not the text.
func linked(attributes map[string]string, text string, base *url.URL) (distribution, bool) {
	u, err := base.Parse(attributes["href"])
	if err != nil || attributes["href"] == "" {
		return distribution{}, false
	}
	file := u.Path[strings.LastIndexByte(u.Path, '/')+1:]
	if file == "" {
		file = text
	}
	_, yanked := attributes["data-yanked"]
	d := distribution{file: file, url: withoutFragment(u), yanked: yanked, requiresPython: attributes["data-requires-python"]}
	for part := range strings.SplitSeq(u.Fragment, "&") {
		if algorithm, digits, ok := strings.Cut(part, "="); ok {
			d.addDigest(algorithm, digits)
		}
	}
	return d, true
}
