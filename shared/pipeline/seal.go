package pipeline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"

	"github.com/cachito-serverless/cachito/shared/blob"
)

// The pipeline's own small objects are JSON below a line with their SHA-256, so that a damaged one is
// told from a true one: it is as good as gone, and made again.

// putSealed stores v. With overwrite false and the key taken: blob.ErrExists.
func (p *Pipeline) putSealed(ctx context.Context, key string, v any, overwrite bool) error {
	return putSealed(ctx, p.Blobs, key, v, overwrite)
}

func putSealed(ctx context.Context, blobs blob.Blob, key string, v any, overwrite bool) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(raw)
	content := append([]byte(hex.EncodeToString(sum[:])+"\n"), raw...)
	return blobs.Put(ctx, key, content, overwrite)
}

// getSealed reads an object into v. blob.ErrNotFound when it is not there or damaged; a damaged one is
// deleted, so that a conditional put can replace it.
func (p *Pipeline) getSealed(ctx context.Context, key string, limit int64, v any) error {
	return getSealed(ctx, p.Blobs, key, limit, v)
}

func getSealed(ctx context.Context, blobs blob.Blob, key string, limit int64, v any) error {
	content, err := blobs.Get(ctx, key, limit)
	if err != nil {
		return err
	}
	line, raw, _ := bytes.Cut(content, []byte("\n"))
	sum := sha256.Sum256(raw)
	if string(line) != hex.EncodeToString(sum[:]) || json.Unmarshal(raw, v) != nil {
		return errors.Join(blobs.Delete(ctx, key), blob.ErrNotFound)
	}
	return nil
}
