package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/cachito-serverless/cachito/shared/client"
	"github.com/cachito-serverless/cachito/shared/client/clienttest"
	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
	"github.com/cachito-serverless/cachito/shared/request"
)

// What the project promises (docs/design.md).
const (
	minOfSHA256Sum  = 0.8
	minOfTarfile    = 10
	maxMemoryBytes  = 150e6
	maxRepeat       = time.Second
	historyLayout   = "2006-01-02T15:04:05.000000"
	bundlingRepeats = 3
)

// upstreamBundling is how upstream writes its bundles: tarfile at its default level.
const upstreamBundling = `
import sys, tarfile
with tarfile.open(sys.argv[2], mode="w:gz") as archive:
    for name in ("app", "deps"):
        archive.add(f"{sys.argv[1]}/{name}", name)
`

// bundling measures requests over 400 MB of generated modules.
func (b *bench) bundling(ctx context.Context) (err error) {
	progress("generating %d modules of %d MB", moduleCount, moduleBytes>>20)
	goVersion, err := installedGo(ctx)
	if err != nil {
		return err
	}
	mods, err := newModules(filepath.Join(b.dir, "modules"), goVersion)
	if err != nil {
		return err
	}
	defer mods.close()
	git, err := gitrepotest.Start(filepath.Join(b.dir, "git"))
	if err != nil {
		return err
	}
	defer git.Close()
	repo := git.Init("application")
	files := mods.application(-1)
	first := repo.Commit(files)

	service, err := clienttest.Start(ctx, b.binary, filepath.Join(b.dir, "data"),
		"CACHITO_GOPROXY="+mods.url, "CACHITO_GOSUMDB=off",
		"CACHITO_ALLOW_HOSTS="+git.Host()+","+mods.host())
	if err != nil {
		return err
	}
	defer func() {
		if stopErr := service.Stop(); err == nil {
			err = stopErr
		}
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, service.Log())
		}
	}()
	ask := func(ref string) (client.Request, time.Duration, error) {
		started := time.Now()
		req, err := service.Client.Create(ctx, client.Order{Repo: git.URL("application"), Ref: ref, PackageManagers: &[]string{"gomod"}})
		if err != nil {
			return req, 0, err
		}
		req, err = service.Client.Wait(ctx, req.ID, nil)
		if err == nil && req.State != request.StateComplete {
			err = fmt.Errorf("request %d is %s: %s", req.ID, req.State, req.StateReason)
		}
		return req, time.Since(started), err
	}

	req, cold, err := ask(first)
	if err != nil {
		return err
	}
	bundle, err := service.Client.Download(ctx, req.ID, filepath.Join(b.dir, "bundle.tar.gz"))
	if err != nil {
		return err
	}
	size := float64(bundle.Size)
	b.add("first request, everything fetched (loopback proxy)", fmt.Sprintf("%.1f s for a bundle of %.0f MB", cold.Seconds(), size/1e6), "", true)
	memory, err := peakMemory(service.Pid())
	if err != nil {
		return err
	}
	b.add("peak memory of `cachito serve` meanwhile", fmt.Sprintf("%.0f MB", memory/1e6), "<= 150 MB", memory <= maxMemoryBytes)

	_, repeat, err := ask(first)
	if err != nil {
		return err
	}
	b.add("identical second request", fmt.Sprintf("%.2f s", repeat.Seconds()), "< 1 s", repeat < maxRepeat)

	// A new commit with the same lockfile: what is below deps/ is taken as it is.
	files["README.md"] = "a change\n"
	if req, _, err = ask(repo.Commit(files)); err != nil {
		return err
	}
	again, err := between(req, request.ReasonBundle, request.ReasonComplete)
	if err != nil {
		return err
	}
	b.add("bundling a new commit with the same lockfile", fmt.Sprintf("%.2f s, %.0f MB/s", again.Seconds(), size/1e6/again.Seconds()), "", true)

	// New commits with other lockfiles: every byte is written and hashed, only nothing is fetched.
	bundling := time.Duration(0)
	for i := range bundlingRepeats {
		req, _, err := ask(repo.Commit(mods.application(i)))
		if err != nil {
			return err
		}
		took, err := between(req, request.ReasonBundle, request.ReasonComplete)
		if err != nil {
			return err
		}
		bundling = shorter(bundling, took)
	}
	// They have one module less than the first bundle, which is measured below.
	bundling = bundling * moduleCount / (moduleCount - 1)
	speed := size / bundling.Seconds()

	sha, err := best(bundlingRepeats, func() *exec.Cmd { return exec.CommandContext(ctx, "sha256sum", bundle.Path) })
	if err != nil {
		return err
	}
	shaSpeed := size / sha.Seconds()
	b.add("bundling with another lockfile, dependencies cached, against `sha256sum` of the bundle", fmt.Sprintf("%.0f MB/s, %.0f %% of %.0f MB/s", speed/1e6, 100*speed/shaSpeed, shaSpeed/1e6), ">= 80 %", speed >= minOfSHA256Sum*shaSpeed)

	unpacked := filepath.Join(b.dir, "unpacked")
	if err := os.Mkdir(unpacked, 0o755); err != nil {
		return err
	}
	if _, err := output(exec.CommandContext(ctx, "tar", "-xzf", bundle.Path, "-C", unpacked)); err != nil {
		return err
	}
	py, err := best(1, func() *exec.Cmd {
		return exec.CommandContext(ctx, "python3", "-c", upstreamBundling, unpacked, filepath.Join(b.dir, "upstream.tar.gz"))
	})
	if err != nil {
		return err
	}
	b.add("the same against Python's `tarfile` (upstream's way)", fmt.Sprintf("%.0f times as fast (%.1f s, %.1f s)", py.Seconds()/bundling.Seconds(), bundling.Seconds(), py.Seconds()), ">= 10 times", py.Seconds() >= minOfTarfile*bundling.Seconds())
	return nil
}

// between is the time from one reason in a request's history to another.
func between(req client.Request, from, to string) (time.Duration, error) {
	at := map[string]time.Time{}
	for _, h := range req.History {
		t, err := time.Parse(historyLayout, h.Updated)
		if err != nil {
			return 0, err
		}
		at[h.Reason] = t
	}
	if at[from].IsZero() || at[to].IsZero() {
		return 0, fmt.Errorf("request %d: the history lacks %q or %q", req.ID, from, to)
	}
	return at[to].Sub(at[from]), nil
}
