package generic

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/pyrepr"
)

const (
	lockfileName = "artifacts.lock.yaml"
	// MaxLockfileBytes bounds a lockfile.
	MaxLockfileBytes = 4 << 20
	// MaxArtifacts bounds the artifacts of a request.
	MaxArtifacts = 10_000
	// maxNameBytes bounds a filename: what is common to file systems, for each element.
	maxNameBytes = 255
)

// document is the lockfile as it is written; see Hermeto's documentation of its generic fetcher
// (https://hermetoproject.github.io/hermeto/generic/).
//
//	metadata:
//	  version: "1.0"
//	artifacts:
//	  - download_url: https://example.org/a.zip
//	    checksum: sha256:<hex>
//	    filename: sub/a.zip
type document struct {
	Metadata  *struct{ Version *string }
	Artifacts []entry
}

type entry struct {
	Type       *string
	URL        *string `yaml:"download_url"`
	Checksum   *string
	Filename   *string
	Attributes *attributes
	Auth       *auth
}

type attributes struct {
	Repository string `yaml:"repository_url"`
	Group      string `yaml:"group_id"`
	Artifact   string `yaml:"artifact_id"`
	Version    string
	Classifier string
	Type       *string
}

// artifact is a checked entry.
type artifact struct {
	url      string
	digest   integrity.Digest
	filename string // clean and relative, below deps/generic/
	header   http.Header
	maven    *coordinates // nil for plain URLs
	// byHost: the lockfile wants credentials that only the server's configuration can have.
	byHost bool
}

// parseLockfile reads a lockfile; shown is its path. Faults: InvalidFileFormat, UnsupportedFeature, client.
func parseLockfile(content []byte, shown string) ([]artifact, error) {
	invalid := func(format string, args ...any) *fault.Error {
		return fault.Client(fault.InvalidFileFormat, "lockfile %s format is not valid: %s", pyrepr.String(shown), fmt.Sprintf(format, args...))
	}
	var doc *document
	d := yaml.NewDecoder(bytes.NewReader(content))
	d.KnownFields(true)
	if err := d.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, invalid("%s", readable(err)).Because(err)
	}
	switch {
	case doc == nil:
		return nil, invalid("Lockfile is empty")
	case doc.Metadata == nil || doc.Metadata.Version == nil:
		return nil, invalid("Missing required 'metadata.version' field")
	case *doc.Metadata.Version != "1.0" && *doc.Metadata.Version != "2.0":
		return nil, invalid("the version %.20q is not one of the expected: '1.0', '2.0'", *doc.Metadata.Version)
	case len(doc.Artifacts) > MaxArtifacts:
		return nil, fault.Client(fault.UnsupportedFeature, "%s has more than %d artifacts", shown, MaxArtifacts)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, invalid("there is more than one document")
	}
	list := make([]artifact, len(doc.Artifacts))
	for i, e := range doc.Artifacts {
		var err error
		if e.Auth != nil && *doc.Metadata.Version == "1.0" {
			return nil, invalid("artifact %d: 'auth' needs version 2.0", i+1)
		}
		if list[i], err = e.artifact(); err != nil {
			return nil, invalid("artifact %d: %v", i+1, err)
		}
	}
	if again := repeated(list, func(a artifact) string { return a.url }); again != "" {
		return nil, invalid("Duplicate download_urls: %s", again)
	}
	if again := repeated(list, func(a artifact) string { return a.filename }); again != "" {
		return nil, invalid("Duplicate filenames: %s", again)
	}
	return list, nil
}

// readable takes Go's types out of the library's messages.
func readable(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	text = strings.ReplaceAll(text, "unmarshal errors:\n  ", "")
	var words []string
	for word := range strings.FieldsSeq(text) {
		words = append(words, strings.ReplaceAll(word, "generic.", ""))
	}
	return strings.Join(words, " ")
}

// repeated lists what comes twice as Hermeto does, "" when nothing does.
func repeated(list []artifact, of func(artifact) string) string {
	seen, twice := map[string]bool{}, []string(nil)
	for _, a := range list {
		if text := of(a); seen[text] && !slices.Contains(twice, text) {
			twice = append(twice, text)
		} else {
			seen[text] = true
		}
	}
	for i := range twice {
		twice[i] = pyrepr.String(twice[i])
	}
	if len(twice) == 0 {
		return ""
	}
	return "[" + strings.Join(twice, ", ") + "]"
}

// artifact checks an entry. The error names the key.
func (e entry) artifact() (a artifact, err error) {
	switch {
	case e.Checksum == nil:
		return a, errors.New("'checksum' is required")
	case !strings.Contains(*e.Checksum, ":"):
		return a, fmt.Errorf("Checksum must be in the format 'algorithm:hash' (got %s)", pyrepr.String(*e.Checksum))
	}
	if a.digest, err = integrity.ParseChecksum(*e.Checksum); err != nil {
		return a, fmt.Errorf("'checksum': %w", err)
	}
	switch {
	case e.Type == nil && e.URL == nil:
		return a, errors.New("'download_url' is required")
	case e.Type == nil && e.Attributes != nil:
		return a, errors.New("'attributes' need 'type: maven'")
	case e.Type == nil:
		a.url = *e.URL
	case *e.Type != "maven":
		return a, fmt.Errorf("'type' is %.50q, known is 'maven'", *e.Type)
	case e.URL != nil:
		return a, errors.New("a maven artifact has no 'download_url': it is made of the 'attributes'")
	case e.Attributes == nil:
		return a, errors.New("a maven artifact needs 'attributes'")
	default:
		if a.maven, err = e.Attributes.coordinates(); err != nil {
			return a, err
		}
		a.url = a.maven.repository + "/" + a.maven.path()
	}
	u, err := checkURL(a.url)
	if err != nil {
		return a, err
	}
	if a.filename = path.Base(u.EscapedPath()); e.Filename != nil {
		a.filename = *e.Filename
	} else if strings.HasSuffix(u.EscapedPath(), "/") || u.Path == "" {
		return a, errors.New("'filename' is required: the URL does not end in one")
	}
	if err := checkFilename(a.filename); err != nil {
		return a, err
	}
	if e.Auth != nil {
		a.header, a.byHost, err = e.Auth.header()
	}
	return a, err
}

// checkURL takes http and https without user info.
func checkURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return nil, errors.New("the URL must be http or https, with a host")
	case u.User != nil:
		return nil, errors.New("the URL holds user info, which does not belong into a repository; credentials are configured on the server")
	}
	return u, nil
}

// checkFilename refuses what leaves its folder, or is no name of a file on every system.
func checkFilename(name string) error {
	if !filepath.IsLocal(filepath.FromSlash(name)) || path.IsAbs(name) || path.Clean(name) != name || name == "." {
		return fmt.Errorf("'filename' must be a relative path without '.' and '..': %.300q", name)
	}
	if strings.ContainsFunc(name, func(c rune) bool {
		return c == '\\' || c == unicode.ReplacementChar || unicode.IsControl(c) || unicode.Is(unicode.Cf, c)
	}) {
		return fmt.Errorf("'filename' has characters that cannot be seen, or a backslash: %.300q", name)
	}
	for element := range strings.SplitSeq(name, "/") {
		if len(element) > maxNameBytes {
			return fmt.Errorf("'filename' has an element of more than %d bytes: %.300q", maxNameBytes, name)
		}
	}
	return nil
}
