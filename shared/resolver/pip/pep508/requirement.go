// Package pep508 reads dependency specifiers of Python packages, environment markers among them, and
// knows the canonical form of names
// (https://packaging.python.org/en/latest/specifications/dependency-specifiers/). It is tested with the
// test cases of pypa/packaging, the specification's reference.
package pep508

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/cachito-serverless/cachito/shared/resolver/pip/pep440"
)

// MaxBytes bounds a dependency specifier.
const MaxBytes = 64 << 10

// Requirement is a parsed dependency specifier.
//
//	requests[security] >=2.8.1, ==2.8.* ; python_version < "2.7"
//	pip @ https://example.com/pip.zip ; os_name == "posix"
type Requirement struct {
	// Name and Extras as they are written.
	Name       string
	Extras     []string
	URL        string
	Specifiers pep440.Set
	// Marker is nil when there is none.
	Marker *Marker
}

// SyntaxError says what is wrong with a dependency specifier, and where.
type SyntaxError struct {
	Message  string
	Position int // in bytes
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s (at character %d)", e.Message, e.Position+1)
}

var runsPattern = regexp.MustCompile(`[-_.]+`)

// Canonical is a project's name by which names are compared: lower case, runs of "-", "_" and "." are
// one "-".
func Canonical(name string) string { return runsPattern.ReplaceAllString(strings.ToLower(name), "-") }

var (
	// A name ends in a letter, digit or underscore: what follows is not part of it.
	identifierPattern = regexp.MustCompile(`^[a-zA-Z0-9](?:[a-zA-Z0-9._-]*[a-zA-Z0-9_])?`)
	localPattern      = regexp.MustCompile(`^\+[a-z0-9]+`)
)

// Parse reads a dependency specifier. *SyntaxError.
func Parse(text string) (Requirement, error) {
	if len(text) > MaxBytes {
		return Requirement{}, &SyntaxError{fmt.Sprintf("It is longer than %d bytes", MaxBytes), MaxBytes}
	}
	p := &parser{text: text}
	r, err := p.requirement()
	if err != nil {
		return Requirement{}, err
	}
	return r, nil
}

// parser walks over a text. Blanks are spaces and tabs.
type parser struct {
	text  string
	at    int
	depth int
}

func (p *parser) rest() string { return p.text[p.at:] }

func (p *parser) blanks() int {
	n := len(p.rest()) - len(strings.TrimLeft(p.rest(), " \t"))
	p.at += n
	return n
}

func (p *parser) take(token string) bool {
	if !strings.HasPrefix(p.rest(), token) {
		return false
	}
	p.at += len(token)
	return true
}

func (p *parser) end() bool { return p.at == len(p.text) }

func (p *parser) fail(format string, args ...any) error {
	return &SyntaxError{fmt.Sprintf(format, args...), p.at}
}

func (p *parser) identifier() string {
	name := identifierPattern.FindString(p.rest())
	// A name that goes on in another alphabet is none.
	if next := p.rest()[len(name):]; name != "" && next != "" && next[0] >= 0x80 {
		return ""
	}
	p.at += len(name)
	return name
}

func (p *parser) requirement() (r Requirement, err error) {
	p.blanks()
	if r.Name = p.identifier(); r.Name == "" {
		return r, p.fail("Expected package name at the start of dependency specifier")
	}
	p.blanks()
	if r.Extras, err = p.extras(); err != nil {
		return r, err
	}
	p.blanks()
	after := "name and no valid version specifier"
	if p.take("@") {
		p.blanks()
		n := strings.IndexAny(p.rest()+" ", " \t")
		if n == 0 {
			return r, p.fail("Expected URL after @")
		}
		r.URL = p.rest()[:n]
		p.at += n
		after = "URL and whitespace"
	} else {
		if r.Specifiers, err = p.specifiers(); err != nil {
			return r, err
		}
		if len(r.Specifiers) > 0 {
			after = "version specifier"
		}
	}
	p.blanks()
	if p.end() {
		return r, nil
	}
	if !p.take(";") {
		return r, p.fail("Expected end or semicolon (after %s)", after)
	}
	root, err := p.markers()
	if err != nil {
		return r, err
	}
	if !p.end() {
		return r, p.fail("Expected end of dependency specifier")
	}
	r.Marker = &Marker{root}
	return r, nil
}

func (p *parser) extras() ([]string, error) {
	if !p.take("[") {
		return nil, nil
	}
	var extras []string
	for {
		p.blanks()
		if len(extras) == 0 && p.take("]") {
			return nil, nil
		}
		name := p.identifier()
		if name == "" {
			return nil, p.fail("Expected extra name")
		}
		extras = append(extras, name)
		p.blanks()
		if p.take("]") {
			return extras, nil
		}
		if !p.take(",") {
			return nil, p.fail("Expected comma between extra names")
		}
	}
}

func (p *parser) specifiers() (pep440.Set, error) {
	open := p.take("(")
	p.blanks()
	var set pep440.Set
	for {
		s, rest, ok := pep440.ScanSpecifier(p.rest())
		if !ok {
			break
		}
		set = append(set, s)
		p.at = len(p.text) - len(rest)
		if strings.HasPrefix(rest, ".*") {
			return nil, p.fail(".* suffix can only be used with `==` or `!=` operators")
		}
		if localPattern.MatchString(rest) {
			return nil, p.fail("Local version label can only be used with `==` or `!=` operators")
		}
		p.blanks()
		if !p.take(",") {
			break
		}
		p.blanks()
	}
	if open && !p.take(")") {
		return nil, p.fail("Expected matching RIGHT_PARENTHESIS for LEFT_PARENTHESIS, after version specifier")
	}
	return set, nil
}
