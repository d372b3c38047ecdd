package pipeline

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/gitsubmodule"
	"github.com/cachito-serverless/cachito/shared/store"
)

// unpacked reads a request's bundle: name -> what it is ("dir", "-> target", else the content).
func (pr *process) unpacked(t *testing.T, req request.Request) (map[string]string, []string) {
	t.Helper()
	if req.Bundle == nil {
		t.Fatalf("request %d is %s (%s) and has no bundle", req.ID, req.State, req.StateReason)
	}
	o, err := pr.blobs.Open(context.Background(), req.Bundle.Key)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	raw, err := io.ReadAll(o)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != req.Bundle.SHA256 || int64(len(raw)) != req.Bundle.Size {
		t.Errorf("S16: the bundle does not have the stored digest or size")
	}
	gz, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	files, order := map[string]string{}, []string(nil)
	for r := tar.NewReader(gz); ; {
		h, err := r.Next()
		if err == io.EOF {
			return files, order
		}
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(h.Name, "/")
		if _, twice := files[name]; twice {
			t.Errorf("S16: %s is in the bundle twice", name)
		}
		order = append(order, name)
		switch h.Typeflag {
		case tar.TypeDir:
			files[name] = "dir"
		case tar.TypeSymlink:
			files[name] = "-> " + h.Linkname
		default:
			content, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			files[name] = string(content)
		}
	}
}

func reasons(req request.Request) []string {
	var list []string
	for _, h := range slices.Backward(req.History) {
		list = append(list, h.Reason)
	}
	return list
}

func TestWholeRequest(t *testing.T) {
	w := newWorld(t)
	url, ref := w.repository()
	pr := w.start(-1)
	defer pr.close()
	req := pr.finish(t, url, ref, nil, "synthetic", gitsubmodule.Name)
	want := []string{
		"The request was initiated", "Fetching the application source", "Fetching the synthetic dependencies",
		"Assembling the bundle archive", "Aggregating packages data", "Completed successfully",
	}
	if diff := cmp.Diff(want, reasons(req)); diff != "" {
		t.Errorf("L03 history (-want +got):\n%s", diff)
	}
	files, order := pr.unpacked(t, req)
	for name, content := range map[string]string{
		"deps": "dir", "deps/synthetic/lib-1.0.zip": strings.Repeat("PK library ", 1000),
		"deps/synthetic/tool-2.0.txt": strings.Repeat("tool text\n", 500),
		"app/needs.txt":               "rewritten\n", "app/a/new": "new\n", "app/.syntheticrc": "offline=true\n",
		"app/link": "-> dir/main.txt", "app/third/lib/lib.txt": "library\n", "app/old.txt": "", "app/third/lib/.git": "",
	} {
		if got := files[name]; got != content {
			t.Errorf("%s: got %.40q, want %.40q", name, got, content)
		}
	}
	if !strings.Contains(files[EnvFileName], `export SYNTHETIC="$CACHITO_BUNDLE"/'deps/synthetic'`) {
		t.Errorf("%s lacks the variable:\n%s", EnvFileName, files[EnvFileName])
	}
	if order[0] != "deps" || order[len(order)-1] != EnvFileName || !slices.IsSorted(order[:len(order)-1]) == strings.HasPrefix(order[1], "app") {
		t.Errorf("deps/ must come first, the root's files last: %v", order)
	}
	if *req.PackagesCount != 2 || *req.DependenciesCount != 2 {
		t.Errorf("counts: got %d and %d, want 2 and 2", *req.PackagesCount, *req.DependenciesCount)
	}
}

