package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/cachito-serverless/cachito/shared/client"
)

type waitCmd struct {
	ID   int64 `arg:"" name:"request" help:"Request id."`
	JSON bool  `name:"json" help:"Print the finished request as JSON."`
	remote
}

// Help adds examples.
func (waitCmd) Help() string {
	return `Shows progress on stderr and ends with 0 when the request is complete, with 1 when it failed or is stale.

Examples:
  cachito wait 7
  id=$(cachito request REPO REF) && cachito wait $id && cachito download $id`
}

// Run waits.
func (c waitCmd) Run(ctx context.Context, stdout io.Writer) error {
	service, err := c.client()
	if err != nil {
		return err
	}
	req, err := follow(ctx, service, c.ID)
	if err != nil {
		return err
	}
	if c.JSON {
		if err := printJSON(stdout, req.Raw); err != nil {
			return err
		}
	}
	if err := ended(req); err != nil {
		return err
	}
	if !c.JSON {
		fmt.Fprintln(stdout, summary(req))
	}
	return nil
}

// follow waits for a request of a service and shows its progress on stderr.
func follow(ctx context.Context, service *client.Client, id int64) (client.Request, error) {
	show := newReporter(os.Stderr, time.Now)
	defer show.end()
	return service.Wait(ctx, id, func(req client.Request, progress client.Progress) {
		v := view{steps: progress}
		for i := len(req.History) - 1; i >= 0; i-- {
			v.reasons = append(v.reasons, req.History[i].Reason)
		}
		show.update(v)
	})
}
