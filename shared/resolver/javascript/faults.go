package javascript

import (
	"context"
	"errors"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/fetch"
	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// MissingIntegrity is the fault for a tarball from outside the registry that no digest vouches for.
func MissingIntegrity(name, source string) error {
	return fault.Client(fault.InvalidFileFormat,
		`The dependency %s@%s is missing the integrity value. Is the "integrity" key missing in your lockfile?`, name, withoutSecrets(source))
}

// ParseIntegrity reads the SRI text of a lockfile entry; an empty one gives none. The faults are the
// client's.
func ParseIntegrity(name, source, text string) ([]integrity.Digest, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	digests, err := integrity.ParseSRI(text)
	if err == nil {
		return digests, nil
	}
	known := false
	first := ""
	for _, item := range strings.Fields(text) {
		algorithm, _, ok := strings.Cut(item, "-")
		if ok && first == "" {
			first = algorithm
		}
		known = known || !ok || integrity.Strength(algorithm) > 0
	}
	if !known {
		return nil, fault.Client(fault.InvalidChecksum, "Cannot perform checksum on the file %s, Hash algorithm %s is unknown.", FileOf(source), first).Because(err)
	}
	return nil, fault.Client(fault.InvalidChecksum, "The dependency %s@%s has an invalid integrity value: %s", name, withoutSecrets(source), err).Because(err)
}

// FileOf is the last part of a URL's path: the file that is named in messages.
func FileOf(source string) string {
	if u, err := url.Parse(source); err == nil && u.Path != "" {
		return path.Base(u.Path)
	}
	source, _, _ = strings.Cut(source, "#")
	return path.Base(source)
}

// FetchFault words what went wrong with a download as upstream does; file is the name it was to have.
// Errors that are no such fault pass unchanged.
func FetchFault(err error, file, source string) error {
	var f *fault.Error
	if err == nil || errors.Is(err, context.Canceled) || !errors.As(err, &f) {
		return err
	}
	var mismatch *integrity.MismatchError
	switch {
	case f.Type == fault.InvalidChecksum && errors.As(err, &mismatch):
		want := make([]string, len(mismatch.Want))
		for i, d := range mismatch.Want {
			want[i] = d.Hex()
		}
		return fault.Client(fault.InvalidChecksum, "The file %s has an unexpected checksum value, expected %s but computed %s",
			file, strings.Join(want, " or "), mismatch.Got.Hex()).Because(err)
	case f.Type == fault.NetworkError:
		word := *f
		class := "ConnectionError"
		var status *fetch.StatusError
		if errors.As(err, &status) {
			class = "HTTPError"
		}
		word.Message = "Could not download " + file + " from " + fetch.Redact(source) + ". exception_name: " + class + ", details: " + f.Message
		return word.Because(err)
	}
	return err
}

// CloneFault words why a git dependency cannot be had; whose trouble it is stays as it was.
func CloneFault(err error, source string) error {
	var f *fault.Error
	if err == nil || errors.Is(err, context.Canceled) || !errors.As(err, &f) || f.Type != fault.RepositoryAccessError {
		return err
	}
	word := *f
	word.Message = "Failed to clone " + withoutSecrets(source)
	return word.Because(err)
}

// withoutSecrets hides user and password in a source that is shown; a user alone stays ("git@"). It goes by
// the text, so that what is no URL shows no password either.
//
//	git+https://user:secret@host/r.git -> git+https://xxxxx@host/r.git
//	github:user:secret@ns/r            -> github:xxxxx@ns/r
func withoutSecrets(source string) string {
	prefix, rest, ok := strings.Cut(source, "://")
	separator := "://"
	if !ok {
		separator = ":"
		if prefix, rest, ok = strings.Cut(source, separator); !ok {
			return source
		}
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	at := strings.LastIndexByte(rest[:end], '@')
	if at < 0 || !strings.Contains(rest[:at], ":") {
		return source
	}
	return prefix + separator + "xxxxx" + rest[at:]
}

// checkDuplicates refuses two packages of one request with the same name, version and type. It is the check
// of the whole request, made before anything is fetched; the list stays as it is.
func checkDuplicates(list []packages.Package) error {
	data := packages.Data{Packages: slices.Clone(list)}
	for i := range data.Packages {
		data.Packages[i].Dependencies = nil // sorting would change their order in the list
	}
	data.Sort()
	return data.Check()
}

// WordFaults is the fetcher with the faults of its downloads worded as upstream words them (FetchFault).
func WordFaults(f resolver.Fetcher) resolver.Fetcher { return wordedFetcher{f} }

type wordedFetcher struct{ resolver.Fetcher }

func (w wordedFetcher) Fetch(ctx context.Context, a resolver.Artifact) (resolver.File, error) {
	file, err := w.Fetcher.Fetch(ctx, a)
	return file, FetchFault(err, FileOf(a.URL), a.URL)
}
