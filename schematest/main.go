// Command schematest puts Schemathesis to a running service: thousands of calls made up from our own OpenAPI
// description, good and bad ones, and every answer compared with it. The service is real, with a request in
// each state. The argument is the command of Schemathesis; `make test-schema` installs it.
//
// schemathesis.toml says which checks do not hold for which operations, and why.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/cachito-serverless/cachito/shared/client"
	"github.com/cachito-serverless/cachito/shared/client/clienttest"
	"github.com/cachito-serverless/cachito/shared/gitrepo/gitrepotest"
	"github.com/cachito-serverless/cachito/shared/request"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: schematest SCHEMATHESIS")
		os.Exit(2)
	}
	if err := run(ctx, os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "schematest: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, schemathesis string) (err error) {
	dir, err := os.MkdirTemp("", "cachito-schematest-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, clienttest.RemoveAll(dir)) }()
	binary := filepath.Join(dir, "cachito")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "./cmd/cachito")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building cachito: %w", err)
	}
	git, err := gitrepotest.Start(filepath.Join(dir, "git"))
	if err != nil {
		return err
	}
	defer git.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer silent.Close()
	service, err := clienttest.Start(ctx, binary, filepath.Join(dir, "data"),
		"CACHITO_ALLOW_HOSTS="+git.Host()+","+silent.Addr().String(), "LOGIN_DISABLED=true")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, service.Stop()) }()
	if err := orders(ctx, service, git, silent.Addr().String()); err != nil {
		return fmt.Errorf("ordering: %w\n%s", err, service.Log())
	}

	test := exec.CommandContext(ctx, schemathesis, "--config-file", filepath.Join("schematest", "schemathesis.toml"), "run", service.URL+"/api/v1/openapi.json")
	test.Stdout, test.Stderr = os.Stdout, os.Stderr
	if err := test.Run(); err != nil {
		return fmt.Errorf("schemathesis: %w", err)
	}
	for line := range strings.Lines(service.Log()) {
		if strings.Contains(line, `"level":"ERROR"`) {
			return fmt.Errorf("the service logged an error: %s", line)
		}
	}
	return nil
}

// orders makes a request in each state: 1 complete, 2 failed, 3 stale, 4 in progress.
func orders(ctx context.Context, service *clienttest.Service, git *gitrepotest.Server, silent string) error {
	ref := git.Init("application").Commit(map[string]string{
		// The version that is there: another one would be downloaded.
		"go.mod": "module example.org/application\n\ngo " + strings.TrimPrefix(runtime.Version(), "go") + "\n", "main.go": "package main\n\nfunc main() {}\n",
	})
	for _, order := range []struct {
		repo, ref string
		state     request.State
	}{
		{git.URL("application"), ref, request.StateComplete},
		{git.URL("application"), strings.Repeat("0", 40), request.StateFailed},
		{git.URL("application"), ref, request.StateStale},
		{"http://" + silent + "/silent.git", ref, request.StateInProgress},
	} {
		req, err := service.Client.Create(ctx, client.Order{Repo: order.repo, Ref: order.ref, PackageManagers: &[]string{"gomod"}})
		if err != nil {
			return err
		}
		if order.state == request.StateInProgress {
			continue
		}
		if req, err = service.Client.Wait(ctx, req.ID, nil); err != nil {
			return err
		}
		if order.state == request.StateStale {
			if err := expire(ctx, fmt.Sprintf("%s/api/v1/requests/%d", service.URL, req.ID)); err != nil {
				return err
			}
		} else if req.State != order.state {
			return fmt.Errorf("request %d is %s (%s), want %s", req.ID, req.State, req.StateReason, order.state)
		}
	}
	return nil
}

// expire makes a request stale, as a worker does.
func expire(ctx context.Context, url string) error {
	body := fmt.Sprintf(`{"state": %q, "state_reason": %q}`, request.StateStale, request.ReasonExpired)
	r, err := http.NewRequestWithContext(ctx, http.MethodPatch, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("PATCH %s: %s", url, answer.Status)
	}
	return errors.Join(err, answer.Body.Close())
}
