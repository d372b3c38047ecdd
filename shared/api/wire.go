package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
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

// array is a list that is [] rather than null when it is empty.
func array[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// brief is a request as lists show it.
func (c *call) brief(req request.Request) object {
	out := object{
		"id": req.ID, "created": timestamp(req.Created), "repo": req.Repo, "ref": req.Ref,
		"pkg_managers": array(req.PackageManagers), "user": textOrNull(req.User), "submitted_by": textOrNull(req.SubmittedBy),
		"environment_variables": variables(req.EnvironmentVariables), "flags": array(req.Flags),
		"packages": req.PackagesCount, "dependencies": req.DependenciesCount,
		"state": req.State, "state_reason": req.StateReason, "updated": timestamp(req.Updated),
	}
	if req.ErrorOrigin != "" {
		out["error_origin"], out["error_type"] = req.ErrorOrigin, req.ErrorType
	}
	return out
}

// verbose is a request with its history, packages and dependencies, as GET of one shows it. The packages
// are read when it is written.
func (c *call) verbose(ctx context.Context, req request.Request) object {
	out := c.brief(req)
	base := fmt.Sprintf("%s/requests/%d", c.base(), req.ID)
	out["configuration_files"] = base + "/configuration-files"
	out["content_manifest"] = base + "/content-manifest"
	out["environment_variables_info"] = base + "/environment-variables"
	if c.LogsEnabled {
		out["logs"] = object{"url": base + "/logs"}
	}
	out["state_history"] = listOf(req.History, func(h request.StateChange) any {
		return object{"state": h.State, "state_reason": h.Reason, "updated": timestamp(h.At)}
	})
	out["packages"], out["dependencies"] = []string{}, []string{}
	if req.State != request.StateComplete {
		return out
	}
	read := sync.OnceValues(func() (packages.Data, error) {
		data, err := c.packagesData(ctx, req)
		for _, p := range data.Packages {
			withReplaces(p.Dependencies)
		}
		return data, err
	})
	part := func(name string, list func(data packages.Data) streamed) streamed {
		return c.kept(name+" of "+req.PackagesKey, func(w io.Writer) (bool, error) {
			data, err := read()
			found := !errors.Is(err, blob.ErrNotFound) // else there are none yet, or none any more
			if err != nil && found {
				return false, err
			}
			return found, list(data)(w)
		})
	}
	out["packages"] = part("packages", func(d packages.Data) streamed { return listOf(d.Packages, onePackage) })
	out["dependencies"] = part("dependencies", func(d packages.Data) streamed {
		return listOf(packages.MergeDependencies(d.Packages), itself)
	})
	return out
}

// onePackage is a package that is written dependency by dependency.
func onePackage(p packages.Package) any {
	return streamed(func(w io.Writer) error { return packages.EncodePackage(w, p) })
}

// withReplaces shows the key replaces where the data has none.
func withReplaces(list []packages.Dependency) {
	for i := range list {
		list[i].HasReplaces = true
	}
}

// packagesData reads what the resolvers found. blob.ErrNotFound when there is nothing (any more).
func (c *call) packagesData(ctx context.Context, req request.Request) (packages.Data, error) {
	return c.readPackages(ctx, req, packages.Decode)
}

func (c *call) readPackages(ctx context.Context, req request.Request, decode func(io.Reader) (packages.Data, error)) (packages.Data, error) {
	if req.PackagesKey == "" {
		return packages.Data{}, fmt.Errorf("packages data of request %d: %w", req.ID, blob.ErrNotFound)
	}
	o, err := c.Blobs.Open(ctx, req.PackagesKey)
	if err != nil {
		return packages.Data{}, err
	}
	defer o.Close()
	if err := c.large(ctx, o.Info().Size); err != nil {
		return packages.Data{}, err
	}
	data, err := decode(o)
	if err != nil {
		return packages.Data{}, fmt.Errorf("packages data of request %d: %w", req.ID, err)
	}
	return data, nil
}
