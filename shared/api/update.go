package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/pyrepr"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

// update answers PATCH /requests/{id}: a worker's report, applied all or nothing.
func (c *call) update() error {
	body := c.body.(pyrepr.Object)
	u, err := updateOf(body)
	if err != nil {
		return err
	}
	ctx := c.r.Context()
	before, err := c.load()
	if err != nil {
		return err
	}
	if _, err := c.Store.Update(ctx, c.id, u); err != nil {
		return err
	}
	if u.State == request.StateStale && c.Expire != nil {
		// The state has changed, so the tidying does not end with a client that goes away, and whatever
		// goes wrong with it is no error of the report; a repeated PATCH tries again.
		if err := c.Expire(context.WithoutCancel(ctx), before); err != nil {
			c.log.ErrorContext(ctx, "stale request not tidied up", "cachito_request_id", c.id, "error", err)
		}
	}
	return c.write(http.StatusOK, "")
}

func updateOf(body pyrepr.Object) (store.Update, error) {
	var u store.Update
	text := func(key string) (string, bool) {
		v, ok := body.Get(key)
		s, _ := v.(string)
		return s, ok
	}
	if v, ok := body.Get("environment_variables"); ok {
		u.EnvironmentVariables = map[string]request.EnvironmentVariable{}
		for _, m := range v.(pyrepr.Object) {
			variable := m.Value.(pyrepr.Object)
			value, _ := variable.Get("value")
			kind, _ := variable.Get("kind")
			if kind != "path" && kind != "literal" {
				return u, badRequest("The environment variable kind, %s, is not supported", kind)
			}
			u.EnvironmentVariables[m.Key] = request.EnvironmentVariable{Value: value.(string), Kind: kind.(string)}
		}
	}
	state, hasState := text("state")
	reason, hasReason := text("state_reason")
	switch {
	case hasState && !hasReason:
		return u, badRequest(`The "state_reason" key is required when "state" is supplied`)
	case hasReason && !hasState:
		return u, badRequest(`The "state" key is required when "state_reason" is supplied`)
	}
	u.State, u.Reason = request.State(state), reason
	u.ErrorOrigin, _ = text("error_origin")
	u.ErrorType, _ = text("error_type")
	for key, to := range map[string]**int64{"packages_count": &u.PackagesCount, "dependencies_count": &u.DependenciesCount} {
		v, ok := body.Get(key)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(string(v.(json.Number)), 10, 64)
		if err != nil {
			return u, badRequest("The value of %q is too large: %s", key, v)
		}
		*to = &n
	}
	return u, nil
}

// configFiles answers GET /requests/{id}/configuration-files.
func (c *call) configFiles() error {
	ctx := c.r.Context()
	files, err := c.Store.ConfigFiles(ctx, c.id)
	if err != nil {
		return err
	}
	contents := listOf(files, func(f request.ConfigFile) any {
		content := streamed(func(w io.Writer) error {
			o, err := c.Blobs.Open(ctx, f.Key)
			if err != nil {
				return fmt.Errorf("configuration file %s of request %d: %w", f.Path, c.id, err)
			}
			defer o.Close()
			return writeText(w, o)
		})
		return object{"content": content, "path": f.Path, "type": "base64"}
	})
	return c.write(http.StatusOK, contents)
}

// addConfigFiles answers POST /requests/{id}/configuration-files. Contents are kept as they were sent.
func (c *call) addConfigFiles() error {
	ctx := c.r.Context()
	if _, err := c.load(); err != nil {
		return err
	}
	var files []request.ConfigFile
	for _, v := range c.body.([]any) {
		entry := v.(pyrepr.Object)
		content, _ := entry.Get("content")
		path, _ := entry.Get("path")
		f := request.ConfigFile{Path: path.(string), Key: request.ConfigFileKey(content.(string))}
		if err := c.Blobs.Put(ctx, f.Key, []byte(content.(string)), false); err != nil && !errors.Is(err, blob.ErrExists) {
			return err
		}
		files = append(files, f)
	}
	if err := c.Store.AddConfigFiles(ctx, c.id, files); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}
