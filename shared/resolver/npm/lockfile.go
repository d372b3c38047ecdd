package npm

import (
	"errors"
	"io"
	"path"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
)

const (
	// MaxLockfileBytes bounds a lockfile. It is read and rewritten as a stream.
	MaxLockfileBytes = 128 << 20
	// MaxEntries bounds the entries of all lockfiles of a request. Unlike the text, they are held in memory,
	// some 500 bytes each; the largest lockfiles known have 10,000.
	MaxEntries = 60_000
	// maxEntryTextBytes bounds the texts of one entry that are held.
	maxEntryTextBytes = 16 << 10
)

// lockfile is what is read of a package-lock.json or npm-shrinkwrap.json
// (https://docs.npmjs.com/cli/v11/configuring-npm/package-lock-json).
type lockfile struct {
	name, version string // of the package itself; empty when the lockfile does not say
	format        string // lockfileVersion as it stands in the file: "1", "2", "3"
	workspaces    []string
	// entries in the order of the file, those of both halves of a version 2 lockfile.
	entries []entry
}

// entry is one member of "packages", or of "dependencies" at any depth.
type entry struct {
	// key is the member's name: a path in "packages", a package name in "dependencies".
	key string
	// legacy: a member of "dependencies".
	legacy bool
	// name, version, resolved and integrity as in the file, empty where missing.
	name, version, resolved, integrity string
	dev, bundled, link                 bool
}

// lockReader reads a lockfile.
type lockReader struct {
	*scanner
	file string // its path, for faults
	left *int   // entries that may still come
	lock lockfile
	// which halves there are
	hasPackages bool
}

// parseLockfile reads a lockfile; file is its path, for faults, which are the client's. left counts the
// entries down that the request may have.
func parseLockfile(r io.Reader, file string, left *int) (lockfile, error) {
	lr := &lockReader{scanner: newScanner(r), file: file, left: left, lock: lockfile{format: "None"}}
	ok, err := lr.object(lr.member)
	if err == nil && ok {
		err = lr.end()
	}
	var syntax *syntaxError
	switch {
	case errors.As(err, &syntax):
		return lockfile{}, fault.Client(fault.InvalidFileFormat, "The lock file %s is not valid JSON: %s", file, err).Because(err)
	case err != nil:
		return lockfile{}, err
	case !ok:
		return lockfile{}, lr.odd("no object")
	}
	switch lr.lock.format {
	case "1", "2", "3":
	default:
		return lockfile{}, fault.Client(fault.ValidationError,
			"lockfileVersion %s from %s is not supported Please use a supported lockfileVersion, which are versions 1, 2, and 3", lr.lock.format, file)
	}
	if lr.lock.format != "1" && !lr.hasPackages {
		return lockfile{}, lr.missing("packages")
	}
	return lr.lock, nil
}

func (lr *lockReader) odd(what string) error {
	return fault.Client(fault.ValidationError, "The lock file %s has an unexpected format (%s)", lr.file, what)
}

func (lr *lockReader) missing(key string) error { return lr.odd("missing key: '" + key + "'") }

func (lr *lockReader) tooMany() error {
	return fault.Client(fault.UnsupportedFeature, "The lock file %s has too many entries: the limit for a request is %d", lr.file, MaxEntries)
}

func (lr *lockReader) member(key string) error {
	var err error
	switch key {
	case "name":
		lr.lock.name, _, err = lr.readText()
	case "version":
		lr.lock.version, _, err = lr.readText()
	case "lockfileVersion":
		lr.lock.format, err = lr.readFormat()
	case "packages":
		lr.hasPackages = true
		_, err = lr.object(func(key string) error { return lr.entry(key, false) })
	case "dependencies":
		err = lr.dependencies()
	default:
		err = lr.skip()
	}
	return err
}

// readFormat gives a number or text as it stands in the file, "None" for null.
func (lr *lockReader) readFormat() (string, error) {
	t, err := lr.value()
	if err != nil {
		return "", err
	}
	text := string(lr.raw)
	switch t {
	case tokenObject, tokenArray:
		return "{...}", lr.rest(t)
	case tokenOther:
		if text == "null" {
			return "None", nil
		}
	}
	return text, nil
}

