package pip

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/pyrepr"
	"github.com/cachito-serverless/cachito/shared/resolver/pip/pep508"
)

// kind is where a requirement comes from.
type kind int

const (
	fromIndex kind = iota
	fromGit
	fromURL
)

// requirement is one line of a requirements file.
type requirement struct {
	kind kind
	// line is the normal form, which messages quote: options removed, direct ones as
	// "name @ url ; marker". It holds no user info.
	line string
	// written is the name as it is written, pkg the name that is reported for git and URL requirements.
	written, pkg string
	extras       []string
	marker       string
	condition    *pep508.Marker
	hashes       []string // of --hash, as written
	options      []fileOption
	editable     bool

	// Of a lockfile: locked is set, dev is its own word for it, page its files where it lists their
	// URLs (else nil), index where it names one.
	locked, dev bool
	page        []distribution
	index       string

	// version as it is written, of one from the index.
	version string
	// url of a direct one as it is written, with its fragment, and what the fragment says.
	url      string
	fragment []parameter
	git      gitReference
	ext      string // of a URL's file
}

// parameter is a key and value of a URL's fragment, percent-decoded.
type parameter struct{ key, value string }

// gitReference is a commit of a repository.
type gitReference struct {
	url    string // without "git+", query, fragment and ref; may hold user info
	public string // the same without user info
	ref    string // 40 hex digits, lower case
	folder string // host[:port]/namespace/repo, where its archive lies
}

