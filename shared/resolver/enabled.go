package resolver

import (
	"fmt"
	"slices"
	"strings"
)

// Names that stand for several package managers where an operator lists them.
const (
	// DefaultManagers are those that Cachito has too.
	DefaultManagers = "default"
	// AllManagers are all that can be resolved.
	AllManagers = "all"
)

// Enabled picks the package managers that an operator's list of names enables, in the order of known. A name that
// nothing here resolves is an error.
func Enabled(known []Descriptor, names []string) ([]Descriptor, error) {
	for _, name := range names {
		resolvable := func(d Descriptor) bool { return d.Name == name && d.New != nil }
		if name != DefaultManagers && name != AllManagers && !slices.ContainsFunc(known, resolvable) {
			return nil, fmt.Errorf("this program cannot resolve %q; it knows %s, and the groups %s and %s",
				name, namesOf(known), DefaultManagers, AllManagers)
		}
	}
	var enabled []Descriptor
	for _, d := range known {
		wanted := slices.Contains(names, d.Name) || slices.Contains(names, AllManagers) ||
			!d.OptIn && slices.Contains(names, DefaultManagers)
		if wanted && d.New != nil {
			enabled = append(enabled, d)
		}
	}
	return enabled, nil
}

func namesOf(known []Descriptor) string {
	var names []string
	for _, d := range known {
		if d.New != nil {
			names = append(names, d.Name)
		}
	}
	return strings.Join(names, ", ")
}
