package pip

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// MaxDistributionBytes bounds one file; the largest of the public index have some 3 GB, and take
// permission there.
const MaxDistributionBytes = 4 << 30

// checkedFetcher is a Fetcher that takes a file when any of the digests fits, of whatever algorithm (the
// Fetcher below knows the strongest alone), and that says in upstream's words when none does.
type checkedFetcher struct{ resolver.Fetcher }

// Fetch implements resolver.Fetcher. Describe must be the file's name.
func (f checkedFetcher) Fetch(ctx context.Context, a resolver.Artifact) (resolver.File, error) {
	want := a.Want
	for {
		a.Want = integrity.Strongest(want)
		file, err := f.Fetcher.Fetch(ctx, a)
		if len(a.Want) == 0 || !isMismatch(err) {
			return file, err
		}
		want = slices.DeleteFunc(slices.Clone(want), func(d integrity.Digest) bool { return d.Algorithm == a.Want[0].Algorithm })
		if len(integrity.Strongest(want)) == 0 {
			return file, fault.Client(fault.InvalidChecksum, "Failed to verify checksum of %s against any of the provided hashes", a.Describe).Because(err)
		}
	}
}

func isMismatch(err error) bool {
	var f *fault.Error
	return errors.As(err, &f) && f.Type == fault.InvalidChecksum
}

// verifyLocked reads a fetched file and compares it with the locked digests, any of which must fit.
func verifyLocked(ctx context.Context, f resolver.Fetcher, file resolver.File, name string, lock locked) error {
	rest := lock.digests
	for {
		group := integrity.Strongest(rest)
		if len(group) == 0 {
			return lock.failed(name)
		}
		err := verifyGroup(ctx, f, file, group)
		var mismatch *integrity.MismatchError
		if err == nil || !errors.As(err, &mismatch) {
			return err
		}
		rest = slices.DeleteFunc(slices.Clone(rest), func(d integrity.Digest) bool { return d.Algorithm == group[0].Algorithm })
	}
}

func verifyGroup(ctx context.Context, f resolver.Fetcher, file resolver.File, group []integrity.Digest) error {
	r, err := f.Open(ctx, file)
	if err != nil {
		return fmt.Errorf("opening a fetched file: %w", err)
	}
	defer r.Close()
	return integrity.Verify(r, group)
}
