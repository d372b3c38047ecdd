package pip

import (
	"context"
	"fmt"
	"io"
	"path"
	"slices"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/pip/pep508"
)

const (
	// maxCheckouts of git requirements at a time.
	maxCheckouts = 4
	// maxVerified files are looked into at a time.
	maxVerified = 4
)

// batch is everything that a request needs, each thing once.
type batch struct {
	pip   *pip
	in    resolver.Input
	needs []*need
	// pages by index and canonical name; artifacts in the order of the needs.
	pages map[pageKey]*page
	// crates of the sdists that are Rust extensions, when that is switched on.
	crates crateSet
}

// need is a requirement of one package.
type need struct {
	requirement *requirement
	file        *requirementsFile
	index       string
	binary      *binaryFilter
	dev         bool
	owner       *project

	lock  locked
	items []item // what it led to
}

// item is a file of the bundle that a requirement led to.
type item struct {
	place string // below deps/
	file  resolver.File
	// Of files of the index.
	chosen *chosen
}

type pageKey struct{ index, project string }

// page is a project's page of an index, with those files that somebody needs.
type page struct {
	key   pageKey
	needs []*need
	files []distribution
}

func newBatch(p *pip, in resolver.Input) *batch {
	in.Fetcher = checkedFetcher{in.Fetcher}
	return &batch{pip: p, in: in, pages: map[pageKey]*page{}}
}

// add notes what a package needs: for each requirement of each file, in file order, one need.
func (b *batch) add(owner *project) {
	for _, list := range []struct {
		files []*requirementsFile
		dev   bool
	}{{owner.files, false}, {owner.buildFiles, true}} {
		for _, listed := range list.files {
			index := b.pip.indexes.standard
			all := listed.all()
			for _, f := range all {
				if f.indexURL != "" { // pip takes the last it reads, for all files
					index = f.indexURL
				}
			}
			for _, f := range all {
				for _, r := range f.requirements {
					n := &need{requirement: r, file: f, index: index, binary: owner.options.binary, dev: list.dev || r.dev, owner: owner}
					if r.index != "" {
						n.index = r.index
					}
					b.needs = append(b.needs, n)
				}
			}
		}
	}
}

// fetch fetches everything, verified.
func (b *batch) fetch(ctx context.Context) error {
	for _, n := range b.needs {
		hashes := n.requirement.hashes
		if n.requirement.kind == fromURL {
			hashes = append(slices.Clone(hashes), n.requirement.cachitoHashes()...)
		}
		n.lock = parseLocked(hashes, b.pip.allowWeak)
	}
	if err := b.readPages(ctx); err != nil {
		return err
	}
	if err := b.choose(ctx); err != nil {
		return err
	}
	if err := b.download(ctx); err != nil {
		return err
	}
	if err := b.verify(ctx); err != nil {
		return err
	}
	if err := b.checkOut(ctx); err != nil {
		return err
	}
	return b.fetchCrates(ctx)
}

func (b *batch) selector(n *need) *selector {
	return &selector{binary: n.binary, refuseYanked: b.pip.refuseYanked, log: b.in.Log}
}

// readPages asks the indexes for the pages that are needed, side by side. The error is that of the first
// requirement that has one.
func (b *batch) readPages(ctx context.Context) error {
	var list []*page
	for _, n := range b.needs {
		if n.requirement.kind != fromIndex || n.requirement.page != nil {
			continue
		}
		key := pageKey{n.index, pep508.Canonical(n.requirement.written)}
		if b.pages[key] == nil {
			b.pages[key] = &page{key: key}
			list = append(list, b.pages[key])
		}
		b.pages[key].needs = append(b.pages[key].needs, n)
	}
	return resolver.SideBySide(ctx, maxPages, len(list), func(ctx context.Context, i int) error {
		p := list[i]
		keep := func(file string) bool {
			return slices.ContainsFunc(p.needs, func(n *need) bool {
				return b.selector(n).relevant(file, n.requirement.written, n.requirement.version)
			})
		}
		var err error
		p.files, err = readPage(ctx, b.in.Fetcher, p.key.index, p.key.project, keep)
		return err
	})
}

