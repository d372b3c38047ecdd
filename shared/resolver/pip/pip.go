// Package pip resolves Python projects: it fetches what their requirements files pin, source distributions
// by default and wheels where the request asks for them, and reports it.
//
// Nothing is resolved and nothing is run: names, versions, URLs and hashes are those of the files, name and
// version of the project itself are read out of pyproject.toml, setup.py and setup.cfg. Beneath are the
// packages pep440 (versions), pep508 (requirements) and pysource (setup.py).
//
// Settings (resolver.Settings.Values):
//
//	index_url            simple index (PEP 503, PEP 691) that is asked, with "/" at its end
//	allowed_indexes      JSON array of further hosts that requirements files may name with --index-url
//	refuse_yanked        "true": a version whose files were all yanked is refused; default "false": a warning
//	allow_weak_hashes    "true": md5 and sha1 are enough; default "false"
//	refuse_trusted_host  "true": a requirements file with --trusted-host is refused; default "false": a warning
//	crates_url           base URL of crates.io's files: the crates that sdists lock are fetched; default "": they are not
package pip

import (
	"context"
	"fmt"
	"path"
	"strconv"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/pyrepr"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// Files that are read when a request names none.
const (
	defaultFile      = "requirements.txt"
	defaultBuildFile = "requirements-build.txt"
)

// pip implements resolver.Resolver.
type pip struct {
	indexes           indexes
	refuseYanked      bool
	allowWeak         bool
	refuseTrustedHost bool
	cratesURL         string // ends in "/", or is empty
}

// New makes the resolver; one may serve many requests at a time.
func New(s resolver.Settings) (resolver.Resolver, error) {
	p := &pip{}
	var err error
	if p.indexes, err = newIndexes(s.Values["index_url"], s.Values["allowed_indexes"]); err != nil {
		return nil, err
	}
	if p.cratesURL = s.Values["crates_url"]; p.cratesURL != "" {
		p.cratesURL = withSlash(p.cratesURL)
	}
	for key, to := range map[string]*bool{
		"refuse_yanked": &p.refuseYanked, "allow_weak_hashes": &p.allowWeak, "refuse_trusted_host": &p.refuseTrustedHost,
	} {
		if text := s.Values[key]; text != "" {
			if *to, err = strconv.ParseBool(text); err != nil {
				return nil, fmt.Errorf("setting %s of pip: want true or false, got %q", key, text)
			}
		}
	}
	return p, nil
}

// project is a package of the request with its requirements files.
type project struct {
	options  packageOptions
	metadata projectMetadata
	// files and buildFiles are the listed ones; each may include others.
	files, buildFiles []*requirementsFile
}

// Resolve implements resolver.Resolver. All files are read and checked before anything is fetched.
func (p *pip) Resolve(ctx context.Context, in resolver.Input) (resolver.Output, error) {
	options, err := parseOptions(in.Options)
	if err != nil {
		return resolver.Output{}, err
	}
	reader := &requirementsReader{
		source: in.Source, log: in.Log, indexes: p.indexes, refuseTrustedHost: p.refuseTrustedHost, files: map[string]*requirementsFile{},
	}
	var projects []*project
	for _, o := range options {
		if err := in.Reason(ctx, fmt.Sprintf("Fetching dependencies at the %s directory", pyrepr.String(o.path))); err != nil {
			return resolver.Output{}, err
		}
		one, err := p.read(ctx, in, reader, o)
		if err != nil {
			return resolver.Output{}, err
		}
		projects = append(projects, one)
	}
	if err := checkDuplicates(projects); err != nil {
		return resolver.Output{}, err
	}
	b := newBatch(p, in)
	for _, one := range projects {
		b.add(one)
	}
	if err := b.fetch(ctx); err != nil {
		return resolver.Output{}, err
	}
	return b.output(projects)
}

// read reads all files of one package.
func (p *pip) read(ctx context.Context, in resolver.Input, reader *requirementsReader, o packageOptions) (*project, error) {
	one := &project{options: o}
	var err error
	if one.metadata, err = readMetadata(ctx, in.Source, o.path, in.Repo.URL, in.Log); err != nil {
		return nil, err
	}
	for _, list := range []struct {
		asked       []string
		defaultName string
		to          *[]*requirementsFile
	}{{o.files, defaultFile, &one.files}, {o.buildFiles, defaultBuildFile, &one.buildFiles}} {
		names := list.asked
		if names == nil {
			name := path.Join(o.path, list.defaultName)
			if found, err := isFile(in.Source, name); err != nil {
				return nil, fmt.Errorf("looking for %s: %w", name, err)
			} else if found {
				names = []string{name}
			}
		}
		for _, name := range names {
			f, err := reader.read(ctx, name)
			if err != nil {
				return nil, err
			}
			if err := checkAll(f.all(), o.binary != nil); err != nil {
				return nil, err
			}
			*list.to = append(*list.to, f)
		}
	}
	return one, nil
}

// checkDuplicates refuses two packages that would be one in every document.
func checkDuplicates(projects []*project) error {
	seen := map[projectMetadata]bool{}
	for _, one := range projects {
		if seen[one.metadata] {
			version := "None"
			if one.metadata.version != "" {
				version = pyrepr.String(one.metadata.version)
			}
			return fault.Client(fault.InvalidRequestData, "Duplicate package: {'name': %s, 'version': %s, 'type': 'pip'}", pyrepr.String(one.metadata.name), version)
		}
		seen[one.metadata] = true
	}
	return nil
}

// reported is the package's own entry in the packages data.
func (one *project) reported() packages.Package {
	out := packages.Package{Type: Name, Name: one.metadata.name}
	if one.metadata.version != "" {
		out.Version = &one.metadata.version
	}
	if one.options.path != "." {
		out.Path = one.options.path
	}
	return out
}
