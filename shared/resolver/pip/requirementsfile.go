package pip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/pyrepr"
	"github.com/cachito-serverless/cachito/shared/resolver/pip/pep440"
	"github.com/cachito-serverless/cachito/shared/resolver/pip/pep508"
)

const (
	// MaxRequirementsBytes bounds one requirements file; the longest that are known, with a hash for
	// every wheel, have 2 MB.
	MaxRequirementsBytes = 8 << 20
	// MaxRequirementsFiles bounds the files of a request, those that others include among them.
	MaxRequirementsFiles = 1000
	// MaxRequirements bounds the requirements of a request, and the options of a file.
	MaxRequirements = 20_000
)

// requirementsFile is a parsed requirements file.
type requirementsFile struct {
	path         string // from the repository's root, slash-separated
	options      []fileOption
	requirements []*requirement
	// indexURL is the last --index-url, "" when there is none.
	indexURL string
	// included files of -r, in order; constraints of -c.
	included, constraints []*requirementsFile
	requireHashes         bool
	trustedHosts          []string
	// isLockfile: it is another tool's, and locals are its packages in the repository.
	isLockfile bool
	locals     []localPackage
}

// parseRequirements reads the text of a requirements file. Files that it names are not read.
func parseRequirements(name, text string) (*requirementsFile, error) {
	f := &requirementsFile{path: name}
	for line := range logicalLines(text) {
		specifier, options, err := parseLine(line)
		if err != nil {
			return nil, err
		}
		for _, o := range options {
			if !o.ofRequirement {
				f.options = append(f.options, o)
			}
		}
		if len(f.options) > MaxRequirements || len(f.requirements) >= MaxRequirements && specifier != "" {
			return nil, tooMany()
		}
		if specifier == "" {
			continue
		}
		r, err := newRequirement(specifier, options)
		if err != nil {
			return nil, err
		}
		f.requirements = append(f.requirements, r)
		f.requireHashes = f.requireHashes || len(r.hashes) > 0
	}
	if err := refuse(f.options); err != nil {
		return nil, err
	}
	for _, o := range f.options {
		switch o.long {
		case "--require-hashes":
			f.requireHashes = true
		case "--trusted-host":
			f.trustedHosts = append(f.trustedHosts, o.value)
		case "--index-url":
			f.indexURL = o.value
		}
	}
	return f, nil
}

func tooMany() error {
	return fault.Client(fault.UnsupportedFeature, "There are more than %d requirements or options in the requirements files", MaxRequirements)
}

// all is the file with those it includes, each once, in order.
func (f *requirementsFile) all() []*requirementsFile {
	var list []*requirementsFile
	var add func(f *requirementsFile)
	add = func(f *requirementsFile) {
		if slices.Contains(list, f) {
			return
		}
		list = append(list, f)
		for _, other := range f.included {
			add(other)
		}
	}
	add(f)
	return list
}

// requirementsReader reads the requirements files of a request, each once.
type requirementsReader struct {
	source  *os.Root
	log     *slog.Logger
	indexes indexes
	// refuseTrustedHost: --trusted-host is an error.
	refuseTrustedHost bool
	files             map[string]*requirementsFile
	count             int
}

// read reads a file that the request names, and all that it includes.
func (rr *requirementsReader) read(ctx context.Context, name string) (*requirementsFile, error) {
	if f := rr.files[name]; f != nil {
		return f, nil
	}
	if len(rr.files) >= MaxRequirementsFiles {
		return nil, fault.Client(fault.UnsupportedFeature, "There are more than %d requirements files", MaxRequirementsFiles)
	}
	text, err := rr.text(name)
	if err != nil {
		return nil, err
	}
	var f *requirementsFile
	if lockfileParser(name) != nil {
		f, err = rr.parseLockfile(ctx, name, text)
	} else {
		f, err = parseRequirements(name, text)
	}
	if err != nil {
		return nil, err
	}
	if rr.count += len(f.requirements); rr.count > MaxRequirements {
		return nil, tooMany()
	}
	rr.files[name] = f
	if len(f.trustedHosts) > 0 && rr.refuseTrustedHost {
		return nil, fault.Client(fault.ValidationError, "Cachito does not support the following options: --trusted-host")
	}
	if f.indexURL != "" {
		if f.indexURL, err = rr.indexes.accept(f.indexURL, name); err != nil {
			return nil, err
		}
	}
	for _, o := range f.options {
		if o.long == "--requirement" {
			other, err := rr.includedName(f, o)
			if err != nil {
				return nil, err
			}
			included, err := rr.read(ctx, other)
			if err != nil {
				return nil, err
			}
			f.included = append(f.included, included)
		}
	}
	rr.readConstraints(ctx, f)
	rr.logIgnored(ctx, f)
	return f, nil
}

