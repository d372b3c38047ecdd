package main

import (
	"context"
	"fmt"
	"io"
	"os"
)

type requestCmd struct {
	Repo string `arg:"" help:"Repository URL."`
	Ref  string `arg:"" help:"Commit: 40 hex digits."`
	order
	User string `name:"user" help:"Order in this user's name."`
	Wait bool   `name:"wait" short:"w" help:"Follow the request until it is finished."`
	Out  string `name:"output" short:"o" type:"path" placeholder:"FILE" help:"Download the bundle too (waits for it)."`
	JSON bool   `name:"json" help:"Print the service's answer as it is."`
	remote
}

// Help adds examples.
func (requestCmd) Help() string {
	return `Prints the request's id, for wait, download and logs.

Examples:
  cachito request https://github.com/spf13/cobra e94f6d0dd9a5e5738dca6bce03c4b1207ffbc0ec --pm gomod
  cachito request --api https://cachito.example REPO REF --pm gomod:tools --flag gomod-vendor --wait
  cachito request REPO REF --no-pm -o source.tar.gz`
}

// Run sends the request.
func (c requestCmd) Run(ctx context.Context, stdout io.Writer) error {
	body, err := c.body()
	if err != nil {
		return err
	}
	body.Repo, body.Ref, body.User = c.Repo, c.Ref, c.User
	service, err := c.client()
	if err != nil {
		return err
	}
	req, err := service.Create(ctx, body)
	if err != nil {
		return err
	}
	if c.Wait || c.Out != "" {
		fmt.Fprintf(os.Stderr, "request %d\n", req.ID)
		if req, err = follow(ctx, service, req.ID); err != nil {
			return err
		}
	}
	if c.JSON {
		if err := printJSON(stdout, req.Raw); err != nil {
			return err
		}
	} else if c.Out == "" {
		fmt.Fprintln(stdout, req.ID)
	}
	if c.Wait || c.Out != "" {
		if err := ended(req); err != nil {
			return err
		}
	}
	if c.Out == "" {
		return nil
	}
	return save(ctx, service, req, c.Out, c.JSON, stdout)
}