func TestSourceOnly(t *testing.T) {
	w := newWorld(t)
	url, ref := w.repository()
	pr := w.start(-1)
	defer pr.close()
	req := pr.finish(t, url, ref, nil)
	files, _ := pr.unpacked(t, req)
	t.Run("L02 S15 no package managers: app/ and an empty deps", func(t *testing.T) {
		if req.State != request.StateComplete || *req.PackagesCount != 0 || *req.DependenciesCount != 0 {
			t.Errorf("got %s with %v packages", req.State, req.PackagesCount)
		}
		if files["deps"] != "dir" || files["app/old.txt"] != "old\n" {
			t.Errorf("got %v", files)
		}
	})
	t.Run("S07 a plain request after a submodule request has empty submodule folders", func(t *testing.T) {
		pr.finish(t, url, ref, nil, gitsubmodule.Name)
		files, _ := pr.unpacked(t, pr.finish(t, url, ref, nil))
		if files["app/third/lib"] != "dir" || files["app/third/lib/lib.txt"] != "" {
			t.Errorf("got %q and %q", files["app/third/lib"], files["app/third/lib/lib.txt"])
		}
	})
}

func TestSecondRequestFetchesNothing(t *testing.T) {
	w := newWorld(t)
	url, ref := w.repository()
	pr := w.start(-1)
	defer pr.close()
	first := pr.finish(t, url, ref, nil, "synthetic", gitsubmodule.Name)
	asked := len(w.requests())
	w.git.Reset()
	second := pr.finish(t, url, ref, nil, "synthetic", gitsubmodule.Name)
	if n := w.git.Requests(); len(n) > 0 || len(w.requests()) != asked {
		t.Errorf("S04: the second request asked the git host %v and the registry %v", n, w.requests()[asked:])
	}
	if first.Bundle.SHA256 != second.Bundle.SHA256 {
		t.Errorf("S17: bundles differ: %s and %s", first.Bundle.SHA256, second.Bundle.SHA256)
	}
	if diff := cmp.Diff(reasons(first), reasons(second)); diff != "" {
		t.Errorf("the histories differ (-first +second):\n%s", diff)
	}
}

func TestTwoStoresSameBytes(t *testing.T) {
	one := newWorld(t)
	url, ref := one.repository()
	other := newWorld(t)
	other.git, other.registry = one.git, one.registry
	var sums []string
	for _, w := range []*world{one, other} {
		pr := w.start(-1)
		sums = append(sums, pr.finish(t, url, ref, nil, "synthetic", gitsubmodule.Name).Bundle.SHA256)
		pr.close()
	}
	if sums[0] != sums[1] {
		t.Errorf("S17: the same request on two stores gives %s and %s", sums[0], sums[1])
	}
}

// TestDamagedCache damages every object of the cache in turn and wants the request to be served all the same.
func TestDamagedCache(t *testing.T) {
	for _, damage := range []struct {
		name string
		do   func(path string) error
	}{
		{"truncated", func(path string) error { return os.Truncate(path, 10) }},
		{"bit flipped", func(path string) error {
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			raw[len(raw)/2] ^= 0x10
			return os.WriteFile(path, raw, 0o644)
		}},
		{"gone", os.Remove},
	} {
		t.Run("S05 "+damage.name, func(t *testing.T) {
			w := newWorld(t)
			url, ref := w.repository()
			pr := w.start(-1)
			defer pr.close()
			first := pr.finish(t, url, ref, nil, "synthetic", gitsubmodule.Name)
			var objects []string
			err := filepath.WalkDir(filepath.Join(w.data, "blobs"), func(path string, d os.DirEntry, err error) error {
				if err == nil && d.Type().IsRegular() && !strings.Contains(path, "logs") {
					objects = append(objects, path)
				}
				return err
			})
			if err != nil || len(objects) < 8 {
				t.Fatalf("found %v (%v)", objects, err)
			}
			for _, path := range objects {
				if strings.Contains(path, "configfiles") || strings.Contains(path, "bundles") && damage.name == "bit flipped" {
					continue // no step reads them; the download compares the digest
				}
				if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
					continue // deleted while another one was mended
				}
				if err := damage.do(path); err != nil {
					t.Fatal(err)
				}
				// The bundle must be assembled again, or nothing would read the damaged object.
				removeMatching(t, w, "bundles")
				req := pr.finish(t, url, ref, nil, "synthetic", gitsubmodule.Name)
				if req.State != request.StateComplete || req.Bundle.SHA256 != first.Bundle.SHA256 {
					t.Errorf("%s: request is %s (%s), bundle %v, want %s\n%s", path, req.State, req.StateReason, req.Bundle, first.Bundle.SHA256, w.log(pr, req.ID))
				}
			}
		})
	}
}

