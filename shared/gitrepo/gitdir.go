package gitrepo

import (
	"context"

	"github.com/cachito-serverless/cachito/shared/fault"
)

type gitDir struct{}

func (c *Client) makeGitDir(context.Context, *prepared, string, *Info) (*gitDir, error) {
	return nil, fault.ServerFinal(fault.UnsupportedFeature, "include-git-dir is not there yet")
}
func (g *gitDir) remove()             {}
func (g *gitDir) emit(TreeSink) error { return nil }
