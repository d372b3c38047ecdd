package pipeline

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/requestlog"
	"github.com/cachito-serverless/cachito/shared/store"
)

// Expire does what follows from a request's becoming stale: its log goes, and its reference to the
// bundle; the bundle itself goes when nobody else refers to it. It may be repeated.
// req is the request as it was before the reference was dropped.
func (p *Pipeline) Expire(ctx context.Context, req request.Request) error {
	none := ""
	_, err := p.Store.Update(ctx, req.ID, store.Update{DropBundle: true, PackagesKey: &none})
	if err != nil {
		return fmt.Errorf("dropping the bundle of request %d: %w", req.ID, err)
	}
	err = requestlog.Delete(ctx, p.Blobs, req.ID)
	if req.Bundle != nil {
		_, dropping := p.dropBundle(ctx, req.Bundle.Key)
		err = errors.Join(err, dropping)
	}
	return err
}

// dropBundle deletes a bundle that no request refers to and that nobody used lately: a request that is
// just being completed may have found it and not stored its reference yet.
func (p *Pipeline) dropBundle(ctx context.Context, key string) (gone bool, err error) {
	used, err := p.Store.Referenced(ctx, key)
	if err != nil || used {
		return false, err
	}
	info, err := p.Blobs.Stat(ctx, key)
	if err != nil {
		return false, ignoreNotFound(err)
	}
	if p.Clock().Sub(info.LastUse) < max(p.settings.Lifetime, p.settings.LifetimeFailed) {
		return false, nil // pruneCache takes it later
	}
	dir := path.Dir(key) + "/"
	if err := p.Blobs.Delete(ctx, dir+bundleMeta, dir+bundlePackages, key, key+".sha256"); err != nil {
		return false, fmt.Errorf("dropping bundle %s: %w", key, err)
	}
	return true, nil
}