func removeMatching(t *testing.T, w *world, part string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(w.data, "blobs"), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.Contains(path, part) {
			return os.Remove(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFaults(t *testing.T) {
	unknown := errors.New("boom")
	for _, tc := range []struct {
		name                 string
		err                  error
		reason, origin, kind string
	}{
		{"L09 client fault", fault.Client(fault.InvalidRequestData, "some error"), "some error", "client", "InvalidRequestData"},
		{"L10 unexpected error", unknown, "An unknown error occurred", "server", "UnknownError"},
		{"server fault", fault.Server(fault.NetworkError, "registry down"), "registry down", "server", "NetworkError"},
		{"panic", nil, "An unknown error occurred", "server", "UnknownError"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			url, ref := w.repository()
			runs := 0
			pr := w.start(-1, func(s *Settings, d *Deps) {
				d.Managers = append(d.Managers, failing(&runs, tc.err))
				s.Resolvers["failing"] = resolver.Settings{}
			})
			defer pr.close()
			req := pr.finish(t, url, ref, nil, "failing")
			for i := 0; req.State == request.StateInProgress && i < 10; i++ {
				w.advance(RetryPauseMax + time.Second)
				if err := pr.drain(t); err != nil {
					t.Fatal(err)
				}
				var err error
				if req, err = pr.store.Get(context.Background(), req.ID); err != nil {
					t.Fatal(err)
				}
			}
			if req.State != request.StateFailed || req.StateReason != tc.reason || req.ErrorOrigin != tc.origin || req.ErrorType != tc.kind {
				t.Errorf("got %s %q %s %s", req.State, req.StateReason, req.ErrorOrigin, req.ErrorType)
			}
			wantRuns := 5
			if tc.origin == "client" {
				wantRuns = 1
			}
			if runs != wantRuns {
				t.Errorf("the resolver ran %d times, want %d", runs, wantRuns)
			}
			if strings.Contains(jsonText(req)+w.log(pr, req.ID), "boom") {
				t.Error("the unexpected error's text reached the user")
			}
		})
	}
}

func failing(runs *int, err error) resolver.Descriptor {
	return resolver.Descriptor{Name: "failing", Rank: 1, Version: "1", New: func(resolver.Settings) (resolver.Resolver, error) {
		return resolverFunc(func(context.Context, resolver.Input) (resolver.Output, error) {
			*runs++
			if err == nil {
				panic("boom")
			}
			return resolver.Output{}, fmt.Errorf("wrapped: %w", err)
		}), nil
	}}
}

type resolverFunc func(context.Context, resolver.Input) (resolver.Output, error)

func (f resolverFunc) Resolve(ctx context.Context, in resolver.Input) (resolver.Output, error) {
	return f(ctx, in)
}

func TestNotInProgress(t *testing.T) {
	for _, state := range []request.State{request.StateStale, request.StateFailed, request.StateComplete} {
		t.Run("L08 "+string(state), func(t *testing.T) {
			ctx := context.Background()
			w := newWorld(t)
			url, ref := w.repository()
			pr := w.start(-1)
			defer pr.close()
			req := pr.create(t, url, ref, nil, "synthetic")
			if _, err := pr.Store.Update(ctx, req.ID, store.Update{State: state, Reason: "by hand"}); err != nil {
				t.Fatal(err)
			}
			for _, step := range Steps([]string{"synthetic"}) {
				if err := pr.send(ctx, req.ID, step, false); err != nil {
					t.Fatal(err)
				}
			}
			if err := pr.drain(t); err != nil {
				t.Fatal(err)
			}
			got := w.outcome(pr, req.ID)
			if len(got.History) != 2 || len(got.Queued) > 0 || len(w.git.Requests()) > 0 {
				t.Errorf("work was done: %s, git asked %v", jsonText(got), w.git.Requests())
			}
		})
	}
}

func TestExpiry(t *testing.T) {
	day := 24 * time.Hour
	for _, tc := range []struct {
		name  string
		state request.State
		age   time.Duration
		want  request.State
	}{
		{"L12 complete, exactly a day", request.StateComplete, day, request.StateComplete},
		{"L12 complete, a day and a second", request.StateComplete, day + time.Second, request.StateStale},
		{"L13 failed, 6 days", request.StateFailed, 6 * day, request.StateFailed},
		{"L13 failed, 8 days", request.StateFailed, 8 * day, request.StateStale},
		{"in progress, a day and a second", request.StateInProgress, day + time.Second, request.StateStale},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx := context.Background()
			w := newWorld(t)
			url, ref := w.repository()
			pr := w.start(-1)
			defer pr.close()
			req := pr.create(t, url, ref, nil)
			if tc.state != request.StateInProgress {
				req = pr.finish(t, url, ref, nil)
			}
			if tc.state == request.StateFailed {
				req = pr.create(t, url, ref, nil)
				if err := pr.fail(ctx, req.ID, fault.Client(fault.ValidationError, "no")); err != nil {
					t.Fatal(err)
				}
			}
			w.advance(tc.age)
			if err := pr.expireOld(ctx); err != nil {
				t.Fatal(err)
			}
			got, err := pr.store.Get(ctx, req.ID)
			if err != nil {
				t.Fatal(err)
			}
			if got.State != tc.want {
				t.Fatalf("got %s, want %s", got.State, tc.want)
			}
			if tc.want == request.StateStale {
				if got.StateReason != "The request has expired" || got.Bundle != nil || !strings.HasPrefix(w.log(pr, req.ID), "no log") {
					t.Errorf("got %q, bundle %v, log %q", got.StateReason, got.Bundle, w.log(pr, req.ID))
				}
			}
		})
	}
}

