package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cachito-serverless/cachito/shared/client"
	"github.com/cachito-serverless/cachito/shared/config"
	"github.com/cachito-serverless/cachito/shared/logging"
	"github.com/cachito-serverless/cachito/shared/pipeline"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

type fetchCmd struct {
	Repo string `arg:"" help:"Repository: a URL, or a folder on this machine."`
	Ref  string `arg:"" optional:"" help:"Commit (40 hex digits), branch or tag. Default: HEAD."`
	order
	Out     string `name:"output" short:"o" type:"path" default:"bundle.tar.gz" placeholder:"PATH" help:"File (.tar.gz, .tgz), or folder to unpack into (default bundle.tar.gz)."`
	Dirty   bool   `name:"dirty" help:"Take a folder as it is, uncommitted changes included."`
	RepoURL string `name:"repo-url" placeholder:"URL" help:"Report a folder under this URL (default: its remote origin)."`
	JSON    bool   `name:"json" help:"Print the finished request with the bundle's sha256 and size as JSON."`
}

// Help adds examples.
func (fetchCmd) Help() string {
	return `Package managers are found by their files at the root unless --pm or --no-pm is given. Downloads
are kept in your cache folder and shared with later runs. Settings are those of serve.

Examples:
  cachito fetch https://github.com/spf13/cobra v1.8.0
  cachito fetch https://github.com/spf13/cobra adbc8813901bba65827259daa8e22ff94ec1f30e -o cobra/
  cachito fetch . --pm gomod --pm gomod:tools --flag gomod-vendor
  cachito fetch . --dirty --json -o /tmp/bundle.tar.gz
  CACHITO_NETRC=~/.netrc cachito fetch https://git.example/private/repo main`
}

// Run makes the bundle.
func (c fetchCmd) Run(ctx context.Context, stdout io.Writer) (err error) {
	body, err := c.body()
	if err != nil {
		return err
	}
	if err := checkTarget(c.Out); err != nil {
		return err
	}
	if !asFile(c.Out) && strings.HasSuffix(c.Out, ".gz") {
		return usagef("-o %s: an archive's name ends in .tar.gz or .tgz", c.Out)
	}
	cfg, err := loadConfig(nil)
	if err != nil {
		return err
	}
	if slices.Equal(cfg.PackageManagers, []string{resolver.DefaultManagers}) {
		cfg.PackageManagers = []string{resolver.AllManagers} // no client of upstream's looks on
	}
	temp, err := os.MkdirTemp("", "cachito-fetch-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removeAll(temp)) }()
	src, err := c.source()
	if err != nil {
		return err
	}
	home, err := c.open(cfg, temp, src)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, home.close()) }()
	if err := src.resolve(ctx, home.git); err != nil {
		return err
	}
	body.Repo, body.Ref = src.url, src.ref
	if body.PackageManagers == nil {
		managers, err := src.detect(ctx, home)
		if err != nil {
			return err
		}
		if len(managers) == 0 {
			fmt.Fprintln(os.Stderr, "no package manager was found by its files: bundling the source alone (name one with --pm)")
		}
		body.PackageManagers = &managers
	}
	service, err := client.New("http://localhost", &http.Client{Transport: inProcess{home.handler}})
	if err != nil {
		return err
	}
	return c.run(ctx, stdout, home, service, body, temp)
}

// run drives the request to its end and puts the bundle where it is wanted.
func (c fetchCmd) run(ctx context.Context, stdout io.Writer, home *home, service *client.Client, body client.Order, temp string) error {
	req, err := service.Create(ctx, body)
	if err != nil {
		return err
	}
	show := newReporter(os.Stderr, time.Now)
	_, err = home.pipeline.RunRequest(ctx, req.ID, func(r request.Request) { show.update(viewOf(r)) })
	show.end()
	if err != nil {
		return err
	}
	if req, err = service.Get(ctx, req.ID); err != nil {
		return err
	}
	if err := ended(req); err != nil {
		return err
	}
	file := c.Out
	if !asFile(c.Out) {
		file = filepath.Join(temp, "bundle.tar.gz")
	} else if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	bundle, err := service.Download(ctx, req.ID, file)
	if err != nil {
		return err
	}
	if !asFile(c.Out) {
		if err := unpack(ctx, file, c.Out); err != nil {
			return err
		}
		bundle.Path = c.Out
	}
	if c.JSON {
		return printFetched(stdout, req, bundle)
	}
	fmt.Fprintf(stdout, "%s  %s  sha256 %s\n%s of %s: %s, %s\n", bundle.Path, humanBytes(bundle.Size), bundle.SHA256,
		managerNames(req.PackageManagers), logging.Redact(req.Repo),
		count(len(req.Packages), "package", "packages"), count(len(req.Dependencies), "dependency", "dependencies"))
	if !asFile(c.Out) {
		fmt.Fprintf(stdout, "Build: cd %s && . ./cachito.env && cd app && ...\n", c.Out)
	}
	return nil
}

// open wires the product with a throw-away database and the caches of this user.
func (c fetchCmd) open(cfg config.Config, temp string, src *source) (*home, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, usagef("no cache folder: %v; set XDG_CACHE_HOME", err)
	}
	cache = filepath.Join(cache, "cachito")
	cfg.LoginDisabled, cfg.IdentityHeader, cfg.KerberosKeytab, cfg.PublicURL, cfg.Download = true, "", "", "", config.DownloadStream
	local := map[string]pipeline.LocalRepo{}
	if src.folder != "" {
		local[src.url] = pipeline.LocalRepo{Path: src.folder, Dirty: c.Dirty}
	}
	// People see the request's reasons; what operators log would only disturb unless asked for.
	level := cfg.LogLevel
	if os.Getenv("CACHITO_LOG_LEVEL") == "" {
		level = quiet
	}
	return openHome(cfg, places{
		database: filepath.Join(temp, "cachito.db"),
		blobs:    filepath.Join(cache, "blobs"),
		git:      filepath.Join(cache, "git"),
		tools:    filepath.Join(cache, "toolchains"),
		work:     filepath.Join(temp, "work"),
	}, local, logging.New(os.Stderr, cfg.LogFormat, level))
}

// viewOf is what there is to show of a stored request.
func viewOf(r request.Request) view {
	v := view{steps: client.Progress{}}
	for i := len(r.History) - 1; i >= 0; i-- {
		v.reasons = append(v.reasons, r.History[i].Reason)
	}
	for name, s := range r.Steps {
		v.steps[name] = client.StepProgress{State: s.State, Progress: s.Progress}
	}
	return v
}

func managerNames(names []string) string {
	if len(names) == 0 {
		return "source"
	}
	return strings.Join(names, ", ")
}

// printFetched prints the request as the API has it, and the bundle.
func printFetched(w io.Writer, req client.Request, bundle client.Downloaded) error {
	var answer map[string]json.RawMessage
	if err := json.Unmarshal(req.Raw, &answer); err != nil {
		return err
	}
	raw, err := json.Marshal(bundle)
	if err != nil {
		return err
	}
	answer["bundle"] = raw
	// Links into a service that is gone in a moment.
	for _, name := range []string{"configuration_files", "content_manifest", "environment_variables_info", "logs", "id"} {
		delete(answer, name)
	}
	if raw, err = json.Marshal(answer); err != nil {
		return err
	}
	return printJSON(w, raw)
}
