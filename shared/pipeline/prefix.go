package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/cachito-serverless/cachito/shared/archive"
	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// A bundle begins with deps/, whose bytes depend on the lockfiles alone. So a bundle of another commit with the
// same ones begins with the same bytes, and is made from an earlier one: its beginning is copied inside the
// storage, and the hashes go on from the state they had behind it. None of the dependencies is read again.
//
// When a dependency has changed, what comes before it is still the same: besides the end of deps/ there are places every
// placeBytes from which to go on.

const (
	// placeBytes of dependencies lie between two places at least.
	placeBytes = 64 << 20
	// maxPlaces bounds the places of one bundle, and so the looking for them; the last is the end of deps/.
	maxPlaces = 100
	// maxPrefixBytes is more than a record with so many places has.
	maxPrefixBytes = 256 << 10
)

// place is a place in a bundle behind some of what is below deps/.
type place struct {
	// Entries of the layer deps that lie before it.
	Entries    int                `json:"entries"`
	Checkpoint archive.Checkpoint `json:"checkpoint"`
}

// prefixRecord says where a bundle's beginning can be copied from: the newest bundle that has it, and its places up
// to the end of that beginning.
type prefixRecord struct {
	Bundle string  `json:"bundle"`
	Places []place `json:"places"`
}

// end is the place where the beginning ends.
func (r *prefixRecord) end() place { return r.Places[len(r.Places)-1] }

// part is the beginning as a part of a new bundle.
func (r *prefixRecord) part() blob.Part {
	end := r.end().Checkpoint
	return blob.Part{Key: r.Bundle, Length: end.Size, CRC32: &end.SizeCRC32}
}

// candidate is a place that a bundle with this deps/ has, and the key of its record, which covers everything that
// the bytes before it depend on.
type candidate struct {
	entries int
	key     string
}

// placesOf lists the places of a bundle. Where they are depends on what lies before them, so that they are the same ones
// in every bundle that begins so. There are none when nothing below deps/ is in the cache: then reading it again
// costs nothing.
func placesOf(deps []resolver.Entry, every int64) []candidate {
	if !slices.ContainsFunc(deps, func(e resolver.Entry) bool { return e.File != nil || e.Part != nil }) {
		return nil
	}
	var list []candidate
	sum := sha256.Sum256([]byte(formatVersion))
	since := int64(0)
	for i, e := range deps {
		raw, err := json.Marshal(e)
		if err != nil {
			panic(fmt.Sprintf("hashing %s: %v", e.Path, err)) // only plain data is hashed
		}
		sum = sha256.Sum256(append(sum[:], raw...))
		size := contentSize(e)
		since += size
		last := i == len(deps)-1
		alone := size > archive.MaxBatchedBytes || size > 0 && archive.IsCompressed(e.Path)
		if last || since >= every && alone && len(list) < maxPlaces-1 {
			list = append(list, candidate{i + 1, "prefixes/" + hex.EncodeToString(sum[:]) + ".json"})
			since = 0
		}
	}
	return list
}

func contentSize(e resolver.Entry) int64 {
	switch {
	case e.Deleted:
		return 0
	case e.Part != nil:
		return e.Part.Size
	case e.File != nil:
		return e.File.Size
	}
	return int64(len(e.Inline))
}

// findPrefix looks for the longest beginning to copy; nil when there is none.
func (p *Pipeline) findPrefix(ctx context.Context, places []candidate) (*prefixRecord, error) {
	for i, c := range slices.Backward(places) {
		rec := &prefixRecord{}
		err := p.getSealed(ctx, c.key, maxPrefixBytes, rec)
		if errors.Is(err, blob.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if len(rec.Places) == i+1 && rec.end().Entries == c.entries {
			return rec, nil
		}
	}
	return nil, nil
}

// storePrefixes records the beginnings of a bundle that was just made. The newest bundle is the one that stays
// longest, so what was recorded before is replaced.
func (p *Pipeline) storePrefixes(ctx context.Context, places []candidate, made prefixRecord) error {
	if len(made.Places) != len(places) {
		return fmt.Errorf("bundle %s has %d places, want %d", made.Bundle, len(made.Places), len(places))
	}
	for i, c := range places {
		rec := prefixRecord{Bundle: made.Bundle, Places: made.Places[:i+1]}
		if err := p.putSealed(ctx, c.key, rec, true); err != nil {
			return err
		}
	}
	return nil
}

// cannotBeCopied: the earlier bundle is gone, or is not what it was.
func cannotBeCopied(err error) bool {
	return errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrChanged) || errors.Is(err, errResume)
}

// errResume: this program cannot go on from the place (it was recorded by another version of it).
var errResume = errors.New("cannot go on from the recorded place")

// namesOf gives the names that entries below deps/ have in a bundle.
func namesOf(deps []resolver.Entry) iter.Seq2[string, archive.Mode] {
	return func(yield func(string, archive.Mode) bool) {
		if !yield("deps", archive.Dir) {
			return
		}
		for _, e := range deps {
			if h := header(depsDir+e.Path, e, depsTime); !e.Deleted && !yield(h.Name, h.Mode) {
				return
			}
		}
	}
}