func TestLinksThatLeave(t *testing.T) {
	w := newWorld(t)
	repo := w.git.Init("o/links")
	ref := repo.Commit(map[string]string{"f": "x"}, gitrepotest.Symlink("l", ".."), gitrepotest.Symlink("sub/ok", "../f"))
	pr := w.start(-1)
	defer pr.close()
	t.Run("S09 refused", func(t *testing.T) {
		req := pr.finish(t, w.git.URL("o/links"), ref, nil)
		if want := "The destination of 'l' is outside of cloned repository"; req.StateReason != want || req.ErrorType != "ValidationError" || req.ErrorOrigin != "client" {
			t.Errorf("got %q %s %s, want %q", req.StateReason, req.ErrorType, req.ErrorOrigin, want)
		}
	})
	t.Run("S11 removed with the flag", func(t *testing.T) {
		req := pr.finish(t, w.git.URL("o/links"), ref, []string{"remove-unsafe-symlinks"})
		files, _ := pr.unpacked(t, req)
		if _, there := files["app/l"]; there || files["app/sub/ok"] != "-> ../f" {
			t.Errorf("got %v", files)
		}
		if !strings.Contains(w.log(pr, req.ID), "Removed a symbolic link") {
			t.Errorf("no warning in the log:\n%s", w.log(pr, req.ID))
		}
	})
}

func TestChecksumChanges(t *testing.T) {
	w := newWorld(t)
	url, ref := w.repository()
	pr := w.start(-1)
	defer pr.close()
	pr.finish(t, url, ref, nil, "synthetic")
	// The registry serves something else under the same URL, and the cache has lost its copy.
	w.serve("/lib-1.0.zip", "tampered")
	removeMatching(t, w, "sha256")
	removeMatching(t, w, "results")
	removeMatching(t, w, "bundles")
	req := pr.finish(t, url, ref, nil, "synthetic")
	if req.State != request.StateFailed || req.ErrorType != "InvalidChecksum" || !strings.Contains(req.StateReason, "lib-1.0.zip changed since it was first seen: expected sha256:") {
		t.Errorf("got %s %s %q", req.State, req.ErrorType, req.StateReason)
	}
}

