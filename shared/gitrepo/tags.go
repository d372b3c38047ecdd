package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/storer"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// versionTag is what the last element of a tag's path begins with to be of interest.
var versionTag = regexp.MustCompile(`^v[0-9]`)

// tagRef is a tag as the server lists it.
type tagRef struct {
	name   string        // without refs/tags/
	hash   plumbing.Hash // of the tag object, or of the commit
	target plumbing.Hash // what an annotated tag leads to in the end
}

// findTags sets p.tags and, for a whole history, p.refs.
func (m *remote) findTags(ctx context.Context, r *repo, p *prepared, w want) error {
	s, err := m.connect(ctx)
	if err != nil {
		return err
	}
	var tags []tagRef
	for ref, hash := range s.refs().References {
		name, ok := strings.CutPrefix(ref, "refs/tags/")
		if !ok || !validRef(name) || !w.full && !versionTag.MatchString(path.Base(name)) {
			continue
		}
		t := tagRef{name: name, hash: hash, target: hash}
		if peeled, ok := s.refs().Peeled[ref]; ok {
			t.target = peeled
		}
		tags = append(tags, t)
	}
	slices.SortFunc(tags, func(a, b tagRef) int { return strings.Compare(a.name, b.name) })

	above := map[plumbing.Hash]bool{}
	for _, t := range tags {
		if t.target != p.commit.hash {
			above[t.target] = false
		}
	}
	if len(above) > 0 {
		if err := m.markAncestors(ctx, r, p, above); err != nil {
			return err
		}
	}
	for _, t := range tags {
		onRef := t.target == p.commit.hash
		if !onRef && !above[t.target] {
			continue
		}
		if versionTag.MatchString(path.Base(t.name)) {
			p.tags = append(p.tags, resolver.Tag{Name: t.name, OnRef: onRef})
		}
		if w.full {
			p.refs = append(p.refs, t)
		}
	}
	return nil
}

// markAncestors sets true for the commits among found that are ancestors of p's.
func (m *remote) markAncestors(ctx context.Context, r *repo, p *prepared, found map[plumbing.Hash]bool) error {
	if r.has(p.commit.hash, true) {
		return walkHistory(ctx, r.store, p.commit, found, false)
	}
	history, err := openRepo(historyDir(r))
	if err != nil {
		return err
	}
	defer history.close()
	if err := history.checkPacks(); err != nil {
		return err
	}
	if !history.has(p.commit.hash, true) {
		ask := packRequest{wants: []plumbing.Hash{p.commit.hash}}
		ask.haves, _ = history.haves(true)
		if m.session.refs().Capabilities.Supports(capability.Filter) {
			ask.filter = "tree:0"
		}
		if err := m.transfer(ctx, history, ask); err != nil {
			return m.tagsFault(err)
		}
		if err := history.add(p.commit.hash, true); err != nil {
			return err
		}
	}
	return walkHistory(ctx, history.store, p.commit, found, false)
}

func (m *remote) tagsFault(err error) error {
	f := fault.From(accessFault(err, m.u, true))
	if f.Message == textFetch {
		f.Message = fmt.Sprintf("Failed to fetch the tags on the Git repository %s", m.u.public())
	}
	return f
}

// walkHistory visits the ancestors of a commit until all of found are seen. In a shallow repository
// commits may be missing.
func walkHistory(ctx context.Context, s storer.EncodedObjectStorer, from commit, found map[plumbing.Hash]bool, shallow bool) error {
	left := len(found)
	seen := map[plumbing.Hash]bool{from.hash: true}
	todo := slices.Clone(from.parents)
	for len(todo) > 0 && left > 0 {
		hash := todo[0]
		todo = todo[1:]
		if seen[hash] {
			continue
		}
		seen[hash] = true
		if len(seen)%1024 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if len(seen) > MaxHistory {
			return fault.Client(fault.UnsupportedFeature, "The repository's history has more than %d commits, the limit", MaxHistory)
		}
		if done, wanted := found[hash]; wanted && !done {
			found[hash] = true
			left--
		}
		c, err := readCommit(s, hash)
		if shallow && errors.Is(err, plumbing.ErrObjectNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%w: %v", errDamaged, err)
		}
		todo = append(todo, c.parents...)
	}
	return nil
}
