package gitrepo

import (
	"context"

	"github.com/cachito-serverless/cachito/shared/fault"
)

func (c *Client) fetchLocal(context.Context, Request, TreeSink) (Info, error) {
	return Info{}, fault.ServerFinal(fault.UnsupportedFeature, "local folders are not there yet")
}
