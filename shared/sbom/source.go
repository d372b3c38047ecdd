package sbom

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/purl"
)

// source is a request's repository at its commit, which its packages are part of.
type source struct {
	id   string // inside the document
	name string // host and path: "github.com/o/r"
	url  string // "" when it is none that can be shown
	host string // of the URL, without port
	ref  string
	purl string // "" when none can be made
}

// sourceOf describes the repository of a request. Whatever the API took as a repository gives a source.
func sourceOf(r Request) source {
	s := source{id: fmt.Sprintf("request-%d", r.ID), name: fmt.Sprintf("request-%d", r.ID), ref: r.Ref}
	u, err := url.Parse(r.Repo)
	if err != nil || u.Host == "" || !slices.Contains([]string{"https", "http", "ssh", "git"}, u.Scheme) {
		return s
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	s.url, s.host = u.String(), u.Hostname() // percent-encoded where it must be
	if name := strings.Trim(strings.TrimSuffix(strings.TrimRight(u.Path, "/"), ".git"), "/"); name != "" {
		s.name = s.host + "/" + name
	}
	if text, err := purl.VCS(s.name[strings.LastIndexByte(s.name, '/')+1:], s.url, r.Ref); err == nil {
		s.purl = text
	}
	return s
}
