package main

import (
	"context"
	"io"
)

type logsCmd struct {
	ID int64 `arg:"" name:"request" help:"Request id."`
	remote
}

// Help adds examples.
func (logsCmd) Help() string {
	return `Examples:
  cachito logs 7
  cachito logs 7 | grep -i error`
}

// Run prints the log.
func (c logsCmd) Run(ctx context.Context, stdout io.Writer) error {
	service, err := c.client()
	if err != nil {
		return err
	}
	return service.Logs(ctx, c.ID, stdout)
}