func TestRegistryFaults(t *testing.T) {
	w := newWorld(t)
	url, ref := w.repository()
	pr := w.start(-1)
	defer pr.close()
	w.mu.Lock()
	w.answers["/lib-1.0.zip"] = func(rw http.ResponseWriter) { http.Error(rw, "gone", http.StatusGone) }
	w.mu.Unlock()
	req := pr.finish(t, url, ref, nil, "synthetic")
	if req.ErrorOrigin != "client" || req.ErrorType != "NetworkError" || !strings.Contains(req.StateReason, "/lib-1.0.zip: 410 Gone") {
		t.Errorf("got %s %s %q", req.ErrorOrigin, req.ErrorType, req.StateReason)
	}
}

func TestDuplicatePackages(t *testing.T) {
	w := newWorld(t)
	url, ref := w.repository()
	pr := w.start(-1, func(s *Settings, d *Deps) {
		v := "1"
		d.Managers = append(d.Managers, resolver.Descriptor{Name: "twice", Version: "1", New: func(resolver.Settings) (resolver.Resolver, error) {
			return resolverFunc(func(context.Context, resolver.Input) (resolver.Output, error) {
				return resolver.Output{Packages: []packages.Package{{Name: "a", Type: "pip", Version: &v}, {Name: "a", Type: "pip", Version: &v, Path: "sub"}}}, nil
			}), nil
		}})
		s.Resolvers["twice"] = resolver.Settings{}
	})
	defer pr.close()
	req := pr.finish(t, url, ref, nil, "twice")
	if want := "Duplicate package: {'name': 'a', 'version': '1', 'type': 'pip'}"; req.StateReason != want || req.ErrorType != "InvalidRequestData" {
		t.Errorf("K02: got %q %s, want %q", req.StateReason, req.ErrorType, want)
	}
}

// A bundle outlives its last request for as long as somebody may be about to use it, and not longer.
func TestSweep(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	url, ref := w.repository()
	pr := w.start(-1)
	defer pr.close()
	req := pr.finish(t, url, ref, nil)
	there := func() bool {
		_, err := pr.blobs.Stat(ctx, req.Bundle.Key)
		return err == nil
	}
	w.advance(25 * time.Hour)
	if err := pr.Tidy(ctx); err != nil {
		t.Fatal(err)
	}
	if !there() {
		t.Error("the bundle went with its request, a day after its last use")
	}
	w.advance(7 * 24 * time.Hour)
	if err := pr.Tidy(ctx); err != nil {
		t.Fatal(err)
	}
	if there() {
		t.Error("the bundle is still there, 8 days after its last use")
	}
}

// A message that comes again and again while its step runs here never becomes a dead letter.
func TestRepeatedMessage(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	url, ref := w.repository()
	pr := w.start(-1)
	defer pr.close()
	req := pr.create(t, url, ref, nil, "synthetic")
	if err := pr.send(ctx, req.ID, StepSource, false); err != nil {
		t.Fatal(err)
	}
	if !pr.enter(stepID{req.ID, StepSource}) { // it runs
		t.Fatal("the step cannot be entered")
	}
	for range 20 {
		if err := pr.drain(t); err != nil {
			t.Fatal(err)
		}
		if err := pr.Reap(ctx); err != nil {
			t.Fatal(err)
		}
		w.advance(RepeatPause + time.Second)
	}
	pr.leave(stepID{req.ID, StepSource})
	if err := pr.drain(t); err != nil {
		t.Fatal(err)
	}
	if got := w.outcome(pr, req.ID); got.State != request.StateComplete {
		t.Errorf("got %s: %s", got.State, got.Reason)
	}
}
