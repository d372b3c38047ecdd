// Package resolver is the port between the pipeline and the package managers. A resolver reads a
// checked-out source tree, fetches and verifies what its lockfiles name through a Fetcher, and
// returns an Output. It decides nothing about storage keys, states or retries, and it never runs
// code that the repository brought.
//
// A package manager is a Descriptor in a folder of its own plus one line in resolver/all.
package resolver

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/request"
)

// Resolver resolves one package manager of one request, all its paths.
type Resolver interface {
	// Resolve returns what the paths of in.Options lead to. Faults (package fault) say whose
	// trouble it is. It can be run again, beside itself, and be stopped anywhere by ctx.
	Resolve(ctx context.Context, in Input) (Output, error)
}

// Input is everything a resolver may know.
type Input struct {
	// Source is this resolver's own copy of the work tree (submodules filled in when the request
	// has them). It may be changed freely; only Output.Overlays reach the bundle.
	Source *os.Root
	// Scratch is an empty folder for temporary files; it is cleared afterwards.
	Scratch *os.Root
	// Repo says where the tree comes from.
	Repo Repo
	// Options is the request's packages.<manager> array as it was sent; nil when there is none.
	Options json.RawMessage
	// Flags of the request.
	Flags []string
	// Replacements of the request whose type is one of the descriptor's package types.
	Replacements []request.Replacement
	// Fetcher is the way to files of the network and into the cache.
	Fetcher Fetcher
	// Git is the way to repositories that a lockfile names.
	Git Repositories
	// Log is the request's own log, which users read.
	Log *slog.Logger
	// Reason announces what is being done now ("Fetching the gomod dependencies at the "." directory");
	// each text reaches the request's history once.
	Reason func(ctx context.Context, reason string) error
	// Progress may be called as often as you like.
	Progress func(p request.Progress)
}

// Repo is the version control side of a source tree.
type Repo struct {
	// URL as the request has it, without user info.
	URL string
	// Ref is the commit, 40 hex digits.
	Ref string
	// CommitTime is the committer time of Ref, UTC.
	CommitTime time.Time
	// Tags are the tags on Ref or on an ancestor of it whose name ends in something like a
	// semantic version; only read for descriptors with NeedsTags.
	Tags []Tag
	// Submodules of the first level that are checked out in the tree; nil unless the request has a
	// manager with NeedsSubmodules. Submodules[i].Repo has no submodules of its own.
	Submodules []Submodule
}

// Tag of a repository.
type Tag struct {
	Name string `json:"name"` // without refs/tags/
	// OnRef: the tag's commit is the ref itself, else it is an ancestor.
	OnRef bool `json:"on_ref"`
}

// Submodule is a repository inside the tree.
type Submodule struct {
	Name string // section name in .gitmodules
	Path string // slash-separated, relative to the root
	// URL is absolute: relative ones are resolved against the request's, without user info.
	URL  string
	Repo Repo
}

// Output is what a resolver found.
type Output struct {
	Packages             []packages.Package                     `json:"packages"`
	EnvironmentVariables map[string]request.EnvironmentVariable `json:"environment_variables,omitempty"`
	ConfigFiles          []ConfigFile                           `json:"config_files,omitempty"`
	// Deps are the files below deps/ in the bundle.
	Deps []Entry `json:"deps,omitempty"`
	// Overlays are laid over app/: a changed or added file, or (Entry.Deleted) one that is gone.
	Overlays []Entry `json:"overlays,omitempty"`
	// Root are files at the bundle's root, for tools that want their configuration there.
	Root []Entry `json:"root,omitempty"`
	// Unverified names dependencies by purl whose digest no lockfile held; the SBOM of our own formats
	// says so.
	Unverified []string `json:"unverified,omitempty"`
	// Checksums are the SHA-256 (File.SHA256) of the files in the bundle that stand for a dependency, by
	// its purl as the descriptor's DependencyPURL makes it; the SBOM of our own formats shows them.
	// Dependencies without a file of their own are left out.
	Checksums map[string][]string `json:"checksums,omitempty"`
}

// ConfigFile is offered at /configuration-files and lies in the bundle already.
type ConfigFile struct {
	Path    string `json:"path"` // relative to the bundle's root, e.g. "app/sub/.npmrc"
	Content []byte `json:"content"`
}

