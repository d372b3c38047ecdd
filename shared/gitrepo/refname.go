package gitrepo

import (
	"context"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/cachito-serverless/cachito/shared/fault"
)

// For people, who say "v1.8.0" or "main" where a request needs a commit.

// ResolveRef asks the server which commit a name stands for now: a branch, a tag, or a whole name
// (refs/pull/1/head); as with git, a tag wins over a branch of the same name. Empty means HEAD. A commit
// hash is returned as it is, unasked.
//
// Faults: as Fetch; InvalidRequestData for a name that is not there.
func (c *Client) ResolveRef(ctx context.Context, rawURL, name string) (string, error) {
	if commitPattern.MatchString(name) {
		return name, nil
	}
	u, err := parseURL(rawURL)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, c.settings.Timeout)
	defer cancel()
	m := &remote{c: c, u: u}
	defer m.close()
	s, err := m.connect(ctx)
	if err != nil {
		return "", err
	}
	advertised := s.refs()
	if name == "" || name == plumbing.HEAD.String() {
		if advertised.Head == nil {
			return "", fault.Client(fault.InvalidRequestData, "The repository %s has no HEAD: name a commit, branch or tag", u.public())
		}
		return advertised.Head.String(), nil
	}
	for _, prefix := range []string{"", "refs/tags/", "refs/heads/"} {
		if hash, ok := advertised.Peeled[prefix+name]; ok {
			return hash.String(), nil
		}
		if hash, ok := advertised.References[prefix+name]; ok {
			return hash.String(), nil
		}
	}
	return "", missingRef(name)
}

// LocalRef is ResolveRef for a repository on this machine, where a shortened hash will do too.
func LocalRef(dir, name string) (string, error) {
	r, err := openLocal(dir)
	if err != nil {
		return "", err
	}
	if name == "" {
		name = plumbing.HEAD.String()
	}
	hash, err := r.ResolveRevision(plumbing.Revision(name))
	if err != nil {
		return "", missingRef(name).Because(err)
	}
	return hash.String(), nil
}
