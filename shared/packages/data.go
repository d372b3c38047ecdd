package packages

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/pyrepr"
)

// Sort puts the packages, and each one's dependencies, in order: by type, dev (false first), name and
// version (null first), by code point. Equal ones stay as they were reported.
func (d *Data) Sort() {
	slices.SortStableFunc(d.Packages, func(a, b Package) int {
		return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.Name, b.Name), compareVersion(a.Version, b.Version))
	})
	for i := range d.Packages {
		slices.SortStableFunc(d.Packages[i].Dependencies, CompareDependencies)
	}
}

// CompareDependencies is the order of dependencies in all that is answered. Of a merged list no two are equal.
func CompareDependencies(a, b Dependency) int {
	return cmp.Or(strings.Compare(a.Type, b.Type), compareDev(a.Dev, b.Dev), strings.Compare(a.Name, b.Name), compareVersion(a.Version, b.Version))
}

func compareDev(a, b *bool) int {
	x, y := a != nil && *a, b != nil && *b
	switch {
	case x == y:
		return 0
	case y:
		return -1
	}
	return 1
}

func compareVersion(a, b *string) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	return strings.Compare(*a, *b)
}

// Check refuses two packages of equal name, type and version, wherever they are. The data must be
// sorted. Fault: InvalidRequestData, client.
func (d *Data) Check() error {
	for i := 1; i < len(d.Packages); i++ {
		a, b := d.Packages[i-1], d.Packages[i]
		if a.Type == b.Type && a.Name == b.Name && compareVersion(a.Version, b.Version) == 0 {
			return fault.Client(fault.InvalidRequestData, "Duplicate package: {'name': %s, 'version': %s, 'type': %s}",
				pyrepr.String(b.Name), reprVersion(b.Version), pyrepr.String(b.Type))
		}
	}
	return nil
}

func reprVersion(v *string) string {
	if v == nil {
		return "None"
	}
	return pyrepr.String(*v)
}

// firstMerge is how many dependencies are collected before equal ones are merged for the first time: a large
// Go repository has the same few hundred half a million times.
const firstMerge = 16 << 10

// MergeDependencies is the flat list of a request's dependencies: all packages' lists, sorted, equal ones
// (name, type, version, dev) once. Of equal ones the first is kept, with its Replaces.
func MergeDependencies(list []Package) []Dependency {
	var found []*Dependency
	merge := func() {
		slices.SortStableFunc(found, func(a, b *Dependency) int { return CompareDependencies(*a, *b) })
		found = slices.CompactFunc(found, func(a, b *Dependency) bool { return CompareDependencies(*a, *b) == 0 })
	}
	limit := firstMerge
	for _, p := range list {
		for i := range p.Dependencies {
			if found = append(found, &p.Dependencies[i]); len(found) >= limit {
				merge()
				limit = max(firstMerge, 2*len(found))
			}
		}
	}
	merge()
	merged := make([]Dependency, len(found))
	for i, d := range found {
		merged[i] = *d
	}
	return merged
}

// Counts are packages_count and dependencies_count.
func Counts(d Data) (packages, dependencies int64) {
	return int64(len(d.Packages)), int64(len(MergeDependencies(d.Packages)))
}

// String names a package in messages: "gomod example.org/m v1.0.0".
func (p Package) String() string {
	if p.Version == nil {
		return fmt.Sprintf("%s %s", p.Type, p.Name)
	}
	return fmt.Sprintf("%s %s %s", p.Type, p.Name, *p.Version)
}