func (lr *lockReader) dependencies() error {
	_, err := lr.object(func(key string) error { return lr.entry(key, true) })
	return err
}

// entry reads one entry; those nested in it come after it in the list.
func (lr *lockReader) entry(key string, legacy bool) error {
	if *lr.left--; *lr.left < 0 {
		return lr.tooMany()
	}
	at := len(lr.lock.entries)
	lr.lock.entries = append(lr.lock.entries, entry{key: key, legacy: legacy})
	e := entry{key: key, legacy: legacy}
	ok, err := lr.object(func(member string) error {
		if legacy && member == "dependencies" {
			return lr.dependencies()
		}
		if !legacy && key == "" && member == "workspaces" {
			return lr.workspaces()
		}
		return lr.entryMember(&e, member)
	})
	if err != nil {
		return err
	}
	if !ok {
		return lr.odd("the entry '" + key + "' is not an object")
	}
	if len(e.key)+len(e.name)+len(e.version)+len(e.resolved)+len(e.integrity) > maxEntryTextBytes {
		return lr.odd("an entry with more than 16 KiB of text")
	}
	lr.lock.entries[at] = e
	return nil
}

func (lr *lockReader) entryMember(e *entry, member string) error {
	var err error
	switch member {
	case "name":
		e.name, _, err = lr.readText()
	case "version":
		e.version, _, err = lr.readText()
	case "resolved":
		e.resolved, _, err = lr.readText() // `false` is as good as none
	case "integrity":
		e.integrity, _, err = lr.readText()
	case "dev":
		e.dev, err = lr.readTrue()
	case "link":
		e.link, err = lr.readTrue()
	case "inBundle":
		var is bool
		if is, err = lr.readTrue(); !e.legacy {
			e.bundled = is
		}
	case "bundled":
		var is bool
		if is, err = lr.readTrue(); e.legacy {
			e.bundled = is
		}
	default:
		err = lr.skip()
	}
	return err
}

// workspaces reads a list of patterns, or {"packages": [...]}.
func (lr *lockReader) workspaces() error {
	t, err := lr.value()
	if err != nil {
		return err
	}
	if t == tokenObject {
		return lr.members(func(key string) error {
			if key == "packages" {
				return lr.workspaces()
			}
			return lr.skip()
		})
	}
	if t != tokenArray {
		return lr.rest(t)
	}
	return lr.elements(func(t token) error {
		if t == tokenString {
			if *lr.left--; *lr.left < 0 {
				return lr.tooMany()
			}
			lr.lock.workspaces = append(lr.lock.workspaces, lr.string())
		}
		return lr.rest(t)
	})
}

// local reports whether an entry of "packages" is a folder of the repository rather than something that
// is installed: it is not below a node_modules.
func (e entry) local() bool {
	return !e.legacy && !strings.Contains("/"+e.key+"/", "/node_modules/")
}

// packageName is the name that an entry is reported by: the real one of an alias, else what the key ends in.
//
//	node_modules/a/node_modules/@b/c -> @b/c     packages/ws1 -> ws1
func (e entry) packageName() string {
	switch {
	case e.legacy:
		if real, _, ok := aliasOf(e.version); ok {
			return real
		}
		return e.key
	case e.name != "":
		return e.name
	}
	return e.installedName()
}

// installedName is the name of the folder that an entry is installed in: an alias, where there is one.
func (e entry) installedName() string {
	if e.legacy {
		return e.key
	}
	folder, base := path.Split(strings.TrimSuffix(e.key, "/"))
	if scope := path.Base(folder); strings.HasPrefix(scope, "@") {
		return scope + "/" + base
	}
	return base
}

// aliasOf splits "npm:@real/name@1.0.0" into name and version.
func aliasOf(spec string) (name, version string, ok bool) {
	rest, ok := strings.CutPrefix(spec, "npm:")
	if !ok {
		return "", "", false
	}
	at := strings.LastIndexByte(rest, '@')
	if at <= 0 {
		return rest, "", true
	}
	return rest[:at], rest[at+1:], true
}
