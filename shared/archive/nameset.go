package archive

import (
	"fmt"
	"path"
	"strings"
)

// nameSet refuses names that are there already, or that lie below something that is not a directory.
type nameSet struct {
	modes map[string]Mode
	// lastDir is a directory whose parents were found fine.
	lastDir string
	// closed holds first elements under which nothing may be added any more (after a checkpoint).
	closed map[string]bool
}

func (s *nameSet) add(name string, mode Mode) error {
	if root, _, _ := strings.Cut(name, "/"); s.closed[root] {
		return &NameError{name, "was written before the checkpoint, or might have been"}
	}
	if _, ok := s.modes[name]; ok {
		return &NameError{name, "is in the bundle already"}
	}
	if mode != Dir {
		if _, ok := s.modes[name+"/"]; ok {
			return &NameError{name, fmt.Sprintf("is a %v, but the bundle has files below it", mode)}
		}
	}
	dir := path.Dir(name)
	if dir != s.lastDir {
		for parent := dir; parent != "."; parent = path.Dir(parent) {
			if m, ok := s.modes[parent]; ok && m != Dir {
				return &NameError{name, fmt.Sprintf("lies below %s, which is a %v", parent, m)}
			}
			if _, ok := s.modes[parent+"/"]; ok {
				break // this parent and those above were seen
			}
			s.modes[parent+"/"] = Dir
		}
		s.lastDir = dir
	}
	s.modes[name] = mode
	return nil
}
