package berry

import (
	"net/url"
	"strings"

	"github.com/cachito-serverless/cachito/shared/resolver/yarn/lines"
)

// locator is a resolution, taken apart as Yarn does (structUtils.parseLocator and parseRange, BSD license):
//
//	is-odd@npm:3.0.1
//	x@npm:1.0.0::__archiveUrl=https%3A%2F%2Fhost%2Fx.tgz
//	web@workspace:packages/web
//	left-pad@patch:left-pad@npm%3A1.3.0#./p.patch::version=1.3.0&hash=a0f8ae&locator=app%40workspace%3A.
//	once@portal:external/once::locator=app%40workspace%3A.
//	x@file:x.tgz#x.tgz::hash=e17689&locator=app%40workspace%3A.
//	x@https://host/x.tgz
//	x@https://host/o/x.git#commit=<40 hex digits>
type locator struct {
	name      string // "@types/ms"
	reference string // all behind the name's "@"
	protocol  string // with its colon: "npm:", "https:"; "" when there is none
	source    string // before "#", "" without one; unescaped
	selector  string // behind it, else all that follows the protocol; unescaped
	bound     map[string]string
}

func parseLocator(text string) (locator, bool) {
	l := locator{}
	l.name, l.reference = lines.SplitKey(text)
	if l.name == "" || l.reference == "" || strings.HasPrefix(l.name, "@") != strings.Contains(l.name, "/") {
		return l, false
	}
	rest, bound, _ := strings.Cut(l.reference, "::")
	if at := strings.IndexAny(rest, "#:"); at >= 0 && rest[at] == ':' {
		l.protocol, rest = rest[:at+1], rest[at+1:]
	}
	source, selector, both := strings.Cut(rest, "#")
	if !both {
		source, selector = "", source
	}
	var err error
	if l.source, err = url.PathUnescape(source); err != nil {
		return l, false
	}
	if l.selector, err = url.PathUnescape(selector); err != nil {
		return l, false
	}
	if bound != "" {
		values, err := url.ParseQuery(bound)
		if err != nil {
			return l, false
		}
		l.bound = map[string]string{}
		for key := range values {
			l.bound[key] = values.Get(key)
		}
	}
	return l, true
}

// plain is the reference without what is bound to it.
func (l locator) plain() string {
	text, _, _ := strings.Cut(l.reference, "::")
	return text
}
