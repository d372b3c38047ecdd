package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cachito-serverless/cachito/shared/client"
	"github.com/cachito-serverless/cachito/shared/request"
)

// outcome is a finished request with its bundle.
type outcome struct {
	req    client.Request
	bundle client.Downloaded
	took   time.Duration
}

// request orders the bundle and follows it.
func (s *story) request(ctx context.Context) error {
	s.out.chapter("A request over HTTP, as any Cachito client sends it")
	body := client.Order{Repo: s.repo.url, Ref: s.repo.ref, PackageManagers: &[]string{"gomod"}}
	shown, err := json.Marshal(body)
	if err != nil {
		return err
	}
	s.out.fact("POST", "/api/v1/requests %s", shown)
	s.first, err = s.order(ctx, body, "bundle.tar.gz", true)
	return err
}

// order sends a request, waits and downloads.
func (s *story) order(ctx context.Context, body client.Order, file string, live bool) (outcome, error) {
	started := time.Now()
	req, err := s.service.Client.Create(ctx, body)
	if err != nil {
		return outcome{}, err
	}
	shown := 0
	last := ""
	req, err = s.service.Client.Wait(ctx, req.ID, func(r client.Request, progress client.Progress) {
		if !live {
			return
		}
		elapsed := fmt.Sprintf("%.1f s", time.Since(started).Seconds())
		for ; shown < len(r.History); shown++ {
			s.out.fact(elapsed, "%s", r.History[len(r.History)-1-shown].Reason)
		}
		for name, p := range progress {
			text := fmt.Sprintf("%s: %d of %d, %s", strings.TrimPrefix(name, "resolve-"), p.Done, p.Total, megabytes(p.Bytes))
			if p.Total > 0 && p.State != request.StepDone && text != last {
				last = text
				s.out.fact(elapsed, "%s", text)
			}
		}
	})
	if err != nil {
		return outcome{}, err
	}
	if req.State != request.StateComplete {
		return outcome{}, fmt.Errorf("request %d is %s: %s", req.ID, req.State, req.StateReason)
	}
	took := time.Since(started)
	bundle, err := s.service.Client.Download(ctx, req.ID, filepath.Join(s.dir, file))
	if err != nil {
		return outcome{}, err
	}
	if !bundle.Verified {
		return outcome{}, fmt.Errorf("request %d: the download had no Digest", req.ID)
	}
	return outcome{req, bundle, took}, nil
}

// inspect shows what came back.
func (s *story) inspect(ctx context.Context) error {
	s.out.chapter("The bundle, and what is known about it")
	first := s.first
	s.out.fact("bundle", "%s in %.1f s", megabytes(first.bundle.Size), first.took.Seconds())
	s.out.check("sha256 %s, as the Digest header promised", first.bundle.SHA256)
	var sbom struct {
		Components []struct {
			PURL string `json:"purl"`
		} `json:"components"`
	}
	raw, err := s.service.Client.JSON(ctx, fmt.Sprintf("/sbom?requests=%d", first.req.ID))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, &sbom); err != nil {
		return err
	}
	s.out.fact("known", "%d packages, %d dependencies, %d SBOM components", len(first.req.Packages), len(first.req.Dependencies), len(sbom.Components))
	// The modules among them: one line each.
	var modules []string
	for _, list := range [][]client.Package{first.req.Packages, first.req.Dependencies} {
		for _, d := range list {
			if d.Type != "gomod" || d.Version == nil {
				continue
			}
			suffix := "@" + *d.Version
			for _, c := range sbom.Components {
				if strings.HasSuffix(c.PURL, suffix) && strings.Contains(c.PURL, "/"+strings.ReplaceAll(d.Name, "/", "%2F")+"@") {
					modules = append(modules, c.PURL)
				}
			}
		}
	}
	modules = slices.Compact(modules)
	if len(modules) < 4 {
		return fmt.Errorf("want the module and its dependencies as purls in the SBOM, got %v", modules)
	}
	for _, purl := range modules {
		s.out.fact("", "%s", purl)
	}
	return nil
}

// repeat shows that nothing is done twice, and that another machine gives the same bytes.
func (s *story) repeat(ctx context.Context) error {
	s.out.chapter("The same again")
	s.repo.server.Reset()
	body := client.Order{Repo: s.repo.url, Ref: s.repo.ref, PackageManagers: &[]string{"gomod"}}
	again, err := s.order(ctx, body, "again.tar.gz", false)
	if err != nil {
		return err
	}
	if got, want := again.bundle.SHA256, s.first.bundle.SHA256; got != want {
		return fmt.Errorf("the second request's bundle has sha256 %s, want %s", got, want)
	}
	if calls := s.repo.server.Requests(); len(calls) > 0 {
		return fmt.Errorf("the second request asked the git server again: %v", calls)
	}
	s.out.check("the same request: complete in %d ms, nothing fetched, same bytes", again.took.Milliseconds())

	started := time.Now()
	elsewhere, err := s.fetchElsewhere(ctx)
	if err != nil {
		return err
	}
	if got, want := elsewhere, s.first.bundle.SHA256; got != want {
		return fmt.Errorf("cachito fetch with an empty cache made sha256 %s, want %s", got, want)
	}
	s.out.check("cachito fetch, as on another machine, empty cache: %.1f s, same bytes", time.Since(started).Seconds())
	return nil
}
