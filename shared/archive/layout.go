package archive

import (
	"fmt"
	"path"
)

// layout remembers what was extracted where, so that no entry changes the kind of another, or is written
// through a link.
type layout struct {
	modes map[string]Mode
	links map[string]string
	// ready is the last directory that is known to exist with all its parents.
	ready string
	mkdir func(name string) error
}

func newLayout(mkdir func(name string) error) *layout {
	return &layout{modes: map[string]Mode{}, links: map[string]string{}, mkdir: mkdir}
}

// add decides whether the entry may be there, and makes the directories it needs. again is true when it
// takes the place of one of the same kind.
func (l *layout) add(name string, mode Mode, linkname string) (again bool, err error) {
	if err := l.makeDir(path.Dir(name), name); err != nil {
		return false, err
	}
	have, ok := l.modes[name]
	switch {
	case ok && mode == Dir && have == Dir:
		return true, nil
	case ok && mode.isFile() && have.isFile():
		l.modes[name] = mode
		return true, nil
	case ok && mode == Link && have == Link:
		l.links[name] = linkname
		return true, nil
	case ok:
		return false, &UnsafeEntryError{name, fmt.Sprintf("is a %v, but was a %v before", mode, have)}
	case mode == Dir:
		return false, l.makeDir(name, name)
	case mode == Link:
		l.links[name] = linkname
	}
	l.modes[name] = mode
	return false, nil
}

// makeDir makes a directory and its parents, for the sake of an entry.
func (l *layout) makeDir(dir, entry string) error {
	if dir == "." || dir == l.ready {
		return nil
	}
	if have, ok := l.modes[dir]; ok {
		if have != Dir {
			return &UnsafeEntryError{entry, fmt.Sprintf("lies below %q, which is a %v", dir, have)}
		}
		l.ready = dir
		return nil
	}
	if err := l.makeDir(path.Dir(dir), entry); err != nil {
		return err
	}
	if err := l.mkdir(dir); err != nil {
		return err
	}
	l.modes[dir] = Dir
	l.ready = dir
	return nil
}
