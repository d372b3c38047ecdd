package berry

import (
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
	"github.com/cachito-serverless/cachito/shared/resolver/yarn/lines"
)

// Protocols of locators.
const (
	protocolNPM       = "npm:"
	protocolWorkspace = "workspace:"
	protocolPatch     = "patch:"
	protocolFile      = "file:"
	protocolPortal    = "portal:"
	protocolLink      = "link:"
)

// dependency is one entry of a yarn.lock.
type dependency struct {
	name, version string // as reported
	dev           bool
	kind          javascript.Kind
	entry         *entry
	// url is what is asked for, source what the lockfile means: they differ where the registry is a mirror.
	url, source string
	git         javascript.GitSource // of FromGit
	// checksum is that of Yarn's zip; checked is false when there is none that can be made here.
	checksum zipChecksum
	checked  bool
	// answers are the URLs, or paths on a registry, that the plug-in answers with the file.
	answers []string

	// What fetching adds.
	placeVersion string // in the file's name
	place        string // below deps/
	file         resolver.File
}

// findDependencies turns the lockfile's entries into dependencies. Nothing is fetched.
func (r *run) findDependencies(p *Project) error {
	runtime := p.runtimeEntries()
	for _, e := range p.lock.entries {
		d := &dependency{entry: e, name: e.locator.name, dev: !runtime[e]}
		if err := javascript.CheckName(p.lock.path, d.name); err != nil {
			return err
		}
		report, err := r.describe(p, d)
		if err != nil {
			return err
		}
		if report {
			p.deps = append(p.deps, d)
		}
	}
	return nil
}

// describe reads an entry. Not every entry is a dependency of its own: a patched package is that which is patched,
// and the project itself is reported as the package.
func (r *run) describe(p *Project, d *dependency) (report bool, err error) {
	e := d.entry
	l := e.locator
	if e.checksum != "" {
		ok := false
		if d.checksum, ok = parseChecksum(e.checksum, p.lock.cacheKey); !ok {
			return false, fault.Client(fault.InvalidChecksum, "%s:%d: the checksum %q is none: want 128 hexadecimal digits for %s", p.lock.path, e.line, lines.Shorten(e.checksum), lines.Shorten(e.resolution))
		}
		d.checked = d.checksum.known
	}
	switch {
	case l.protocol == protocolNPM:
		return true, r.describeNPM(p, d)
	case l.protocol == protocolWorkspace:
		d.kind, d.dev = javascript.FromFile, false
		dir := path.Clean(l.selector)
		d.version = "file:" + dir
		return dir != ".", nil
	case l.protocol == protocolPatch:
		return false, r.checkPatch(p, e)
	case l.protocol == protocolFile, l.protocol == protocolPortal, l.protocol == protocolLink:
		return true, r.describeLocal(p, d)
	case isGit(l):
		return true, d.describeGit()
	case l.protocol == "http:", l.protocol == "https:":
		d.kind, d.source = javascript.FromURL, l.plain()
		d.url, _, _ = strings.Cut(d.source, "#")
		d.version = javascript.ReportedSource(d.source)
		d.answers = []string{d.source}
		if e.checksum == "" {
			return false, javascript.MissingIntegrity(d.name, d.source)
		}
		_, err := r.registry.Classify(d.name, d.source)
		return true, err
	}
	return false, fault.Client(fault.UnsupportedFeature, "The dependency %s@%s is hosted in an unsupported location", d.name, lines.Shorten(javascript.ReportedSource(l.reference)))
}

// describeNPM is a package of a registry: the configured one, unless the project's settings or the lockfile name
// another.
func (r *run) describeNPM(p *Project, d *dependency) error {
	l := d.entry.locator
	d.kind, d.version = javascript.FromRegistry, l.selector
	if err := javascript.CheckVersion(p.lock.path, d.name, d.version); err != nil {
		return err
	}
	if l.source != "" {
		return fault.Client(fault.InvalidFileFormat, "%s:%d: the resolution %q is none", p.lock.path, d.entry.line, lines.Shorten(d.entry.resolution))
	}
	registry := r.registry
	if own := p.config.registryOf(d.name, r.jsr); own != "" && !registry.Has(own) {
		registry = javascript.Registry{Base: own}
	}
	d.url = registry.Tarball(d.name, d.version)
	d.source = d.url
	d.answers = []string{d.name + "/-/" + path.Base(d.name) + "-" + d.version + ".tgz"}
	archive := l.bound["__archiveUrl"]
	if archive == "" {
		return nil
	}
	kind, err := r.registry.Classify(d.name, archive)
	if err != nil {
		return err
	}
	d.source, d.answers = archive, []string{archive}
	d.url, _, _ = strings.Cut(archive, "#")
	switch kind {
	case javascript.FromRegistry:
		d.url, err = r.registry.Mapped(d.name, archive)
		return err
	case javascript.FromURL:
		return nil
	default:
		return fault.Client(fault.UnsupportedFeature, "The dependency %s@%s is hosted in an unsupported location", d.name, lines.Shorten(archive))
	}
}

