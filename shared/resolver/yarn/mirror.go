package yarn

import (
	"net/url"
	"path"
	"regexp"
	"strings"
	"unicode"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

const (
	// mirrorDir is Yarn's offline mirror, below deps/. Yarn wants one flat folder.
	mirrorDir = Name + "/mirror"
	// maxFileNameBytes is what common file systems take.
	maxFileNameBytes = 255
)

// mirrorFile is what Yarn looks for in the mirror instead of asking the network.
type mirrorFile struct {
	name string
	// content is SHA-256 of the file, lower-case hex.
	content string
	// own is the file when it is not that of dependency.place: a git dependency's bare tar.
	own *resolver.File
}

// registryFile matches paths of registries; Yarn's own expression (src/fetchers/tarball-fetcher.js, BSD license).
var registryFile = regexp.MustCompile(`/(?:(@[^/]+)(?:/|%2f))?[^/]+/(?:-|_attachments)/(?:@[^/]+/)?([^/]+)$`)

// escaped are the characters that Node's url.parse escapes in a path, besides the backslash, which it takes
// for a slash.
var escaped = strings.NewReplacer("\\", "/", "{", "%7B", "}", "%7D", "|", "%7C", "^", "%5E", "`", "%60", "<", "%3C", ">", "%3E",
	`"`, "%22", " ", "%20", "'", "%27")

// mirrorName is the name of a file in the mirror, by the value of `resolved`; how Yarn 1 derives it.
//
//	https://h/@types/ms/-/ms-0.7.34.tgz#<sha1>             @types-ms-0.7.34.tgz
//	https://codeload.github.com/ns/r/tar.gz/<commit>       <commit>
//	git+https://h/ns/r.git#<commit>                        r.git-<commit>
func mirrorName(kind javascript.Kind, source string) (string, error) {
	location, fragment, _ := strings.Cut(source, "#")
	location, _, _ = strings.Cut(location, "?")
	_, location, _ = strings.Cut(location, "://")
	if at := strings.IndexAny(location, `/\`); at >= 0 {
		location = location[at:]
	} else if kind != javascript.FromGit { // git+ssh://git@host:r.git has none
		location = "/"
	}
	location = escaped.Replace(location)
	name := path.Base(location)
	if kind == javascript.FromGit {
		name = name[strings.LastIndexByte(name, ':')+1:] + "-" + fragment
	} else if m := registryFile.FindStringSubmatch(location); m != nil {
		name = m[2]
		if m[1] != "" {
			name = m[1] + "-" + m[2]
		}
	}
	return name, checkMirrorName(source, name)
}

func checkMirrorName(source, name string) error {
	odd := strings.IndexFunc(name, func(r rune) bool {
		return unicode.IsControl(r) || r == '/' || r == '\\' || r == unicode.ReplacementChar
	})
	switch {
	case name == "" || name == "." || name == ".." || odd >= 0:
		return fault.Client(fault.InvalidFileFormat, "The URL %s names no file that Yarn's offline mirror could hold", publicURL(source))
	case len(name) > maxFileNameBytes:
		return fault.Client(fault.UnsupportedFeature, "The file name in the URL %s has %d characters, the limit is %d", publicURL(source), len(name), maxFileNameBytes)
	}
	return nil
}

// publicURL makes a URL fit for a message: not too long, and without its password.
func publicURL(source string) string {
	const most = 200
	if u, err := url.Parse(source); err == nil {
		source = u.Redacted()
	}
	if len(source) > most {
		source = strings.ToValidUTF8(source[:most], "") + "..."
	}
	return source
}

// mirror is the folder, by name of file. Two files may want one name: Yarn has no way to tell them apart, so
// all but the first get another name, and another URL in yarn.lock that leads to it.
type mirror map[string]mirrorFile

// add gives a dependency its place in the mirror.
func (m mirror) add(d *dependency) error {
	source := d.entry.resolved
	for try := 0; ; try++ {
		name, err := mirrorName(d.kind, source)
		if err != nil {
			return err
		}
		have, taken := m[name]
		if !taken || have.content == d.mirror.content {
			d.mirror.name = name
			if !taken {
				m[name] = d.mirror
			}
			if try > 0 {
				d.moved = source
			}
			return nil
		}
		if try > 0 {
			return fault.Client(fault.UnsupportedFeature, "The file name %s in Yarn's offline mirror is wanted for another file than that of %s", name, d.name)
		}
		source = withFile(source, d.mirror.content[:16]+"-"+strings.ReplaceAll(strings.TrimPrefix(d.name, "@"), "/", "-")+".tgz")
	}
}

// withFile adds a file to a URL's path: Yarn takes the last part for the name in the mirror.
//
//	https://h/archive.tar.gz?ref=x#y -> https://h/archive.tar.gz/<file>?ref=x#y
func withFile(source, file string) string {
	at := strings.IndexAny(source, "?#")
	if at < 0 {
		at = len(source)
	}
	return strings.TrimRight(source[:at], "/") + "/" + file + source[at:]
}

// entry of a dependency in the mirror: a link into the folder by the package's name, a relative one, so that
// the bundle may lie anywhere. Not ok: the file is there already.
func (m mirror) entry(d *dependency) (e resolver.Entry, ok bool) {
	e.Path = mirrorDir + "/" + d.mirror.name
	switch {
	case d.mirror.own != nil:
		e.File = d.mirror.own
	case e.Path == d.place: // of the package "mirror"
		return e, false
	default:
		e.Link = "../" + strings.TrimPrefix(d.place, Name+"/")
	}
	return e, true
}
