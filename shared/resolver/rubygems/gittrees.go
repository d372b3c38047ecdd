package rubygems

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/gittree"
)

const (
	// MaxGitTrees bounds the repositories of a request's git gems.
	MaxGitTrees = 1000
	// MaxGitFiles bounds the files of all git gems of a request together. Each is an entry of the result, which is
	// held in memory: 33,000 made the process 126 MB large, 98,000 made it 187 MB.
	MaxGitFiles = 50_000
	// treesAtATime bounds the repositories that are checked out side by side.
	treesAtATime = 4
)

// fetchTrees checks the trees out and stores each as one file. It returns their entries, in the same order; paths
// are relative to the tree. Progress goes on behind that of the gems.
func (r *run) fetchTrees(ctx context.Context, trees []gitTree, gems request.Progress) ([][]resolver.Entry, error) {
	if len(trees) > MaxGitTrees {
		return nil, fault.Client(fault.UnsupportedFeature, "The GIT dependencies of Gemfile.lock come from more than %d repositories", MaxGitTrees)
	}
	out := make([][]resolver.Entry, len(trees))
	progress := treeProgress{now: gems, files: MaxGitFiles, report: r.in.Progress}
	progress.now.Total += int64(len(trees))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(treesAtATime)
	for i, tree := range trees {
		group.Go(func() error {
			entries, err := r.fetchTree(ctx, tree, fmt.Sprintf("git-%d", i))
			if err == nil {
				err = progress.add(entries)
			}
			if err != nil {
				return fmt.Errorf("fetching the git gems of %s: %w", tree.shown, err)
			}
			out[i] = entries
			return nil
		})
	}
	return out, group.Wait()
}

// treeProgress counts the trees that are there, and their files. Safe for concurrent use.
type treeProgress struct {
	mu     sync.Mutex
	now    request.Progress
	files  int // that are still allowed
	report func(request.Progress)
}

func (p *treeProgress) add(entries []resolver.Entry) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.files -= len(entries); p.files < 0 {
		return tooManyFiles()
	}
	for _, e := range entries {
		if e.Part != nil {
			p.now.Bytes += e.Part.Size
		}
	}
	p.now.Done++
	if p.report != nil {
		p.report(p.now)
	}
	return nil
}

func tooManyFiles() error {
	return fault.Client(fault.UnsupportedFeature, "The GIT dependencies of Gemfile.lock have more than %d files", MaxGitFiles)
}

func (r *run) fetchTree(ctx context.Context, tree gitTree, scratch string) ([]resolver.Entry, error) {
	var options []resolver.CheckOutOption
	if tree.submodules {
		options = append(options, resolver.WithSubmodules)
	}
	what := fmt.Sprintf("the GIT dependency %s at %s", tree.shown, tree.commit)
	root, removed, done, err := gittree.CheckOut(ctx, r.in, tree.url, tree.commit, scratch, what, options...)
	if err != nil {
		return nil, err
	}
	defer done()
	if len(removed) > 0 {
		r.in.Log.WarnContext(ctx, "Links that lead out of a git gem's repository are left out", "url", tree.shown, "links", someOf(removed))
	}
	entries, err := gittree.List(root, MaxGitFiles)
	if errors.Is(err, gittree.ErrTooManyFiles) {
		return nil, tooManyFiles()
	}
	if err != nil {
		return nil, err
	}
	blobs, err := gittree.Store(ctx, r.in.Fetcher, root, entries)
	if err != nil {
		return nil, err
	}
	return r.addGitFolder(ctx, tree, entries, blobs)
}