// Entry is one file, link or (empty) folder of the bundle. Exactly one of File, Part, Inline, Link,
// Dir and Deleted is set.
type Entry struct {
	// Path is relative to deps/ (Deps), app/ (Overlays) or the root (Root): slash-separated, no
	// "..", no leading slash.
	Path       string `json:"path"`
	File       *File  `json:"file,omitempty"`
	Part       *Part  `json:"part,omitempty"`
	Inline     []byte `json:"inline,omitempty"`
	Link       string `json:"link,omitempty"` // relative target
	Dir        bool   `json:"dir,omitempty"`
	Deleted    bool   `json:"deleted,omitempty"`
	Executable bool   `json:"executable,omitempty"`
}

// File is content in the dependency cache.
type File struct {
	SHA256 string `json:"sha256"` // lower-case hex: its name in the cache
	Size   int64  `json:"size"`
	CRC32  uint32 `json:"crc32"` // IEEE, of the content
}

// Part is a piece of a file in the dependency cache. A tree of thousands of small files is stored as one
// (Fetcher.Store): storing each costs a transaction, or a request to object storage.
type Part struct {
	Of     File   `json:"of"`
	Offset int64  `json:"offset"`
	Size   int64  `json:"size"`
	CRC32  uint32 `json:"crc32"` // IEEE, of the piece
}

// Artifact is a file to be fetched.
type Artifact struct {
	URL string
	// Want are digests one of which must match (the strongest known algorithm present is used);
	// empty: the digest of the first time is recorded and must stay the same.
	Want []integrity.Digest
	// MaxBytes bounds the transfer; 0 means the fetcher's own limit.
	MaxBytes int64
	Header   http.Header
	// Describe names it in errors: "pkg v1.2.3 (package-lock.json)".
	Describe string
	// Check, when set, looks into the content, whose digest was right; its error is returned as it is, and then
	// the content is not remembered as what the URL holds: a registry may answer with a login page today, and
	// the file tomorrow. Content of the cache is looked at as well. It may run beside itself.
	Check func(content io.ReaderAt, size int64) error
}

// Fetcher fetches into the content-addressed dependency cache. Implemented by the pipeline.
type Fetcher interface {
	// Fetch returns the verified file, from the cache if it is there. Faults: InvalidChecksum
	// (client; its cause is an *integrity.MismatchError), NetworkError (404 and 410 client, else server).
	Fetch(ctx context.Context, a Artifact) (File, error)
	// Store keeps content that the resolver made or verified itself.
	Store(ctx context.Context, r io.Reader) (File, error)
	// Open reads a file of the cache; the reader also implements io.ReaderAt.
	Open(ctx context.Context, f File) (ReadAtCloser, error)
	// Get does one request for metadata (an index page, a .info file) without caching, retried
	// and bounded as everything else. The status may be any that is not retried.
	Get(ctx context.Context, url string, header http.Header, maxBytes int64) (Response, error)
}

// Repositories reads git repositories, with the checks, mirrors and credentials of the request's own
// source. Implemented by the pipeline.
type Repositories interface {
	// Resolve asks the server which commit (40 hex digits) a branch or tag stands for now. Faults:
	// InvalidRequestData (client) when there is none, RepositoryAccessError.
	Resolve(ctx context.Context, url, name string) (commit string, err error)
	// CheckOut writes the tree of a commit below into, which must be empty; links that leave the tree
	// are left out. Submodules stay empty, unless they are asked for. Faults as the source step's.
	CheckOut(ctx context.Context, url, commit string, into *os.Root, options ...CheckOutOption) (Checkout, error)
}

// CheckOutOption changes what CheckOut writes.
type CheckOutOption int

const (
	// WithSubmodules fills in the submodules of the first level.
	WithSubmodules CheckOutOption = 1
	// WithHistory adds a .git folder with the commit's history and tags, the same bytes for the same
	// history. Fault beside CheckOut's: UnsupportedFeature when it is too large.
	WithHistory CheckOutOption = 2
)

// Checkout describes a tree that was written to disk.
type Checkout struct {
	// CommitTime is the committer time, UTC.
	CommitTime time.Time
	// Removed are links that were left out, because they lead out of the tree.
	Removed []string
}

// ReadAtCloser is an open cache file.
type ReadAtCloser interface {
	io.Reader
	io.ReaderAt
	io.Closer
}

// Response is the answer to Fetcher.Get.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	URL    string // after redirects and before mirrors, without user info
}
