package pipeline

import (
	"context"
	"errors"
	"hash/crc32"
	"io"
	"slices"

	"github.com/cachito-serverless/cachito/shared/archive"
	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// A bundle begins with deps/, whose bytes depend on the lockfiles alone. So a bundle of another commit with the
// same ones begins with the same bytes, and is made from an earlier one: its beginning is copied inside the
// storage, and the hashes go on from the state they had behind it. None of the dependencies is read again.

// prefixRecord says where a bundle's beginning, up to app/, can be copied from.
type prefixRecord struct {
	// Bundle is the key of the bundle that was made last with this beginning.
	Bundle string `json:"bundle"`
	// CRC32 (IEEE) of the bytes before the place, which are those of the compressed archive.
	CRC32 uint32             `json:"crc32"`
	Place archive.Checkpoint `json:"place"`
}

// part is the beginning as a part of a new bundle.
func (r *prefixRecord) part() blob.Part {
	return blob.Part{Key: r.Bundle, Length: r.Place.Size, CRC32: &r.CRC32}
}

// prefixKey covers everything that the bytes of deps/ depend on. It is empty when reading them again costs
// nothing: when none of them is in the cache.
func prefixKey(deps []resolver.Entry) string {
	if !slices.ContainsFunc(deps, func(e resolver.Entry) bool { return e.File != nil || e.Part != nil }) {
		return ""
	}
	return "prefixes/" + keyHash(formatVersion, deps) + ".json"
}

// findPrefix looks for a beginning to copy; nil when there is none.
func (p *Pipeline) findPrefix(ctx context.Context, key string) (*prefixRecord, error) {
	if key == "" {
		return nil, nil
	}
	rec := &prefixRecord{}
	err := p.getSealed(ctx, key, maxPointerBytes, rec)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, nil
	}
	return rec, err
}

// cannotBeCopied: the earlier bundle is gone, or is not what it was.
func cannotBeCopied(err error) bool {
	return errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrChanged) || errors.Is(err, errResume)
}

// errResume: this program cannot go on from the place (it was recorded by another version of it).
var errResume = errors.New("cannot go on from the recorded place")

// crcWriter knows the CRC32 of what it has passed on. While nothing is being written it may be asked.
type crcWriter struct {
	w   io.Writer
	crc uint32
}

func (c *crcWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.crc = crc32.Update(c.crc, crc32.IEEETable, p[:n])
	return n, err
}