// text reads a file of the repository. Links that leave it cannot be followed.
func (rr *requirementsReader) text(name string) (string, error) {
	invalid := func(cause error) error {
		return fault.Client(fault.InvalidRepoStructure, "Following requirement file has an invalid path: %s", name).Because(cause)
	}
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return "", invalid(nil)
	}
	f, err := rr.source.Open(name)
	if err != nil {
		return "", invalid(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", invalid(err)
	}
	raw, err := io.ReadAll(io.LimitReader(f, MaxRequirementsBytes+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("reading %s: %w", name, err)
	case len(raw) > MaxRequirementsBytes:
		return "", fault.Client(fault.UnsupportedFeature, "%s is larger than %d bytes, the limit for a requirements file", name, MaxRequirementsBytes)
	case !utf8.Valid(raw):
		return "", fault.Client(fault.InvalidFileFormat, "%s is not UTF-8 text", name)
	}
	return string(raw), nil
}

// includedName is the path of a file that another one includes.
func (rr *requirementsReader) includedName(f *requirementsFile, o fileOption) (string, error) {
	if u, err := url.Parse(o.value); err == nil && len(u.Scheme) > 1 {
		return "", fault.Client(fault.ValidationError, "%s includes %s: only files of the repository can be included", f.path, withoutUserInfo(o.value))
	}
	name := path.Join(path.Dir(f.path), o.value)
	if path.IsAbs(o.value) || !filepath.IsLocal(filepath.FromSlash(name)) {
		return "", fault.Client(fault.ValidationError, "%s includes %s, which is outside of the repository", f.path, pyrepr.String(o.value))
	}
	return name, nil
}

// readConstraints reads what -c names. Constraints install nothing; they are read for what pip will say
// of them, and for a --index-url in them. Nothing about them is an error here.
func (rr *requirementsReader) readConstraints(ctx context.Context, f *requirementsFile) {
	for _, o := range f.options {
		if o.long != "--constraint" {
			continue
		}
		name, err := rr.includedName(f, o)
		var text string
		if err == nil {
			text, err = rr.text(name)
		}
		var c *requirementsFile
		if err == nil {
			c, err = parseRequirements(name, text)
		}
		if err != nil {
			rr.log.WarnContext(ctx, "A constraints file is not usable: pip may refuse it", "file", f.path, "constraints", o.value, "reason", fault.From(err).Message)
			continue
		}
		f.constraints = append(f.constraints, c)
		rr.compare(ctx, f, c)
	}
}

// compare warns of pins that a constraint contradicts, and of constraints that need the network.
func (rr *requirementsReader) compare(ctx context.Context, f, constraints *requirementsFile) {
	byName := map[string]*requirement{}
	for _, c := range constraints.requirements {
		byName[pep508.Canonical(c.written)] = c
		if c.kind != fromIndex {
			rr.log.WarnContext(ctx, "A constraint names a URL, which is not in the bundle", "file", constraints.path, "constraint", c.line)
		}
	}
	for _, r := range f.requirements {
		c := byName[pep508.Canonical(r.written)]
		if c == nil || r.version == "" || c.version == "" || pep440.Equal(c.version, r.version) {
			continue
		}
		rr.log.WarnContext(ctx, "A constraint contradicts a requirement: pip will refuse them", "file", f.path, "requirement", r.line, "constraint", c.line)
	}
}

func (rr *requirementsReader) logIgnored(ctx context.Context, f *requirementsFile) {
	for _, r := range f.requirements {
		if u, err := url.Parse(r.url); r.kind == fromURL && err == nil && trusted(f.trustedHosts, u) {
			rr.log.WarnContext(ctx, "A URL's host is trusted without a valid certificate (--trusted-host); certificates are checked here nevertheless", "file", f.path, "requirement", r.line)
		}
	}
	for _, o := range f.options {
		switch o.long {
		case "--no-binary", "--pre", "--prefer-binary", "--use-feature":
			rr.log.InfoContext(ctx, "An option of a requirements file does not matter here and is ignored", "file", f.path, "option", o.String())
		}
	}
}

// isFile reports whether the tree has a regular file of this name.
func isFile(source *os.Root, name string) (bool, error) {
	info, err := source.Stat(name)
	switch {
	case err == nil:
		return info.Mode().IsRegular(), nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	}
	var pathError *fs.PathError
	if errors.As(err, &pathError) { // a link that leaves the tree, a file in the place of a folder
		return false, nil
	}
	return false, err
}

// checkAll checks the requirements of files: the form of all, then the hashes of all, in order. Hashes are
// required of all files that pip reads together.
func checkAll(files []*requirementsFile, wheels bool) error {
	for _, f := range files {
		for _, r := range f.requirements {
			if err := r.check(wheels); err != nil {
				return err
			}
		}
		required := slices.ContainsFunc(files, func(f *requirementsFile) bool { return f.requireHashes })
		for _, r := range f.requirements {
			if err := r.checkHashes(required); err != nil {
				return err
			}
		}
	}
	return nil
}

// trusted reports whether --trusted-host covers a host: by name with any port, or by name and port.
func trusted(hosts []string, u *url.URL) bool {
	return slices.ContainsFunc(hosts, func(h string) bool { return h == u.Host || strings.EqualFold(h, u.Hostname()) })
}