// describeLocal is a file or folder of the repository, which a workspace needs.
func (r *run) describeLocal(p *Project, d *dependency) error {
	l := d.entry.locator
	word := map[string]string{protocolFile: "File", protocolPortal: "Portal", protocolLink: "Link"}[l.protocol]
	owner, ok := parseLocator(l.bound["locator"])
	if !ok || owner.protocol != protocolWorkspace {
		return fault.Client(fault.UnsupportedFeature, "Cachito only supports %s dependencies bound to a WorkspaceLocator, not to %q: %s", word, lines.Shorten(l.bound["locator"]), lines.Shorten(d.entry.resolution))
	}
	target := l.selector
	if l.source != "" { // file:<path as written>#<the same>
		target = l.source
	}
	if path.IsAbs(target) {
		return fault.Client(fault.InvalidRepoStructure, "The package %s has an absolute path (%s), which is not permitted.", d.entry.resolution, target)
	}
	relative := path.Join(owner.selector, target)
	if err := javascript.CheckInside(r.in.Source, p.Dir, d.name, relative); err != nil {
		return err
	}
	d.kind, d.version = javascript.FromFile, "file:"+relative
	m, ok, err := r.readManifest(path.Join(p.Dir, relative, "package.json"))
	if err != nil && l.protocol != protocolFile { // a file is no folder
		return err
	}
	if ok && m.name != "" {
		d.name = m.name
		return javascript.CheckName(path.Join(p.Dir, relative, "package.json"), d.name)
	}
	return nil
}

// checkPatch sees that the patches of an entry are in the repository. Yarn's own (builtin) come with Yarn.
func (r *run) checkPatch(p *Project, e *entry) error {
	l := e.locator
	if p.lock.byResolution[l.source] == nil {
		return fault.Client(fault.InvalidFileFormat, "%s:%d: the lockfile lacks %q, which is patched: run yarn install and commit the result", p.lock.path, e.line, lines.Shorten(l.source))
	}
	base := "."
	if owner, ok := parseLocator(l.bound["locator"]); ok && owner.protocol == protocolWorkspace {
		base = owner.selector
	}
	for _, file := range strings.Split(l.selector, "&") {
		file = strings.TrimPrefix(file, "optional!")
		file = strings.TrimPrefix(file, "~")
		if file == "" || strings.HasPrefix(file, "builtin<") {
			continue
		}
		full := path.Join(base, file)
		if rooted, ok := strings.CutPrefix(file, "/"); ok { // "~/": of the project
			full = rooted
		}
		if err := javascript.CheckInside(r.in.Source, p.Dir, l.name, full); err != nil {
			return err
		}
		name := path.Join(p.Dir, full)
		if info, err := r.in.Source.Stat(name); err != nil || !info.Mode().IsRegular() {
			return fault.Client(fault.InvalidRepoStructure, "The patch %s of the dependency %s must be a file of the repository", name, l.name).Because(err)
		}
	}
	return nil
}

var (
	// What Yarn takes for a repository (plugin-git, gitUtils.ts, BSD license).
	gitPatterns = []*regexp.Regexp{
		regexp.MustCompile(`^ssh:`),
		regexp.MustCompile(`^git(?:\+[^:]+)?:`),
		regexp.MustCompile(`^(?:git\+)?https?:[^#]+/[^#]+\.git(?:#.*)?$`),
		regexp.MustCompile(`^git@[^#]+/[^#]+\.git(?:#.*)?$`),
		regexp.MustCompile(`^(?:github:|https://github\.com/)?[a-zA-Z0-9._-]+/[a-zA-Z0-9._-]+?(?:\.git)?(?:#.*)?$`),
		regexp.MustCompile(`^https://github\.com/[a-zA-Z0-9._-]+/[a-zA-Z0-9._-]+?/tarball/.+$`),
	}
	scpForm = regexp.MustCompile(`^git@([^/:#]+):`)
)

func isGit(l locator) bool {
	for _, p := range gitPatterns {
		if p.MatchString(l.reference) {
			return true
		}
	}
	return false
}

// describeGit is a commit of a repository.
//
//	https://github.com/o/x.git#commit=<40>   ssh://git@host/o/x.git#commit=<40>   git@host:o/x.git#commit=<40>
func (d *dependency) describeGit() error {
	location, fragment, _ := strings.Cut(d.entry.locator.plain(), "#")
	extra, err := url.ParseQuery(fragment)
	if err != nil {
		extra = url.Values{}
	}
	if !strings.Contains(fragment, "=") { // the form of Yarn 2: "#<commit>" or "#commit:<commit>"
		extra.Set("commit", strings.TrimPrefix(fragment, "commit:"))
	}
	if extra.Has("workspace") {
		return fault.Client(fault.UnsupportedFeature, "The dependency %s@%s is a workspace of another repository, which is not supported", d.name, lines.Shorten(d.entry.locator.reference))
	}
	location = scpForm.ReplaceAllString(location, "ssh://git@$1/")
	switch {
	case strings.HasPrefix(location, "git+"), strings.HasPrefix(location, "git:"):
	case strings.Contains(location, "://"):
		location = "git+" + location
	default: // github:o/x, o/x
		location = "git+https://github.com/" + strings.TrimSuffix(strings.TrimPrefix(location, "github:"), ".git") + ".git"
	}
	d.kind, d.source = javascript.FromGit, location+"#"+extra.Get("commit")
	if d.git, err = javascript.ParseGit(d.name, d.source); err != nil {
		return err
	}
	if d.git.Path = path.Clean("/" + extra.Get("cwd"))[1:]; d.git.Path != "" {
		d.git.Text += "&cwd=" + d.git.Path
	}
	d.version = javascript.ReportedSource(d.source)
	return nil
}
