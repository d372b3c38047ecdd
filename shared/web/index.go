package web

import (
	"container/list"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/request"
)

const (
	// maxIndexedBytes bounds the packages data that is shown. The largest applications known have 50 MB.
	maxIndexedBytes = 256 << 20
	// maxCachedBytes bounds what all indexes kept for the next search take, by their own estimate: some
	// 100,000 dependencies.
	maxCachedBytes = 16 << 20
)

// index is a request's packages data in the form that searches need: every dependency once, in the API's
// order.
type index struct {
	packages     []indexedPackage
	dependencies []packages.Dependency
	// users is how many packages need each dependency.
	users []int32
	bytes int64
}

type indexedPackage struct {
	packages.Package // without its dependencies
	// needs are places in the index's dependencies, in their order.
	needs []int32
}

// identity is what makes two dependencies the same one (packages.MergeDependencies).
type identity struct {
	kind, name, version string
	versioned, dev      bool
}

func identityOf(d packages.Dependency) identity {
	return identity{d.Type, d.Name, packages.Deref(d.Version), d.Version != nil, d.Dev != nil && *d.Dev}
}

// indexer makes an index from packages, one after the other.
type indexer struct {
	index
	seen map[identity]int32
}

func (in *indexer) add(p packages.Package) error {
	one := indexedPackage{Package: p, needs: make([]int32, 0, len(p.Dependencies))}
	one.Dependencies = nil
	for _, d := range p.Dependencies {
		id := identityOf(d)
		at, known := in.seen[id]
		if !known {
			at = int32(len(in.dependencies))
			in.seen[id] = at
			in.dependencies = append(in.dependencies, d)
			in.users = append(in.users, 0)
		}
		one.needs = append(one.needs, at)
	}
	slices.Sort(one.needs)
	one.needs = slices.Clip(slices.Compact(one.needs))
	for _, at := range one.needs {
		in.users[at]++
	}
	in.packages = append(in.packages, one)
	return nil
}

// finish puts the dependencies in order.
func (in *indexer) finish() *index {
	in.seen = nil // it is as large as all the rest
	n := len(in.dependencies)
	order := make([]int32, n)
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return packages.CompareDependencies(in.dependencies[a], in.dependencies[b]) })
	out := &index{packages: in.packages, dependencies: make([]packages.Dependency, n), users: make([]int32, n)}
	place := make([]int32, n) // by the place so far
	for now, before := range order {
		d := in.dependencies[before]
		place[before], out.dependencies[now], out.users[now] = int32(now), d, in.users[before]
		out.bytes += int64(len(d.Name)+len(packages.Deref(d.Version))) + 110
	}
	for _, p := range out.packages {
		for i, at := range p.needs {
			p.needs[i] = place[at]
		}
		slices.Sort(p.needs)
		out.bytes += int64(4*len(p.needs)+len(p.Name)+len(p.Path)) + 170
	}
	return out
}

// words of a search; all of them must be found.
func words(q string) []string { return strings.Fields(strings.ToLower(q)) }

// found reports whether each word is in one of the texts, whatever the case of their letters.
func found(words []string, texts ...string) bool {
	for _, w := range words {
		if !slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(strings.ToLower(t), w) }) {
			return false
		}
	}
	return true
}

func (in *index) foundDependency(at int, words []string) bool {
	d := &in.dependencies[at]
	return found(words, d.Name, packages.Deref(d.Version), d.Type)
}

func (in *index) foundPackage(at int, words []string) bool {
	p := &in.packages[at]
	return found(words, p.Name, packages.Deref(p.Version), p.Type, p.Path)
}

// indexes are those of the requests looked at last. One is made at a time, so that memory stays bounded
// however many people open large requests at once.
type indexes struct {
	making chan struct{}

	mu    sync.Mutex
	byKey map[string]*list.Element
	used  *list.List // of *cached, the last used first
	bytes int64
}

type cached struct {
	key   string
	index *index
}

func newIndexes() *indexes {
	return &indexes{making: make(chan struct{}, 1), byKey: map[string]*list.Element{}, used: list.New()}
}

func (c *indexes) get(key string) *index {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byKey[key]
	if e == nil {
		return nil
	}
	c.used.MoveToFront(e)
	return e.Value.(*cached).index
}

func (c *indexes) put(key string, in *index) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if in.bytes > maxCachedBytes || c.byKey[key] != nil {
		return
	}
	c.byKey[key] = c.used.PushFront(&cached{key, in})
	c.bytes += in.bytes
	for c.bytes > maxCachedBytes {
		last := c.used.Back()
		gone := c.used.Remove(last).(*cached)
		delete(c.byKey, gone.key)
		c.bytes -= gone.index.bytes
	}
}

// indexOf is the index of a request's packages data. blob.ErrNotFound when there is none (any more).
func (p *Pages) indexOf(ctx context.Context, req request.Request) (*index, error) {
	if req.PackagesKey == "" {
		return nil, fmt.Errorf("packages data of request %d: %w", req.ID, blob.ErrNotFound)
	}
	if in := p.indexes.get(req.PackagesKey); in != nil {
		return in, nil
	}
	select {
	case p.indexes.making <- struct{}{}:
		defer func() { <-p.indexes.making }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if in := p.indexes.get(req.PackagesKey); in != nil { // made while we waited
		return in, nil
	}
	o, err := p.Blobs.Open(ctx, req.PackagesKey)
	if err != nil {
		return nil, fmt.Errorf("packages data of request %d: %w", req.ID, err)
	}
	defer o.Close()
	if o.Info().Size > maxIndexedBytes {
		return nil, &problem{http.StatusRequestEntityTooLarge, fmt.Sprintf("The packages data of request %d is larger than %s: ask the API for it.", req.ID, humanBytes(maxIndexedBytes))}
	}
	making := &indexer{seen: map[identity]int32{}}
	if err := packages.Walk(o, making.add); err != nil {
		return nil, fmt.Errorf("packages data of request %d: %w", req.ID, err)
	}
	in := making.finish()
	p.indexes.put(req.PackagesKey, in)
	return in, nil
}
