package packages

// Deref is the text behind a version pointer, "" for nil.
func Deref(v *string) string {
	if v == nil {
		return ""
	}
	return *v
}

// AllContents is the content manifest's rule of managers for which every dependency is both.
func AllContents(_ Context, p Package) (dependencies, sources []Owned) {
	all := p.Own()
	return all, all
}

// RuntimeContents is the rule of managers that know development dependencies: those are sources only.
func RuntimeContents(_ Context, p Package) (dependencies, sources []Owned) {
	sources = p.Own()
	for _, o := range sources {
		if o.Dependency.Dev == nil || !*o.Dependency.Dev {
			dependencies = append(dependencies, o)
		}
	}
	return dependencies, sources
}

// NoContents is the rule of packages that stand for themselves.
func NoContents(Context, Package) (dependencies, sources []Owned) { return nil, nil }

// Own are a package's dependencies of its own type; others are not shown in documents.
func (p Package) Own() []Owned {
	list := make([]Owned, 0, len(p.Dependencies))
	for i := range p.Dependencies {
		if d := &p.Dependencies[i]; d.Type == p.Type {
			list = append(list, Owned{&p, d})
		}
	}
	return list
}
