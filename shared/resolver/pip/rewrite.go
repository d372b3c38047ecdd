package pip

import (
	"net/url"
	"slices"
	"strings"
)

// depsVariable is replaced by pip in requirements files: ${CACHITO_PIP_DEPS}.
const depsVariable = "CACHITO_PIP_DEPS"

// needsRewriting reports whether pip could not install from the bundle with the file as it is: it has
// requirements that are not from the index, or an --index-url, which pip asks in spite of PIP_NO_INDEX
// (21.3.1).
func (f *requirementsFile) needsRewriting() bool {
	if f.isLockfile { // whose tool would not take another form
		return false
	}
	direct := slices.ContainsFunc(f.requirements, func(r *requirement) bool { return r.kind != fromIndex })
	return direct || f.hasOption("--index-url")
}

func (f *requirementsFile) hasOption(long string) bool {
	return slices.ContainsFunc(f.options, func(o fileOption) bool { return o.long == long })
}

// rewritten is the file with every git and URL requirement pointing into the bundle: the options first, each
// on a line of its own (of several -r on one line pip takes the first only), then the requirements. places
// are their archives below deps/pip/; hashed says that pip will ask for a hash of each.
func (f *requirementsFile) rewritten(places map[*requirement]string, hashed bool) []byte {
	var b strings.Builder
	for _, o := range f.options {
		if o.long != "--index-url" {
			b.WriteString(ended(o.String()))
		}
	}
	for _, r := range f.requirements {
		b.WriteString(ended(r.rewritten(places[r], hashed)))
	}
	return []byte(b.String())
}

// ended puts the line's end behind a line; a backslash there would join it with the next.
func ended(line string) string {
	if strings.HasSuffix(line, `\`) {
		line += " "
	}
	return line + "\n"
}

// rewritten is the requirement as a line. --editable is dropped: archives cannot be edited.
func (r *requirement) rewritten(place string, hashed bool) string {
	line := r.line
	hashes := r.hashes
	if place != "" {
		line = r.written
		if len(r.extras) > 0 {
			line += "[" + strings.Join(r.extras, ",") + "]"
		}
		line += " @ file://${" + depsVariable + "}/" + escapePath(strings.TrimPrefix(place, depsFolder+"/"))
		if len(r.fragment) > 0 {
			line += "#" + r.fragmentText()
		}
		if r.marker != "" {
			line += " ; " + r.marker
		}
		if hashed && len(hashes) == 0 {
			hashes = r.cachitoHashes()
		}
	}
	for _, h := range hashes {
		line += " --hash=" + h
	}
	for _, o := range r.options {
		line += " " + o.String()
	}
	return line
}

// escapePath escapes the elements of a path for a URL.
func escapePath(name string) string {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/")
}

// fragmentText is the fragment as key=value, joined by "&"; what would end a value is escaped.
func (r *requirement) fragmentText() string {
	escape := strings.NewReplacer("%", "%25", "&", "%26", "#", "%23", " ", "%20", "\t", "%09")
	parts := make([]string, len(r.fragment))
	for i, p := range r.fragment {
		parts[i] = p.key + "=" + escape.Replace(p.value)
	}
	return strings.Join(parts, "&")
}

// reportedVersion is the version of a git or URL requirement in the packages data.
func (r *requirement) reportedVersion() string {
	if r.kind == fromGit {
		return "git+" + r.git.public + "@" + r.git.ref
	}
	version := withoutUserInfo(r.url)
	if len(r.cachitoHashes()) > 0 || len(r.hashes) == 0 {
		return version
	}
	separator := "#"
	if strings.Contains(version, "#") {
		separator = "&"
	}
	return version + separator + "cachito_hash=" + r.hashes[0]
}
