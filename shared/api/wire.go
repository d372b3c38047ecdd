package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/request"
)

// timeFormat of every timestamp: UTC, always six fraction digits, no zone. Clients parse exactly this.
const timeFormat = "2006-01-02T15:04:05.000000"

func timestamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(timeFormat)
}

func textOrNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func listOf[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// brief is a request as lists show it.
func (c *call) brief(req request.Request) map[string]any {
	env := map[string]string{}
	for name, v := range req.EnvironmentVariables {
		env[name] = v.Value
	}
	out := map[string]any{
		"id": req.ID, "created": timestamp(req.Created), "repo": req.Repo, "ref": req.Ref,
		"pkg_managers": listOf(req.PackageManagers), "user": textOrNull(req.User), "submitted_by": textOrNull(req.SubmittedBy),
		"environment_variables": env, "flags": listOf(req.Flags),
		"packages": req.PackagesCount, "dependencies": req.DependenciesCount,
		"state": req.State, "state_reason": req.StateReason, "updated": timestamp(req.Updated),
	}
	if req.ErrorOrigin != "" {
		out["error_origin"], out["error_type"] = req.ErrorOrigin, req.ErrorType
	}
	return out
}

// verbose is a request with its history, packages and dependencies, as GET of one shows it.
func (c *call) verbose(ctx context.Context, req request.Request) (map[string]any, error) {
	out := c.brief(req)
	base := fmt.Sprintf("%s/requests/%d", c.base(), req.ID)
	for key, path := range map[string]string{
		"configuration_files": "configuration-files", "content_manifest": "content-manifest", "environment_variables_info": "environment-variables",
	} {
		out[key] = base + "/" + path
	}
	if c.LogsEnabled {
		out["logs"] = map[string]string{"url": base + "/logs"}
	}
	history := []map[string]any{}
	for _, h := range req.History {
		history = append(history, map[string]any{"state": h.State, "state_reason": h.Reason, "updated": timestamp(h.At)})
	}
	out["state_history"] = history
	var data packages.Data
	if req.State == request.StateComplete {
		var err error
		if data, err = c.packagesData(ctx, req); err != nil && !errors.Is(err, blob.ErrNotFound) {
			return nil, err
		}
	}
	deps := packages.MergeDependencies(data.Packages)
	withReplaces(deps)
	for _, p := range data.Packages {
		withReplaces(p.Dependencies)
	}
	out["packages"], out["dependencies"] = listOf(data.Packages), listOf(deps)
	return out, nil
}

// withReplaces shows the key replaces where the data has none.
func withReplaces(list []packages.Dependency) {
	for i := range list {
		list[i].HasReplaces = true
	}
}

// packagesData reads what the resolvers found. blob.ErrNotFound when there is nothing (any more).
func (c *call) packagesData(ctx context.Context, req request.Request) (packages.Data, error) {
	if req.PackagesKey == "" {
		return packages.Data{}, fmt.Errorf("packages data of request %d: %w", req.ID, blob.ErrNotFound)
	}
	o, err := c.Blobs.Open(ctx, req.PackagesKey)
	if err != nil {
		return packages.Data{}, err
	}
	defer o.Close()
	return packages.Decode(o)
}
