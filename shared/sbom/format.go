package sbom

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/cachito-serverless/cachito/shared/packages"
)

// Format names a form of the document as the API's parameter does.
type Format string

// The formats. The first is Cachito's own, for clients that validate it; the others say all that is known.
const (
	CycloneDX14 Format = "cyclonedx-1.4"
	CycloneDX16 Format = "cyclonedx-1.6"
	SPDX23      Format = "spdx-2.3"
)

// Formats are all of them, the default first.
var Formats = []string{string(CycloneDX14), string(CycloneDX16), string(SPDX23)}

// MediaType of documents in the format. The default's is what existing clients know.
func (f Format) MediaType() string {
	switch f {
	case CycloneDX16:
		return "application/vnd.cyclonedx+json; version=1.6"
	case SPDX23:
		return "application/spdx+json"
	}
	return "application/json"
}

// Request is a complete request in a document.
type Request struct {
	ID int64
	// Completed is when it was completed.
	Completed time.Time
	// Context holds repository, ref and packages. User info in the repository's URL is not shown.
	packages.Context
	// Artifacts as the packages data has them; the default format does not need them.
	Artifacts []packages.Artifact
}

// Write writes the document of several requests, in id order, in a format. The same requests give the same
// bytes from the same version of the program. *purl.Error when a purl cannot be made; then nothing was
// written. What is held beside the requests is a few words for each component, never the document.
func Write(w io.Writer, f Format, requests []Request, rules packages.Rules, version string) error {
	if f == CycloneDX14 {
		contexts := make([]packages.Context, len(requests))
		for i, r := range requests {
			contexts[i] = r.Context
		}
		return CycloneDX(w, contexts, rules)
	}
	if version == "" {
		version = "unknown"
	}
	requests = slices.Clone(requests)
	for i := range requests {
		requests[i].Repo = withoutUser(requests[i].Repo)
	}
	g, err := graphOf(requests, rules)
	if err != nil {
		return err
	}
	d := document{graph: g, version: version, serial: serial(f, requests, version)}
	for _, r := range requests {
		if r.Completed.After(d.created) {
			d.created = r.Completed
		}
	}
	switch f {
	case CycloneDX16:
		return d.cycloneDX16(w)
	case SPDX23:
		return d.spdx23(w)
	}
	return fmt.Errorf("SBOM format %q is not known; there are %s", f, strings.Join(Formats, ", "))
}

// document is what both formats begin with.
type document struct {
	graph
	version string    // of this program
	created time.Time // of the last request's completion; zero without requests
	serial  uuid.UUID
}

// serialNamespace makes our serial numbers different from everybody else's.
var serialNamespace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://github.com/cachito-serverless/cachito/sbom"))

// serial is the document's identity: another request, completion, format or version is another document.
// The repository is part of it, because every service has a request 1.
func serial(f Format, requests []Request, version string) uuid.UUID {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q\n", f, version)
	for _, r := range requests {
		fmt.Fprintf(&b, "%d %q %q %d\n", r.ID, r.Repo, r.Ref, r.Completed.UnixNano())
	}
	return uuid.NewSHA1(serialNamespace, []byte(b.String()))
}

// withoutUser removes the user info of scheme://user:password@host/path.
func withoutUser(repo string) string {
	scheme, rest, ok := strings.Cut(repo, "://")
	if !ok {
		return repo
	}
	authority, path := rest, ""
	if at := strings.IndexAny(rest, "/?#"); at >= 0 {
		authority, path = rest[:at], rest[at:]
	}
	return scheme + "://" + authority[strings.LastIndexByte(authority, '@')+1:] + path
}

// timestamp is a time in both formats' form.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
