package cargo

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/cargo/crate"
	"github.com/cachito-serverless/cachito/shared/resolver/gittree"
)

const (
	// maxRegistries of a request.
	maxRegistries = 100
	// maxIndexConfigBytes bounds a registry's config.json.
	maxIndexConfigBytes = 64 << 10
)

// templates asks the registries of the packages where their crates are; keyed by source. crates.io's is a setting.
func (r *run) templates(ctx context.Context, sources map[string]source) (map[string]string, error) {
	out := map[string]string{}
	if len(sources) > maxRegistries {
		return nil, fault.Client(fault.UnsupportedFeature, "The lockfiles name more than %d registries", maxRegistries)
	}
	for i, key := range slices.Sorted(maps.Keys(sources)) {
		s := sources[key]
		content, err := r.indexConfig(ctx, s, fmt.Sprintf("index-%d", i))
		if err != nil {
			return nil, err
		}
		var config struct {
			Download string `json:"dl"`
		}
		err = json.Unmarshal(content, &config)
		u, urlErr := url.Parse(config.Download)
		if err != nil || urlErr != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
			return nil, fault.Client(fault.InvalidFileFormat, "The config.json of the registry %s does not say where its crates are (\"dl\"): is it a registry of crates?", key).Because(err)
		}
		out[key] = config.Download
	}
	return out, nil
}

// indexConfig is the config.json of a registry (https://doc.rust-lang.org/cargo/reference/registry-index.html).
func (r *run) indexConfig(ctx context.Context, s source, scratch string) ([]byte, error) {
	if s.kind == fromSparse {
		resp, err := r.in.Fetcher.Get(ctx, s.url+"config.json", nil, maxIndexConfigBytes)
		if err != nil {
			return nil, fmt.Errorf("asking the registry %s: %w", s.key(), err)
		}
		if resp.Status != http.StatusOK {
			return nil, fault.Client(fault.NetworkError, "The registry %s cannot be used: its config.json answers %d %s", s.key(), resp.Status, http.StatusText(resp.Status))
		}
		return resp.Body, nil
	}
	what := "the registry " + s.key()
	commit, err := r.in.Git.Resolve(ctx, s.url, "HEAD")
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", what, err)
	}
	root, _, done, err := gittree.CheckOut(ctx, r.in, s.url, commit, scratch, what)
	if err != nil {
		return nil, err
	}
	defer done()
	content, err := resolver.ReadFile(root, "config.json", maxIndexConfigBytes)
	if err != nil {
		return nil, fault.Client(fault.InvalidFileFormat, "%s has no config.json that can be read: is it a registry of crates?", s.key()).Because(err)
	}
	return content, nil
}

// registrySet are the crates of a request, by registry.
type registrySet struct {
	// sources of registries besides crates.io, by key.
	sources map[string]source
	// crates of each source, by file name.
	crates map[source]map[string]crate.Crate
}

// add notes a crate. Its checksum must be the one that it has elsewhere.
func (s *registrySet) add(l lockedPackage, shown string) error {
	c, err := l.Crate(shown)
	if err != nil {
		return err
	}
	if l.source.kind != "" {
		s.sources[l.source.key()] = l.source
	}
	if s.crates[l.source] == nil {
		s.crates[l.source] = map[string]crate.Crate{}
	}
	if other, ok := s.crates[l.source][c.FileName()]; ok && other.Digest != c.Digest {
		return fault.Client(fault.InvalidChecksum, "The crate %s %s has two checksums in the lockfiles: %s and, in %s, %s", c.Name, c.Version, other.Digest, shown, c.Digest)
	}
	s.crates[l.source][c.FileName()] = c
	return nil
}

// fetchCrates downloads all crates; they come back by source.
func (r *run) fetchCrates(ctx context.Context, set *registrySet) (map[source][]crate.Fetched, error) {
	templates, err := r.templates(ctx, set.sources)
	if err != nil {
		return nil, err
	}
	var list []crate.Remote
	var from []source
	for _, s := range slices.SortedFunc(maps.Keys(set.crates), func(a, b source) int { return strings.Compare(a.key(), b.key()) }) {
		for _, name := range slices.Sorted(maps.Keys(set.crates[s])) {
			c := set.crates[s][name]
			remote := crate.Remote{Crate: c, Registry: s.registry()}
			if s.kind == "" {
				remote.URL = crate.FileURL(r.cratesURL, c)
			} else {
				remote.URL = crate.TemplateURL(templates[s.key()], c)
			}
			list, from = append(list, remote), append(from, s)
		}
	}
	in := r.in
	in.Progress = func(p request.Progress) { r.report(func(now *request.Progress) { *now = p }) }
	fetched, err := crate.Fetch(ctx, in, list)
	if err != nil {
		return nil, err
	}
	out := map[source][]crate.Fetched{}
	for i, f := range fetched {
		out[from[i]] = append(out[from[i]], f)
	}
	return out, nil
}
