package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/cachito-serverless/cachito/shared/client"
	"github.com/cachito-serverless/cachito/shared/request"
)

type downloadCmd struct {
	ID   int64  `arg:"" name:"request" help:"Request id."`
	Out  string `name:"output" short:"o" type:"path" placeholder:"FILE" help:"Where to (default: cachito-ID.tar.gz in the working folder)."`
	JSON bool   `name:"json" help:"Print path, size and sha256 as JSON."`
	remote
}

// Help adds examples.
func (downloadCmd) Help() string {
	return `The file appears whole and with the digest that the service promised, or not at all.

Examples:
  cachito download 7
  cachito download 7 -o /tmp/bundle.tar.gz --json`
}

// Run downloads.
func (c downloadCmd) Run(ctx context.Context, stdout io.Writer) error {
	service, err := c.client()
	if err != nil {
		return err
	}
	req, err := service.Get(ctx, c.ID)
	if err != nil {
		return err
	}
	if req.State == request.StateInProgress {
		return usagef("request %d is not complete yet; wait for it with `cachito wait %d`", req.ID, req.ID)
	}
	if err := ended(req); err != nil {
		return err
	}
	out := c.Out
	if out == "" {
		out = fmt.Sprintf("cachito-%d.tar.gz", req.ID)
	}
	return save(ctx, service, req, out, c.JSON, stdout)
}

// save downloads the bundle of a complete request and says what came.
func save(ctx context.Context, service *client.Client, req client.Request, path string, asJSON bool, stdout io.Writer) error {
	got, err := service.Download(ctx, req.ID, path)
	if err != nil {
		return err
	}
	if !got.Verified {
		fmt.Fprintln(os.Stderr, "cachito: warning: the service named no digest, so the bundle could not be checked")
	}
	if asJSON {
		raw, err := json.Marshal(got)
		if err != nil {
			return err
		}
		return printJSON(stdout, raw)
	}
	fmt.Fprintf(stdout, "%s  %s  sha256 %s\n", got.Path, humanBytes(got.Size), got.SHA256)
	return nil
}