// choose picks the files of each requirement.
func (b *batch) choose(ctx context.Context) error {
	for _, n := range b.needs {
		r := n.requirement
		switch r.kind {
		case fromIndex:
			page := r.page
			if page == nil {
				page = b.pages[pageKey{n.index, pep508.Canonical(r.written)}].files
			}
			files, err := b.selector(n).choose(ctx, r, page, n.lock)
			if err != nil {
				return err
			}
			for i := range files {
				n.items = append(n.items, item{place: indexPath(files[i].folder, files[i].file), chosen: &files[i]})
			}
		case fromURL:
			if len(n.lock.digests) == 0 {
				return n.lock.failed(r.urlFile())
			}
			if _, ok := parseWheel(r.urlFile()); r.ext == wheelExtension && !ok {
				return fault.Client(fault.ValidationError, "The file name of %s is not valid for a wheel", r.line)
			}
			n.items = []item{{place: urlPath(r, slices.Concat(r.hashes, r.cachitoHashes())[0])}}
		case fromGit:
			n.items = []item{{place: gitPath(r.git)}}
		}
	}
	return nil
}

// artifact is what is asked of the network for a file.
func (n *need) artifact(ctx context.Context, it *item) resolver.Artifact {
	a := resolver.Artifact{Describe: path.Base(it.place), MaxBytes: MaxDistributionBytes}
	if it.chosen == nil {
		a.URL = n.requirement.url[:indexAny(n.requirement.url, "#")]
		a.Want = n.lock.digests
		return a
	}
	a.URL = it.chosen.url
	a.Want = integrity.Strongest(it.chosen.digests)
	if _, proven := n.lock.allows(it.chosen.digests); !proven && len(a.Want) == 0 {
		a.Want = n.lock.digests
	}
	if len(a.Want) == 0 {
		// What the index answers by mistake must not be remembered as the file.
		a.Check = func(content io.ReaderAt, size int64) error {
			m, err := it.look()(ctx, content, size, it.chosen.file)
			if err != nil {
				return err
			}
			return n.identity(it, m)
		}
	}
	return a
}

// download fetches the files of indexes and URLs, each once.
func (b *batch) download(ctx context.Context) error {
	var list []resolver.Artifact
	position := map[string]int{}
	positions := map[*item]int{}
	for _, n := range b.needs {
		for i := range n.items {
			if n.requirement.kind == fromGit {
				continue
			}
			a := n.artifact(ctx, &n.items[i])
			key := a.URL + fmt.Sprint(a.Want)
			at, ok := position[key]
			if !ok {
				at = len(list)
				position[key] = at
				list = append(list, a)
			}
			positions[&n.items[i]] = at
		}
	}
	files, err := resolver.FetchAll(ctx, b.in, list)
	if err != nil {
		return err
	}
	for it, at := range positions {
		it.file = files[at]
	}
	return nil
}

// verify looks into what came from an index: locked digests that could not be compared with the index's,
// and the file's own metadata.
func (b *batch) verify(ctx context.Context) error {
	type job struct {
		need *need
		item *item
	}
	var jobs []job
	for _, n := range b.needs {
		for i := range n.items {
			if n.items[i].chosen != nil {
				jobs = append(jobs, job{n, &n.items[i]})
			}
		}
	}
	return resolver.SideBySide(ctx, maxVerified, len(jobs), func(ctx context.Context, i int) error {
		return jobs[i].need.verify(ctx, b.in.Fetcher, jobs[i].item)
	})
}

func (n *need) verify(ctx context.Context, f resolver.Fetcher, it *item) error {
	name := it.chosen.file
	if _, proven := n.lock.allows(it.chosen.digests); !proven {
		if err := verifyLocked(ctx, f, it.file, name, n.lock); err != nil {
			return err
		}
	}
	m, err := lookInto(ctx, f, it.file, name, it.look())
	if err != nil {
		return err
	}
	return n.identity(it, m)
}

// look is how the file's metadata is read.
func (it *item) look() look {
	if it.chosen.isWheel {
		return wheelMetadata
	}
	return sdistMetadata
}

// identity refuses another project or version than the one that the index was asked for.
func (n *need) identity(it *item, m coreMetadata) error {
	if n.lock.any {
		return nil
	}
	return m.names(it.chosen.file, n.requirement.written, n.requirement.version)
}

// checkOut fetches git requirements, each commit once.
func (b *batch) checkOut(ctx context.Context) error {
	byPlace := map[string][]*item{}
	var places []string
	var sources []gitReference
	for _, n := range b.needs {
		if n.requirement.kind != fromGit {
			continue
		}
		place := n.items[0].place
		if byPlace[place] == nil {
			places, sources = append(places, place), append(sources, n.requirement.git)
		}
		byPlace[place] = append(byPlace[place], &n.items[0])
	}
	return resolver.SideBySide(ctx, maxCheckouts, len(places), func(ctx context.Context, i int) error {
		file, err := fetchGit(ctx, b.in, sources[i], fmt.Sprintf("git-%d", i))
		for _, it := range byPlace[places[i]] {
			it.file = file
		}
		return err
	})
}