// sdistExtensions in Cachito's order.
var sdistExtensions = []string{".zip", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.Z", ".tar"}

const wheelExtension = ".whl"

var (
	nonNamePattern    = regexp.MustCompile(`[^A-Za-z0-9.]+`)
	markerPattern     = regexp.MustCompile(`\s;|;\s`)
	userInfoPattern   = regexp.MustCompile(`(//)[^/?#\s]*@`)
	gitRefPattern     = regexp.MustCompile(`^(.*)@([0-9a-fA-F]{40})$`)
	hostPattern       = regexp.MustCompile(`^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?$`)
	pathPartPattern   = regexp.MustCompile(`^[A-Za-z0-9._~+@=,-]+$`)
	eggPattern        = regexp.MustCompile(`^([^\[\]]*)(?:\[([^\[\]]*)\])?$`)
	directNamePattern = regexp.MustCompile(`^\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\[\]]*)\])?\s*@\s*`)
)

// reportedName is Cachito's spelling of a package: runs outside A-Z a-z 0-9 . are one "-".
func reportedName(written string) string { return nonNamePattern.ReplaceAllString(written, "-") }

// newRequirement reads the requirement of a line. What is wrong with its form is found here; pins, refs
// and hashes are checked later (check, checkHashes).
func newRequirement(text string, options []fileOption) (*requirement, error) {
	r := &requirement{}
	for _, o := range options {
		switch o.long {
		case "--hash":
			r.hashes = append(r.hashes, o.value)
		case "--editable":
			r.editable = true
		default:
			if o.ofRequirement {
				r.options = append(r.options, o)
			}
		}
	}
	specifier, _, _ := strings.Cut(text, ";") // a marker may hold a colon
	if !strings.Contains(specifier, ":") {
		r.line = text
		return r, r.parse(text)
	}
	return r, r.parseDirect(text)
}

// parse reads a dependency specifier.
func (r *requirement) parse(text string) error {
	parsed, err := pep508.Parse(text)
	if err != nil {
		return fault.Client(fault.ValidationError, "Unable to parse the requirement %s: %v", pyrepr.String(withoutUserInfo(text)), err)
	}
	r.written, r.pkg, r.extras, r.condition = parsed.Name, reportedName(parsed.Name), parsed.Extras, parsed.Marker
	if r.kind == fromIndex && len(parsed.Specifiers) == 1 && parsed.Specifiers[0].IsPinned() {
		r.version = parsed.Specifiers[0].Version
	}
	return nil
}

// withoutUserInfo takes names and passwords off the URLs of a text.
func withoutUserInfo(text string) string { return userInfoPattern.ReplaceAllString(text, "$1") }

// parseDirect reads "name @ url", "url#egg=name", and either with a marker.
func (r *requirement) parseDirect(text string) error {
	shown := pyrepr.String(withoutUserInfo(text))
	before, _, _ := strings.Cut(text, ":")
	if strings.Count(before, "@") > 1 {
		return fault.Client(fault.ValidationError, "Unable to extract scheme from direct access requirement %s", shown)
	}
	scheme := strings.ToLower(strings.TrimSpace(before[strings.LastIndexByte(before, '@')+1:]))
	vcs, transport, _ := strings.Cut(scheme, "+")
	switch {
	case slices.Contains([]string{"http", "https", "ftp"}, scheme):
		r.kind = fromURL
	case slices.Contains([]string{"git", "hg", "svn", "bzr"}, vcs) && slices.Contains([]string{"", "http", "https", "ftp"}, transport):
		r.kind = fromGit
	default:
		return fault.Client(fault.ValidationError, "Direct references with %s scheme are not supported, %s", pyrepr.String(scheme), shown)
	}

	r.url = text
	if at := markerPattern.FindStringIndex(text); at != nil {
		r.url, r.marker = strings.TrimSpace(text[:at[0]]), strings.TrimSpace(text[at[1]:])
	}
	name, extras := "", ""
	if m := directNamePattern.FindStringSubmatch(r.url); m != nil {
		name, extras = m[1], m[2]
		r.url = r.url[len(m[0]):]
	}
	_, fragment, _ := strings.Cut(r.url, "#")
	r.fragment = parseFragment(fragment)
	for _, p := range r.fragment {
		if p.key == "egg" && p.value != "" {
			name, extras = p.value, ""
			if m := eggPattern.FindStringSubmatch(p.value); m != nil {
				name, extras = m[1], m[2]
			}
		}
	}
	if name == "" {
		return fault.Client(fault.ValidationError, "Egg name could not be determined from the requirement %s", shown)
	}
	if extras != "" {
		extras = "[" + extras + "]"
	}
	line := name + " @ " + r.url
	full := name + extras + " @ " + r.url
	if r.marker != "" {
		line += " ; " + r.marker
		full += " ; " + r.marker
	}
	r.line = withoutUserInfo(line)
	return r.parse(full)
}

// parseFragment reads "egg=name&subdirectory=a%20b".
func parseFragment(fragment string) []parameter {
	var list []parameter
	for part := range strings.SplitSeq(fragment, "&") {
		key, value, _ := strings.Cut(part, "=")
		if key == "" {
			continue
		}
		if plain, err := url.PathUnescape(value); err == nil {
			value = plain
		}
		list = append(list, parameter{key, strings.TrimSpace(value)})
	}
	return list
}

// cachitoHashes are the values of cachito_hash in the fragment.
func (r *requirement) cachitoHashes() []string {
	var list []string
	for _, p := range r.fragment {
		if p.key == "cachito_hash" {
			list = append(list, p.value)
		}
	}
	return list
}

// check is what a requirement's kind asks of its form. Wheels may be URL requirements where wheels were
// asked for.
func (r *requirement) check(wheels bool) error {
	switch r.kind {
	case fromGit:
		return r.checkGit()
	case fromURL:
		return r.checkURL(wheels)
	}
	if r.version == "" {
		return fault.Client(fault.ValidationError, "Requirement must be pinned to an exact version: %s", r.line)
	}
	return nil
}

func (r *requirement) checkGit() error {
	scheme, rest, _ := strings.Cut(r.url, ":")
	if scheme = strings.ToLower(scheme); scheme != "git" && !strings.HasPrefix(scheme, "git+") {
		return fault.Client(fault.ValidationError, "Unsupported VCS for %s: %s", r.line, scheme)
	}
	// The query and the fragment are not part of what is cloned.
	rest = rest[:indexAny(rest, "?#")]
	m := gitRefPattern.FindStringSubmatch(rest)
	u, err := url.Parse(strings.TrimPrefix(scheme, "git+") + ":" + rest)
	if m == nil || err != nil || !strings.Contains(u.Path, "@") {
		return fault.Client(fault.ValidationError, "No git ref in %s (expected 40 hexadecimal characters)", r.line)
	}
	r.git.ref = strings.ToLower(m[2])
	r.git.url = strings.TrimPrefix(scheme, "git+") + ":" + m[1]
	r.git.public = withoutUserInfo(r.git.url)
	folder := strings.TrimSuffix(strings.Trim(u.Path[:strings.LastIndexByte(u.Path, '@')], "/"), ".git")
	parts := append([]string{u.Host}, strings.Split(folder, "/")...)
	for i, part := range parts {
		pattern := pathPartPattern
		if i == 0 {
			pattern = hostPattern
		}
		if !pattern.MatchString(part) || strings.Trim(part, ".") == "" {
			return fault.Client(fault.ValidationError, "The repository of %s cannot be stored: %s is not a name for a folder (letters, digits and . _ ~ + @ = , - are)", r.line, pyrepr.String(part))
		}
	}
	r.git.folder = strings.Join(parts, "/")
	return nil
}

// indexAny is strings.IndexAny, or the text's length.
func indexAny(text, chars string) int {
	if i := strings.IndexAny(text, chars); i >= 0 {
		return i
	}
	return len(text)
}

func (r *requirement) checkURL(wheels bool) error {
	if n := len(r.hashes) + len(r.cachitoHashes()); n != 1 {
		return fault.Client(fault.ValidationError, "URL requirement must specify exactly one hash, but specifies %d: %s. "+
			"Use the --hash option or the #cachito_hash URL fragment, but not both (or more than one --hash).", n, r.line)
	}
	known := sdistExtensions
	if wheels {
		known = append(slices.Clone(known), wheelExtension)
	}
	file := r.url[:indexAny(r.url, "?#")]
	for _, ext := range known {
		if strings.HasSuffix(file, ext) {
			r.ext = ext
			return nil
		}
	}
	return fault.Client(fault.ValidationError, "URL for requirement does not contain any recognized file extension: %s (expected one of %s)",
		r.line, strings.Join(known, ", "))
}

// checkHashes checks the digests; required is the file's hash mode.
func (r *requirement) checkHashes(required bool) error {
	if r.kind == fromGit && required {
		return fault.Client(fault.ValidationError, "VCS requirements are not supported in hash-locked requirements files: %s", r.line)
	}
	all := append(slices.Clone(r.hashes), r.cachitoHashes()...)
	if required && len(all) == 0 {
		return fault.Client(fault.ValidationError, "Hash is required, dependency does not specify any: %s", r.line)
	}
	for _, h := range all {
		if algorithm, digest, ok := strings.Cut(h, ":"); !ok || algorithm == "" || digest == "" {
			return fault.Client(fault.ValidationError, "Not a valid hash specifier: %s (expected algorithm:digest)", pyrepr.String(h))
		}
	}
	return nil
}
